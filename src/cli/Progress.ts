/** A line on stderr that says how far a command has come, as long as a person looks at it. */
import { Effect } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import * as Screen from "./Screen.ts"
import * as Table from "./Table.ts"
import * as Words from "./Words.ts"

/** Between two updates at least. */
const intervalMs = 100

const barWidth = 24
const clearLine = "\r\u001b[2K"

/** Starts at nothing done; `total` is left out where it is not known. */
export const make = Effect.fnUntraced(function*(what: string, total?: number) {
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn({ colours: screen.animates && screen.colours })
  const startedAt = yield* MonotonicClock.now
  let shownAt = -Infinity

  const update = Effect.fnUntraced(function*(done: number) {
    const now = yield* MonotonicClock.now
    if (!screen.animates || now - shownAt < intervalMs) return
    shownAt = now
    const seconds = Math.max(1, now - startedAt) / 1000
    const rate = `${Words.count(Math.round(done / seconds))}/s`
    const text = total === undefined
      ? `${what}  ${sweep(Math.floor((now - startedAt) / intervalMs), paint)}  ${Words.count(done)}  ${paint.dim(rate)}`
      : `${what}  ${bar(done / total, paint)}  ${Words.count(done)} of ${Words.count(total)}  ${paint.dim(rate)}`
    yield* screen.writeError(clearLine + Table.fit(text, 79))
  })

  return { update, clear: screen.animates ? screen.writeError(clearLine) : Effect.void }
})

const bar = (share: number, paint: Screen.Paint): string => {
  const full = Math.round(Math.min(1, Math.max(0, share)) * barWidth)
  return paint.accent("█".repeat(full)) + paint.dim("░".repeat(barWidth - full))
}

/** A block that wanders to and fro. */
const sweep = (step: number, paint: Screen.Paint): string => {
  const block = 6
  const room = barWidth - block
  const at = room - Math.abs(room - (step % (2 * room)))
  return paint.dim("░".repeat(at)) + paint.accent("█".repeat(block)) + paint.dim("░".repeat(room - at))
}
