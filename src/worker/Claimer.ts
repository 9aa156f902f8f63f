/**
 * Claims tasks for the slots that are free, never more than can run now, and starts them. Woken by
 * hints, by the next task's due time, or by the poll interval.
 */
import { type Clock, Duration, Effect, Fiber, type Latch, Schedule } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import type { Settlement } from "../domain/Settlement.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import type { Recorder } from "../observability/Metrics.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Tally } from "../observability/Tally.ts"
import { type ClaimRequest, promotion, type TaskStore } from "../store/TaskStore.ts"
import type { HandlerRegistry } from "./HandlerRegistry.ts"
import * as Heartbeat from "./Heartbeat.ts"
import type { PoolLoad } from "./PoolLoad.ts"
import type { Runnable } from "./Runner.ts"
import type { Ask, Shares } from "./Shares.ts"
import type { Slots } from "./Slots.ts"

/** How often tasks that cannot be run here are given back, before their leases have to run out. */
const giveBack = Schedule.upTo(Schedule.exponential("50 millis"), { times: 4 })

/** Tasks that the first claim asks for at most: nothing is known about their size yet. */
const maxFirstClaim = 64

/**
 * Tasks that the next claim may ask for: what is claimed has to fit into an answer. Twice as many as before, as long as
 * they are small; no more than fit where they are as large as the last ones. What failed is asked for in half the number.
 */
const maxNextClaim = (tasks: ReadonlyArray<ClaimedTask>, mayAsk: number): number => {
  let size = 0
  for (const { payload } of tasks) size += payload.length
  const perTask = size / Math.max(tasks.length, 1)
  return Math.max(1, Math.min(mayAsk * 2, Math.floor(Bounds.maxClaimSize / Math.max(perTask, 1))))
}

/** How long a claim may be on its way before the pool is said to stand still, in milliseconds. */
const maxStallMs = 30_000

/** How far the machine's clock may be from the store's, in milliseconds. */
export const maxClockOffMs = 60_000

