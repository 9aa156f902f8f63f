/**
 * What a pool tells breakers about the ends of its attempts, and what it knows of them.
 *
 * A breaker that is closed and has no failures costs nothing but a look at the open ones, every few seconds while attempts end that
 * need it, and by one read for all of its keys: a look is younger than a breaker is open, so it is told of who has tried it. Failures
 * that come while others are written go into the next write together, and none is written of a breaker that is open.
 */
import { Clock, Deferred, Effect, Exit, Semaphore } from "effect"
import * as Breaker from "../domain/Breaker.ts"
import type { StoreError } from "../domain/Errors.ts"
import type * as Gate from "../domain/Gate.ts"
import * as LogModule from "../domain/LogModule.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { Settlement } from "../domain/Settlement.ts"
import type { TaskFailure } from "../domain/TaskRecord.ts"
import * as BreakerRecords from "../store/BreakerRecords.ts"
import { RecordStore } from "../store/RecordStore.ts"
import type { Attempt } from "./Attempt.ts"
import { type BreakerHost, type Failure, isFailure } from "./AttemptBreakers.ts"
import * as AttemptError from "./AttemptError.ts"
import type { EndedAttempt } from "./Endings.ts"

/** What this process knows of the keys of one breaker that are open. */
interface Look {
  /** Monotonic milliseconds. */
  readonly at: number
  /** The store's clock then. */
  readonly now: number
  readonly opensAt: Map<Gate.Pass, number>
  /** Whether these are all. */
  readonly isWhole: boolean
}

/** Failures that wait to be written together. */
interface Pending {
  count: number
  task: string
  failure: Failure
  readonly done: Deferred.Deferred<void>
}

/** How old a look at a breaker may be, unless it is open for a shorter time. */
const maxLookMs = 5000

/** How much the store's clock may differ from what is expected of it. */
const slackMs = 1000

/** How long an end waits for breakers to be told: what they miss is one of many failures, or one of many tries. */
const answerForMs = 5000

/** Writes of the failures of one breaker that begin within so many milliseconds, at most. */
const maxWrites = 5
const paceMs = 200

/** Breakers whose writes are counted at most. */
const maxPaces = 1000

/** Breakers of a pool. */
export class PoolBreakers implements BreakerHost {
  private readonly looks = new Map<string, Look>()
  private readonly looking = new Map<string, Deferred.Deferred<Look | undefined>>()
  private readonly pending = new Map<Gate.Pass, Pending>()
  private readonly paces = new Map<Gate.Pass, { readonly since: number; writes: number }>()
  private readonly writer = Semaphore.makeUnsafe(1)
  private readonly monotonicMs: () => number
  private readonly fork: (effect: Effect.Effect<void>) => void
  private readonly records: RecordStore["Service"]

  constructor(
    records: RecordStore["Service"],
    monotonicMs: () => number,
    fork: (effect: Effect.Effect<void>) => void
  ) {
    this.records = records
    this.monotonicMs = monotonicMs
    this.fork = fork
  }

