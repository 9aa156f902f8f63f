import { Effect } from "effect"
import { Command } from "effect/cli"
import { quoted } from "../../domain/Quoting.ts"
import { all as states } from "../../domain/TaskState.ts"
import type { StatsJson } from "../../http/api/SystemApi.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"
import { pauseText } from "./Queues.ts"

/** Shows how many tasks there are. */
export const command = Target.command("stats", {}, (given) => stats(given)).pipe(
  Command.withDescription("Show how many tasks are in each status, and totals since the store was made"),
  Command.withShortDescription("Show how many tasks there are"),
  Command.withExamples([{
    command: "taskforge stats --json | jq .by_status.failed",
    description: "For a check in a script"
  }])
)

const stats = Effect.fnUntraced(function*({ json }: Target.Given) {
  const { api, ask } = yield* Target.Target
  const found = yield* ask(api.system.stats())
  if (json) return yield* Screen.json(found)
  const { paused, timestamp } = yield* ask(api.queues.list({ query: { limit: 1 } }))
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  for (const line of [...lines(found, paint), "", room(found, paint)]) yield* Screen.line(line)
  if (paused.length > 0) {
    yield* Screen.line("")
    for (const { queue, ...pause } of paused) {
      yield* Screen.line(`${Screen.plain(queue)} is ${paint.warn(pauseText(pause, Date.parse(timestamp)))}`)
    }
    yield* Screen.line(paint.dim(`Go on with: taskforge resume ${quoted(Screen.plain(paused[0]!.queue))}`))
  }
})

type Stats = typeof StatsJson.Type

const barWidth = 16

/** Rates per second since the previous snapshot. */
export interface Rates {
  readonly created: number
  readonly completed: number
  readonly failed: number
}

/** Counts in words and bars, as lines of at most 80 cells: what is stored on the left, what has happened on the right. */
export const lines = (stats: Stats, paint: Screen.Paint, rates?: Rates): ReadonlyArray<string> => {
  const peak = Math.max(1, ...states.map((state) => stats.by_status[state]))
  const left = states.map((state) => {
    const number = stats.by_status[state]
    const name = paint.state(state, `${Screen.mark[state]} ${state.padEnd(9)}`)
    return `${name} ${Words.count(number).padStart(11)}  ${bar(number / peak, (text) => paint.state(state, text))}`
  })
  const { cancelled, completed, crashed, created, expired, failed, retried } = stats.totals
  const right = [
    total("created", created, rates?.created),
    total("completed", completed, rates?.completed),
    total("failed", failed, rates?.failed),
    total("cancelled", cancelled),
    total("retried", retried),
    total("crashed", crashed),
    total("expired", expired)
  ]
  return [
    `${paint.dim("STORED".padEnd(44))}${paint.dim("SO FAR")}`,
    ...left.map((text, index) => `${text}  ${right[index]}`)
  ]

  function total(name: string, number: number, rate?: number): string {
    const perSecond = rate === undefined ? "" : paint.dim(`  ${Words.count(Math.round(rate))}/s`.padStart(11))
    return `${paint.dim(name.padEnd(9))} ${Words.count(number).padStart(11)}${perSecond}`
  }
}

/** How much of the capacity is taken. */
export const room = ({ capacity, queue_size }: Stats, paint: Screen.Paint): string => {
  const text = `${Words.count(queue_size)} of ${Words.count(capacity)} places taken`
  return queue_size > capacity * 0.9 ? paint.bad(text) : text
}

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]

/** A bar with parts of a cell; whatever is more than nothing is seen. */
const bar = (share: number, paint: (text: string) => string): string => {
  const cells = share <= 0 ? 0 : Math.max(1, Math.round(Math.min(1, share) * barWidth * 8))
  const text = "█".repeat(Math.floor(cells / 8)) + eighths[cells % 8]
  return paint(text) + " ".repeat(barWidth - text.length)
}