/** Starts claiming; closing the scope stops it, waiting `answerFor` for a claim that is on its way. */
export const start = Effect.fnUntraced(function*(options: {
  readonly store: TaskStore["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly registry: HandlerRegistry["Service"]
  readonly recorder: Recorder
  readonly tally: Tally | undefined
  readonly load: PoolLoad
  readonly slots: Slots
  /** Open while there may be work. */
  readonly work: Latch.Latch
  readonly request: Pick<ClaimRequest, "instance" | "leaseForMs" | "queues">
  /** Whose turn it is, where queues have shares of the pool. */
  readonly shares: Shares | undefined
  readonly firstNonce: number
  readonly pollMs: number
  readonly monotonicMs: () => number
  readonly clock: Clock.Clock
  readonly answerFor: Duration.Input
  /** Has to be done before each claim. */
  readonly beforeClaim: Effect.Effect<void, StoreError>
  /** Starts tasks in free slots. */
  readonly begin: (claimed: ReadonlyArray<Runnable>, claimMs: number) => void
}) {
  const { load, recorder, registry, request, shares, slots, store, tally, work } = options
  let nonce = options.firstNonce
  let asking: { readonly since: number; readonly ask: Ask } | undefined
  let closing = false
  let mayAsk = maxFirstClaim
  let claiming: Fiber.Fiber<number, StoreError> | undefined
  let alarm: Fiber.Fiber<unknown> | undefined
  /** Since when it has been looking for work. */
  let lookingSince = options.monotonicMs()
  /** How far the clock was off when the last claim was answered, and since when it is too far. */
  let off = { ms: 0, since: Infinity }

  /** One claim for slots that are free; answers how long to wait when there is nothing more. */
  const claim = Effect.gen(function*() {
    yield* options.beforeClaim
    const types = registry.types()
    if (types.length === 0) return options.pollMs
    // A repeated claim gives tasks whose leases began with the first one.
    if (asking === undefined) {
      const since = options.monotonicMs()
      const ask = shares === undefined ? { limit: slots.free } : shares.next(slots.free, since)
      if (ask === undefined) {
        load.exhausted(since)
        return Math.min(options.pollMs, Math.max(1, (shares?.nextLookAt(since) ?? Infinity) - since))
      }
      asking = { since, ask }
    }
    const { ask, since } = asking
    const limit = Math.min(ask.limit, slots.free, mayAsk)
    const { nextDueAt, now, tasks } = yield* Effect.tapError(
      store.claim({ ...request, ...ask, types, limit, nonce }),
      // Perhaps it was too much to be answered
      () => Effect.sync(() => mayAsk = Math.max(1, mayAsk >> 1))
    )
    noteClock(now - options.clock.currentTimeMillisUnsafe(), options.monotonicMs() - lookingSince)
    const held = yield* stillHeld(tasks, since)
    // A claim that failed keeps its nonce: if only its answer was lost, the next one gets the same tasks.
    nonce++
    asking = undefined
    mayAsk = maxNextClaim(tasks, mayAsk)
    const runnable: Array<Runnable> = []
    const orphans: Array<Settlement> = []
    for (const task of held) {
      const handler = registry.find(task.type)
      // While the claim was on its way, the pool began to close or the handler's layer did.
      if (handler === undefined || closing || (task.version ?? 1) > handler.definition.version) {
        orphans.push({ _tag: "Release", id: task.id, claim: task.claim })
      } else {
        recorder.claimed(task.type, now - task.dueAt)
        tally?.started(task.queue, task.type, now - task.dueAt)
        if (task.startBy !== null) recorder.started(task.queue, task.type, now > task.startBy)
        load.claimed(load.waitForSlot(now - task.dueAt, since))
        runnable.push({ task, handler, waitedMs: now - task.dueAt })
      }
    }
    const wait = nextDueAt === null ? options.pollMs : Math.min(options.pollMs, Math.max(1, nextDueAt - now))
    shares?.answered(tasks.length, limit, options.monotonicMs() + wait)
    options.begin(runnable, options.monotonicMs() - since)
    if (orphans.length > 0) yield* Effect.retry(store.settle(orphans), giveBack)
    if (shares !== undefined || tasks.length >= limit) return 0
    load.exhausted(since)
    return wait
  })

  /** Any part of the time that the claim took may be what the clocks seem to differ by. */
  const noteClock = (ms: number, tookMs: number): void => {
    const isFar = Math.abs(ms) - tookMs > maxClockOffMs
    off = { ms, since: isFar ? Math.min(off.since, options.monotonicMs()) : Infinity }
  }

  /**
   * An answer may be so late that the leases in it have run out, and the tasks have been given to others or cancelled:
   * before it starts any of them, the claimer asks which it still holds.
   */
  const stillHeld = Effect.fnUntraced(function*(tasks: ReadonlyArray<ClaimedTask>, since: number) {
    let held = tasks
    let confirmedAt = since
    while (held.length > 0 && options.monotonicMs() - confirmedAt > request.leaseForMs / 2) {
      confirmedAt = options.monotonicMs()
      const answers = yield* Heartbeat.extend(store, held, request.leaseForMs)
      held = held.filter((_, index) => answers[index] !== "lost")
    }
    return held
  })

  const run = Effect.runForkWith(yield* Effect.context<never>())

  /**
   * Waits for a hint or for the time. This fiber waits for the latch alone, so a hint has no race to settle first. A needless
   * timer costs a claim.
   */
  const workWithin = (wait: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      alarm?.interruptUnsafe()
      alarm = run(Effect.andThen(Effect.sleep(wait), work.open))
      return work.await
    })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closing = true
      alarm?.interruptUnsafe()
      return claiming === undefined
        ? Effect.void
        : Effect.interruptible(Fiber.await(claiming)).pipe(
          Effect.timeoutOption(options.answerFor),
          Effect.andThen(Fiber.interrupt(claiming))
        )
    })
  )

  yield* options.supervisor.watch("claimer", () => {
    const forMs = options.monotonicMs() - lookingSince
    return slots.free === 0 || registry.types().length === 0 || forMs < options.pollMs + maxStallMs ? undefined : {
      reason: "slots are free, and the store has not answered a claim",
      advice: "see whether the store answers; start this instance again if others have work",
      lasts: Duration.millis(forMs)
    }
  })
  yield* options.supervisor.watch("clock", () => {
    const seconds = Math.round(Math.abs(off.ms) / 1000)
    return off.since === Infinity ? undefined : {
      reason: `the clock of this machine is ${seconds} s ${off.ms > 0 ? "behind" : "ahead of"} the store's`,
      advice: "set the clocks of both machines by a time server",
      lasts: Duration.millis(options.monotonicMs() - off.since)
    }
  })
  let wait: Effect.Effect<void> = Effect.void
  yield* options.supervisor.loop(
    "claimer",
    Effect.gen(function*() {
      lookingSince = options.monotonicMs()
      // All were taken since a step failed, or taken away. Whether the store answers again must not wait for one
      if (slots.free === 0) {
        yield* store.claim(promotion)
        wait = Effect.void
        return
      }
      // Closed before claiming: work announced from here on opens the latch again.
      work.closeUnsafe()
      // In a fiber of its own, so that its answer is not lost when this loop is interrupted.
      claiming = run(claim)
      const ms = yield* Fiber.join(claiming)
      wait = ms > 0 ? workWithin(ms) : Effect.yieldNow
    }),
    // A store that is back is found as soon as new work is
    { when: Effect.andThen(Effect.suspend(() => wait), slots.awaitFree), maxBackoff: options.pollMs }
  )
})