  /** Those of a pool. */
  static readonly make = Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const run = Effect.runForkWith(yield* Effect.context<never>())
    return new PoolBreakers(yield* RecordStore, () => MonotonicClock.exactMillis(clock), (effect) => void run(effect))
  })

  /** What is to be told before the end of an attempt is settled: the next one that tries must not start before that. */
  tell(
    attempt: Pick<EndedAttempt, "id" | "definition" | "task" | "isProtecting">,
    settlement: Settlement | undefined,
    exit: Exit.Exit<unknown, unknown> | undefined
  ): Effect.Effect<void> | undefined {
    const passes = Breaker.passesOf(attempt.task.gate)
    if (passes.length === 0 || settlement === undefined) return undefined
    const told = passes.flatMap((pass) => {
      if (attempt.isProtecting(pass)) return []
      const rule = attempt.definition.breakers.find(({ name }) => name === Breaker.nameOf(pass))
      const settings = rule?.settings ?? Breaker.defaultSettings
      if (settlement._tag === "Complete") return this.succeeded(pass, settings) ?? []
      const failure = failureOf(settlement)
      return failure === undefined || !counts(rule, failure, exit)
        ? []
        : this.failed(pass, settings, attempt.id, failure)
    })
    return told.length === 0 ? undefined : Effect.all(told, { discard: true })
  }

  /** The same, without waiting for it, for an attempt that was given up. Answers what it was given. */
  tellLater(attempt: Attempt, settlement: Settlement | undefined): Settlement | undefined {
    const told = this.tell(attempt, settlement, undefined)
    if (told !== undefined) this.fork(told)
    return settlement
  }

  opensInMs(pass: Gate.Pass, settings: Breaker.Settings): Effect.Effect<number> {
    return Effect.map(this.look(pass, settings), (look) => {
      const opensAt = look?.opensAt.get(pass)
      return look === undefined || opensAt === undefined ? 0 : Math.max(0, opensAt - this.storeNow(look))
    })
  }

  succeeded(pass: Gate.Pass, settings: Breaker.Settings): Effect.Effect<void> | undefined {
    const known = this.known(pass, settings)
    if (known !== undefined && !this.mayBeTried(known, pass)) return undefined
    const close = this.change(
      pass,
      settings,
      (state, now) => Breaker.isClosedBySuccess(state, now) ? null : undefined
    )
    return Effect.flatMap(
      this.look(pass, settings),
      (look) => look === undefined || this.mayBeTried(look, pass) ? close : Effect.void
    )
  }

  failed(
    pass: Gate.Pass,
    settings: Breaker.Settings,
    task: string,
    failure: Failure
  ): Effect.Effect<void> {
    return Effect.flatMap(this.look(pass, settings), (look) => {
      const opensAt = look?.opensAt.get(pass)
      // what was started before it opened says nothing new
      if (look !== undefined && opensAt !== undefined && this.storeNow(look) < opensAt - slackMs) return Effect.void
      const known = this.pending.get(pass)
      if (known !== undefined) {
        known.count++
        known.task = task
        known.failure = failure
        return Deferred.await(known.done)
      }
      const pending: Pending = { count: 1, task, failure, done: Deferred.makeUnsafe() }
      this.pending.set(pass, pending)
      this.fork(Effect.ensuring(
        Effect.andThen(
          this.paced(pass),
          this.writer.withPermits(1)(Effect.suspend(() => {
            this.pending.delete(pass)
            const { count, failure, task } = pending
            return this.change(
              pass,
              settings,
              (state, now) => Breaker.failed(state, settings, count, Breaker.lastOf(task, failure, now), now)
            )
          }))
        ),
        Effect.sync(() => Deferred.doneUnsafe(pending.done, Exit.void))
      ))
      return Deferred.await(pending.done)
    })
  }

  /** Waits where many writes of a breaker have just been begun: in a storm of failures the next ones are written together. */
  private paced(pass: Gate.Pass): Effect.Effect<void> {
    return Effect.suspend(() => {
      const now = this.monotonicMs()
      const pace = this.paces.get(pass)
      if (pace === undefined || now - pace.since >= paceMs) {
        if (this.paces.size >= maxPaces) this.paces.clear()
        this.paces.set(pass, { since: now, writes: 1 })
        return Effect.void
      }
      if (++pace.writes <= maxWrites) return Effect.void
      this.paces.set(pass, { since: pace.since + paceMs, writes: 1 })
      return Effect.sleep(Math.ceil(pace.since + paceMs - now))
    })
  }

  /** Changes a breaker, says so in the log, and remembers it. What the store does not take in time is not told. */
  private change(
    pass: Gate.Pass,
    settings: Breaker.Settings,
    decide: (state: Breaker.State, now: number) => Breaker.State | null | undefined
  ): Effect.Effect<void> {
    return BreakerRecords.change(pass, settings, decide).pipe(
      Effect.provideService(RecordStore, this.records),
      Effect.timeout(answerForMs),
      Effect.flatMap(({ after, before, now }) => {
        const opensAt = this.looks.get(Breaker.nameOf(pass))?.opensAt
        if (after.until === null) opensAt?.delete(pass)
        else opensAt?.set(pass, after.until)
        return after.until === before.until ? Effect.void : logChange(pass, after, now)
      }),
      Effect.catch((error) =>
        Effect.logWarning(`the breaker ${shown(pass)} was not told how an attempt ended: ${error.message}`)
      ),
      LogModule.within("breakers")
    )
  }

  /** What is known of a pass without asking, if that is new enough. */
  private known(pass: Gate.Pass, { openForMs }: Breaker.Settings): Look | undefined {
    const look = this.looks.get(Breaker.nameOf(pass))
    if (look === undefined || this.monotonicMs() - look.at > Math.min(maxLookMs, openForMs / 2)) return undefined
    return look.isWhole || look.opensAt.has(pass) ? look : undefined
  }

  /** The same, asked where it is not known. Nothing where the store does not answer, or has too many open keys to know. */
  private look(pass: Gate.Pass, settings: Breaker.Settings): Effect.Effect<Look | undefined> {
    return Effect.suspend(() => {
      const known = this.known(pass, settings)
      if (known !== undefined) return Effect.succeed(known)
      const name = Breaker.nameOf(pass)
      const asked = this.looking.get(name)
      if (asked !== undefined) return Deferred.await(asked)
      const answer = Deferred.makeUnsafe<Look | undefined>()
      this.looking.set(name, answer)
      this.fork(Effect.flatMap(this.read(name), (look) =>
        Effect.sync(() => {
          this.looking.delete(name)
          if (look !== undefined) this.looks.set(name, look)
          Deferred.doneUnsafe(answer, Exit.succeed(look))
        })))
      return Deferred.await(answer)
    }).pipe(Effect.map((look) => look === undefined || look.isWhole || look.opensAt.has(pass) ? look : undefined))
  }

  private read(name: string): Effect.Effect<Look | undefined> {
    return Effect.suspend(() => {
      const at = this.monotonicMs()
      return Effect.map(
        BreakerRecords.openOf(name),
        ({ isWhole, now, opensAt }): Look | undefined => ({ at, now, opensAt: new Map(opensAt), isWhole })
      )
    }).pipe(
      Effect.provideService(RecordStore, this.records),
      Effect.timeout(answerForMs),
      Effect.catch((error: StoreError | { readonly message: string }) =>
        Effect.as(Effect.logDebug(`the breaker ${name} cannot be looked at: ${error.message}`), undefined)
      ),
      LogModule.within("breakers")
    )
  }

  /** The store's clock, as far as it is known. */
  private storeNow({ at, now }: Look): number {
    return now + this.monotonicMs() - at
  }

  /** Whether a success may be that of a task that tries. */
  private mayBeTried(look: Look, pass: Gate.Pass): boolean {
    const opensAt = look.opensAt.get(pass)
    return opensAt !== undefined && this.storeNow(look) >= opensAt - slackMs
  }
}

