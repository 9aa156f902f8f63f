import { Effect } from "effect"
import { Command } from "effect/cli"
import { quoted } from "../../domain/ShellWord.ts"
import * as Json from "../Json.ts"
import * as Paint from "../Paint.ts"
import * as Screen from "../Screen.ts"
import * as StatsText from "../StatsText.ts"
import * as Target from "../Target.ts"

/** Shows how many tasks there are. */
export const command = Command.make(
  "stats",
  { ...Target.flags, json: Json.flag },
  (input) => Target.provide(input)(stats(input))
).pipe(
  Command.withDescription("Show how many tasks are in each status, and totals since the store was made"),
  Command.withShortDescription("Show how many tasks there are"),
  Command.withExamples([{
    command: "taskforge stats --json | jq .by_status.failed",
    description: "For a check in a script"
  }])
)

const stats = Effect.fnUntraced(function*({ json }: { readonly json: boolean }) {
  const { api, problem, repeatable } = yield* Target.Target
  const found = yield* Effect.mapError(repeatable(api.system.stats()), problem)
  if (json) return yield* Screen.json(found)
  const { paused } = yield* Effect.mapError(repeatable(api.queues.list({ query: { limit: 1 } })), problem)
  const screen = yield* Screen.Screen
  const paint = Paint.make(screen)
  for (const line of [...StatsText.lines(found, paint), "", StatsText.room(found, paint)]) yield* Screen.line(line)
  if (paused.length > 0) {
    yield* Screen.line(`\n${paint.warn("paused")}  ${paused.map(Paint.plain).join(", ")}`)
    yield* Screen.line(paint.dim(`        go on with: taskforge resume ${quoted(Paint.plain(paused[0]!))}`))
  }
})
