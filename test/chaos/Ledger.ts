/**
 * What attempts did outside of the store: a file to which every handler of every process appends a line when it starts
 * and one when it ends, with the number of its claim. Nothing fences it, so it tells what really happened.
 */
import { Schema } from "effect"
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import * as Task from "../../src/Task.ts"

/** A task that works for a while and says so. Its result is the claim under which it ran. */
export const Ledger = Task.make("ledger", {
  payload: { ms: Schema.Int },
  success: Schema.Struct({ claim: Schema.Int }),
  retry: { times: 0 }
})

/** One line. */
export interface Line {
  /** Milliseconds since the epoch, by the clock that all processes of the machine share. */
  readonly at: number
  readonly event: "start" | "end"
  readonly id: string
  readonly claim: number
}

/** Appends a line; it is there when this returns, whatever happens to the process then. */
export const append = (file: string, event: Line["event"], id: string, claim: number): void =>
  appendFileSync(file, `${Date.now()} ${event} ${claim} ${id}\n`)

/** All lines of a file, in the order in which they were appended. */
export const read = (file: string): ReadonlyArray<Line> =>
  !existsSync(file) ? [] : readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line): Line => {
    const [at, event, claim, id] = line.split(" ")
    return { at: Number(at), event: event as Line["event"], id: id!, claim: Number(claim) }
  })