const shown = (pass: Gate.Pass): string => pass.slice(1).replace(/=$/, "")

const logChange = (pass: Gate.Pass, { last, openings, until }: Breaker.State, now: number): Effect.Effect<void> =>
  until === null
    ? Effect.logInfo(`the breaker ${shown(pass)} is closed`)
    : Effect.logWarning(
      `the breaker ${shown(pass)} is open for ${Math.round(until - now)} ms` +
        `${openings > 1 ? `, the ${openings}th time in a row` : ""}: ${last?.tag}: ${last?.message}`
    )

/** What an attempt failed with, if it did. Data that does not fit says nothing about a dependency. */
const failureOf = (settlement: Settlement): TaskFailure | undefined =>
  (settlement._tag === "Retry" || settlement._tag === "Fail") && settlement.failure.kind !== "invalid"
    ? settlement.failure
    : undefined

/** Whether a failure is one of the dependency. */
const counts = (
  rule: Breaker.Rule<never> | undefined,
  { kind }: TaskFailure,
  exit: Exit.Exit<unknown, unknown> | undefined
): boolean => {
  if (rule?.countsAsFailure === undefined || kind === "timeout" || exit === undefined || Exit.isSuccess(exit)) {
    return true
  }
  const met = AttemptError.of(exit.cause, () => true)
  return met === undefined || isFailure(rule, met.error)
}
