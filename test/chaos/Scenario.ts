/**
 * One fault: a steady load, the fault in the middle of it, and what came of it.
 *
 * ```text
 * load ──────────────────────────────────────┐
 *      baseline │ the fault │ healed, recovers │ rest: everything ends │ the checker
 * ```
 */
import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Server from "../e2e/Server.ts"
import { flawsOf, type StoredTask } from "./Checker.ts"
import { type Cluster, leaseMs } from "./Cluster.ts"
import type { Line } from "./Ledger.ts"

/** A fault as it is described to people, and as it is done. */
export interface Fault {
  readonly name: string
  /** One line for the table. */
  readonly what: string
  /** Does it, and ends when it is over. */
  readonly strike: Effect.Effect<void, unknown>
  /** The share of the usual speed that has to be kept while it lasts. */
  readonly keeps?: number
}

/** A row of the table. */
export interface Row {
  readonly store: string
  readonly name: string
  readonly what: string
  readonly lastedMs: number
  readonly accepted: number
  /** Attempts whose lease ran out. */
  readonly cutOff: number
  /** Attempts that came to their end and settled nothing: their task was somebody else's, or their process died. */
  readonly repeated: number
  /** Tasks completed per second while it lasted, as a share of the usual speed: the slower one of before and after. */
  readonly keptSpeed: number
  /** Until the speed was back, from when the fault was over. */
  readonly recoveredAfterMs: number
}

const clients = 3
const tasksPerPost = 5
const pauseMs = 60
const baselineMs = 1200
const recoveryMs = leaseMs + 1000

/** Speed is counted in windows of this length. */
const windowMs = 500

/** The share of the slower of the speeds before and at the end that counts as full: a machine varies by itself. */
const fullSpeed = 0.6

/** What has to be left of the speed before, however busy the machine has become meanwhile. */
const leastSpeed = 0.25

/** How often a fault is done at most until its speed is good enough: a machine may have been busy with something else. */
const maxTimes = 3

/** Runs a fault on a cluster and fails unless everything holds; answers its row. */
export const run = Effect.fnUntraced(function*(
  store: string,
  cluster: Cluster,
  fault: Fault
): Effect.fn.Return<Row, unknown> {
  for (let time = 1;; time++) {
    const row = yield* Effect.onError(
      Effect.timeout(observe(store, cluster, fault, `${fault.name}-${time}-`), "4 minutes"),
      () => Effect.sync(() => console.error([fault.name, ...cluster.complaints()].join("\n")))
    )
    const slow = slownessOf(row, fault)
    if (slow === undefined) return row
    if (time === maxTimes) assert.fail(`${slow}: ${JSON.stringify(row)}`)
  }
})

const slownessOf = ({ keptSpeed, recoveredAfterMs }: Row, { keeps }: Fault): string | undefined =>
  recoveredAfterMs > leaseMs
    ? "full speed is not back within a lease"
    : keeps !== undefined && keptSpeed < keeps
    ? `less than ${keeps} of the speed is kept`
    : undefined

