import { Effect } from "effect"
import { Command } from "effect/cli"
import type { WorkersJson } from "../../http/api/SystemApi.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

/** Shows who runs tasks. */
export const command = Target.command("instances", {}, (given) => instances(given)).pipe(
  Command.withDescription("Show the instances that run tasks, and what they run now"),
  Command.withExamples([{ command: "taskforge instances", description: "All instances on the store" }])
)

const instances = Effect.fnUntraced(function*({ json }: Target.Given) {
  const { api, ask } = yield* Target.Target
  const found = yield* ask(api.system.workers())
  if (json) return yield* Screen.json(found)
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  const width = yield* screen.columns
  const now = Date.parse(found.timestamp)
  if (found.instances.length === 0) {
    yield* Screen.line(`No instance runs tasks. Start one:\n\n  ${paint.accent("taskforge work --store URL")}`)
    if (found.queue_size > 0) {
      yield* Screen.line(`\n${Words.counted(found.queue_size, "task")} ${found.queue_size === 1 ? "waits" : "wait"}.`)
    }
    return
  }
  const rows = found.instances.map((one) => [
    Screen.plain(one.id),
    Screen.plain(`${one.host}:${one.pid}`),
    `${one.slots_active}/${one.slot_count}`,
    Words.age(now - Date.parse(one.started_at)),
    Words.relative(Date.parse(one.seen_at), now),
    paint.dim(one.leads.join(", "))
  ])
  yield* lines(Table.format(
    [
      { head: "INSTANCE", shrinksTo: 12 },
      { head: "HOST", shrinksTo: 8 },
      { head: "BUSY", align: "right" },
      { head: "UP", align: "right" },
      { head: "SEEN" },
      { head: "CHORES", shrinksTo: 6 }
    ],
    rows,
    width,
    paint.dim
  ))
  const busy = found.workers.filter(({ task }) => task !== null)
  yield* Screen.line()
  if (busy.length === 0) return yield* Screen.line(paint.dim("Nothing runs at the moment."))
  yield* lines(running(busy, "RUNNING", width, paint))
})

const lines = (texts: ReadonlyArray<string>) => Effect.forEach(texts, Screen.line, { discard: true })

/** What slots run, as a table of at most `width` cells. */
export const running = (
  busy: (typeof WorkersJson.Type)["workers"],
  head: string,
  width: number,
  paint: Screen.Paint
): ReadonlyArray<string> =>
  Table.format(
    [{ head }, { head: "TYPE", shrinksTo: 8 }, { head: "FOR", align: "right" }, { head: "SLOT", shrinksTo: 8 }],
    busy.map(({ id, task }) => [
      Screen.plain(task!.id),
      Screen.plain(task!.type),
      Words.precise(task!.running_for_ms),
      paint.dim(Screen.plain(id))
    ]),
    width,
    paint.dim
  )