const observe = Effect.fnUntraced(function*(
  store: string,
  cluster: Cluster,
  fault: Fault,
  prefix: string
): Effect.fn.Return<Row, unknown> {
  const accepted = new Set<string>()
  const load = { goesOn: true }
  const offering = yield* Effect.forkChild(offer(cluster, prefix, accepted, load))
  // Begun when work flows: the first scenario has just started its servers
  yield* Server.until(
    "work flows",
    Effect.sync(() => cluster.ledger().filter(({ event, id }) => event === "end" && id.startsWith(prefix)).length > 50)
  )
  yield* Effect.sleep(baselineMs)

  const struckAt = Date.now()
  yield* fault.strike
  const healedAt = Date.now()
  yield* Effect.sleep(recoveryMs)
  const endedAt = Date.now()
  load.goesOn = false
  yield* Fiber.join(offering)

  yield* Server.until(
    "every task has ended",
    Effect.orElseSucceed(Effect.map(cluster.unfinished, (count) => count === 0), () => false)
  )
  const before = yield* cluster.tasks(prefix)
  yield* Server.until(
    "every server is healthy",
    Effect.map(cluster.troubles, (troubles) => troubles.length === 0)
  )
  // By now whoever was frozen or cut off has tried to settle what it had
  const tasks = yield* cluster.tasks(prefix)
  const ledger = cluster.ledger().filter(({ id }) => id.startsWith(prefix))
  const flaws = flawsOf({ accepted, ledger, tasks, before })
  assert.deepStrictEqual(flaws.slice(0, 10), [], `${flaws.length} flaws after: ${fault.name}`)

  const ends = completions(ledger, tasks)
  const usual = rate(ends, struckAt - baselineMs, struckAt)
  const atTheEnd = rate(ends, endedAt - 1000, endedAt)
  assert.isAbove(usual, 0)
  const full = Math.max(Math.min(usual, atTheEnd), usual * leastSpeed)
  return {
    store,
    name: fault.name,
    what: fault.what,
    lastedMs: healedAt - struckAt,
    accepted: accepted.size,
    cutOff: tasks.reduce((sum, task) => sum + task.crashes, 0),
    repeated: lateEnds(ledger, tasks),
    keptSpeed: rate(ends, struckAt, healedAt) / full,
    recoveredAfterMs: recoveredAfter(ends, healedAt, full * fullSpeed)
  }
})

/** Posts tasks at a steady pace, each batch until it is accepted: a lost reply is met with the same ids. */
const offer = (cluster: Cluster, prefix: string, accepted: Set<string>, load: { readonly goesOn: boolean }) =>
  Effect.forEach(
    Array.from({ length: clients }, (_, client) => client),
    Effect.fnUntraced(function*(client) {
      for (let batch = 0; load.goesOn; batch++) {
        const tasks = Array.from({ length: tasksPerPost }, (_, index) => ({
          id: `${prefix}${client}-${batch}-${index}`,
          type: "ledger",
          payload: { ms: durationOf(batch * tasksPerPost + index) }
        }))
        yield* cluster.post(tasks)
        for (const { id } of tasks) accepted.add(id)
        yield* Effect.sleep(pauseMs)
      }
    }),
    { concurrency: "unbounded", discard: true }
  )

/** Mostly quick work, and some that a fault is likely to hit. */
const durationOf = (number: number): number => number % 40 === 7 ? 600 : number % 10 === 3 ? 60 : 5

/** When the attempts that settled their task ended. */
const completions = (ledger: ReadonlyArray<Line>, tasks: ReadonlyArray<StoredTask>): ReadonlyArray<number> => {
  const settled = new Set(tasks.map(({ id, result }) => `${id} ${result?.claim}`))
  return ledger.filter(({ claim, event, id }) => event === "end" && settled.has(`${id} ${claim}`)).map(({ at }) => at)
}

/** Ends of attempts that settled nothing. */
const lateEnds = (ledger: ReadonlyArray<Line>, tasks: ReadonlyArray<StoredTask>): number =>
  ledger.filter(({ event }) => event === "end").length - completions(ledger, tasks).length

/** Events per millisecond. */
const rate = (times: ReadonlyArray<number>, from: number, to: number): number =>
  times.filter((at) => at >= from && at < to).length / Math.max(1, to - from)

/** The beginning of the first window after a moment in which the speed is back. */
const recoveredAfter = (times: ReadonlyArray<number>, from: number, speed: number): number => {
  for (let after = 0; after <= recoveryMs - windowMs; after += 50) {
    if (rate(times, from + after, from + after + windowMs) >= speed) return after
  }
  return Infinity
}

/** Where a run leaves its rows. */
export const folder = fileURLToPath(new URL("../../coverage/chaos", import.meta.url))

/** Leaves the rows for the page about them. */
export const save = (store: string, rows: ReadonlyArray<Row>): void => {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${store}.json`), JSON.stringify(rows, null, 2))
}
