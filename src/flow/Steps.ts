/**
 * The steps of one attempt. A step that has ended is not run again: its end is kept before the handler goes on, for every later attempt.
 *
 * ```text
 * run ─► ended before? ─yes─► what it gave
 *          │ no
 *          ▼
 *        the steps have changed? ─yes─► StepsChanged, and nothing is run
 *          │ no
 *          ▼
 *        take over: the record names this attempt's claim from now on
 *          ▼
 *        the effect ─► its end is put, in place of the version that was read ─► what it gave
 * ```
 *
 * The version is the fence: an attempt that lost its task finds another one, and a later claim in the record. A crash between an effect
 * and its put runs the effect again in the next attempt. A task without steps pays nothing for any of this.
 */
import { Clock, Duration, Effect, type Exit, Latch, Semaphore } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { StepRefused, StepsChanged } from "../domain/StepErrors.ts"
import type { StepOptions } from "../domain/StepOptions.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import * as Tracing from "../observability/Tracing.ts"
import { absent, type Change, type RecordStore } from "../store/RecordStore.ts"
import * as Signals from "./SignalRecords.ts"
import type { StepCodec } from "./StepCodec.ts"
import { asking, type Restore, type StepHost, StepJournal } from "./StepJournal.ts"
import * as StepRecords from "./StepRecords.ts"
import { CurrentStep, type StepRunner } from "./StepRunner.ts"

/** How long a step that looks new waits for those that run at the same time, while they may still ask for what has ended. */
const patience = Duration.seconds(1)

/** Turns that other fibers have to begin a step before an attempt goes to sleep. */
const turnsOfOthers = 10

/** The steps of one attempt. */
export class Steps implements StepRunner {
  private readonly task: ClaimedTask
  private readonly options: StepOptions
  private readonly records: RecordStore["Service"]
  private readonly snooze: (delay: Duration.Input) => Effect.Effect<never>
  private readonly journal: StepJournal
  private readonly random: Effect.Effect<string>
  private readonly inTransaction: Effect.Effect<boolean>
  /** One makes a token at a time. */
  private readonly tokens = Semaphore.makeUnsafe(1)
  /** Those that ended in earlier attempts, and that this one has not asked for. */
  private unasked = new Set<string>()
  private readonly allAsked = Latch.makeUnsafe(true)
  /** What this attempt has asked for, and is not to ask for again. */
  private readonly asked = new Set<string>()
  /** The same with those that were interrupted, as the slower one of a race is. */
  private readonly everAsked = new Set<string>()
  /** Steps on their way, those that only wait for time or a signal left out. */
  private busy = 0
  private readonly idle = Latch.makeUnsafe(true)
  /** How long those wait, in milliseconds of this process's clock. */
  private readonly wakeTimes = new Set<number>()

  constructor(
    task: ClaimedTask,
    options: StepOptions,
    host: StepHost,
    snooze: (delay: Duration.Input) => Effect.Effect<never>
  ) {
    this.task = task
    this.options = options
    this.records = host.records
    this.random = host.random
    this.inTransaction = host.inTransaction
    this.snooze = snooze
    this.journal = new StepJournal(task, host, () => {
      const ended = [...this.journal.ends].filter(([, end]) => end._tag !== "Wait")
      this.unasked = new Set(
        ended.map(([name]) => name).filter((name) => !this.everAsked.has(name) && !this.options.retired.includes(name))
      )
    })
  }

  /** Runs a step, or gives what it gave in an earlier attempt. */
  run<A, E, R, B, E2>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    codec: StepCodec<B, E2>
  ): Effect.Effect<B, E | E2, R> {
    return this.working((restore) =>
      Effect.gen({ self: this }, function*() {
        const known = yield* restore(this.begin(name))
        if (known !== undefined) return yield* codec.decode(this.task.id, name, known)
        const note = yield* this.noting(name)
        this.journal.running.add(name)
        const exit = yield* Effect.exit(restore(Tracing.ofStep(name, Effect.provideService(effect, CurrentStep, name))))
        this.journal.running.delete(name)
        const end = codec.encode(exit)
        if (end === undefined) {
          this.asked.delete(name)
          return yield* exit as Exit.Exit<never, E>
        }
        yield* this.journal.keep(note(end), restore)
        return yield* codec.decode(this.task.id, name, end)
      })
    )
  }

  /** Ends the attempt until the time has passed since the first attempt that came here. */
  sleep(name: string, duration: Duration.Input): Effect.Effect<void> {
    return Effect.flatMap(
      this.working((restore) =>
        Effect.gen({ self: this }, function*() {
          const invalid = Bounds.refuse("duration", Bounds.delay, duration ?? Number.NaN)
          if (invalid !== undefined) return yield* Effect.die(invalid)
          const known = yield* restore(this.begin(name))
          if (known !== undefined && known._tag !== "Sleep") {
            return yield* this.refuse(name, "was no sleep in an earlier attempt")
          }
          if (known?.over === true) return 0
          const [now, note] = [yield* restore(this.storeNow), yield* this.noting(name)]
          // With the next end that is kept: what comes after a sleep never sees it begin again
          if (known !== undefined && known.until <= now) this.journal.note(note({ ...known, over: true }))
          if (known !== undefined) return known.until - now
          const ms = Math.ceil(Duration.toMillis(duration))
          yield* this.journal.keep(note({ _tag: "Sleep", until: now + ms }), restore)
          return ms
        })
      ),
      (leftMs) => leftMs <= 0 ? Effect.void : this.suspend(leftMs)
    )
  }

  /** Ends the attempt until a signal is completed, or the time since the first attempt that came here has passed. */
  waitFor<A, E>(
    name: string,
    signal: { readonly name: string; readonly token?: string | undefined },
    codec: StepCodec<A, E>,
    timeout?: Duration.Input
  ): Effect.Effect<A, E> {
    return this.working((restore) =>
      Effect.gen({ self: this }, function*() {
        const invalid = Bounds.refuse("timeout", Bounds.delay, timeout)
        if (invalid !== undefined) return yield* Effect.die(invalid)
        const token = signal.token ?? (yield* this.token(signal.name))
        const known = yield* restore(this.begin(name))
        if (known !== undefined && known._tag !== "Wait") return known
        if (known !== undefined && known.token !== token) {
          return yield* this.refuse(name, "waited for another signal in an earlier attempt")
        }
        const now = yield* restore(this.storeNow)
        const untilMs = timeout === undefined ? null : now + Math.ceil(Duration.toMillis(timeout))
        const wait = known ?? { _tag: "Wait", token, since: now, until: untilMs } as const
        const end = yield* this.ended(name, wait, now, known !== undefined, restore)
        return typeof end === "number" ? yield* restore(this.journal.untilExpiry(end, now)) : end
      })
    ).pipe(
      Effect.flatMap((end) => typeof end === "number" ? this.suspend(end) : codec.decode(this.task.id, name, end))
    )
  }

  /** How a wait ended, as it is kept from now on; or for how many milliseconds the task has to sleep. */
  private ended(
    name: string,
    wait: Extract<StepRecords.End, { readonly _tag: "Wait" }>,
    now: number,
    isKept: boolean,
    restore: Restore
  ): Effect.Effect<StepRecords.End | number> {
    const { token, until } = wait
    const waiterId = Signals.waiterId(token, this.task.id)
    return Effect.gen({ self: this }, function*() {
      const note = yield* this.noting(name)
      for (;;) {
        // The waiter first: what is completed after that finds it
        const [waiter] = yield* restore(asking(this.records.get(Signals.waiterKind, [waiterId])))
        const [signal] = yield* restore(asking(this.records.get(Signals.kind, [token])))
        const document = Signals.documentOf(signal)
        const isOver = until !== null && now >= until
        const leaving: ReadonlyArray<Change> = waiter === undefined
          ? []
          : [{ kind: Signals.waiterKind, id: waiterId, expects: waiter.version, document: null }]
        const end: StepRecords.End | undefined = !Signals.hasEnded(document)
          ? isOver ? { _tag: "TimedOut", token } : undefined
          : document.end._tag === "TimedOut"
          ? { _tag: "TimedOut", token }
          : document.end
        if (end === undefined && waiter !== undefined && isKept) {
          return until === null
            ? StepRecords.forEverMs
            : until - now
        }
        const closing = end !== undefined && document?.end === null && document.task !== null
          ? [Signals.closed(token, signal!.version, document, now)]
          : []
        const put = end === undefined
          ? this.journal.keepWith(note(wait), [Signals.waiting(token, this.task, waiter?.version ?? absent)], restore)
          : this.journal.keepWith(note(end), [...leaving, ...closing], restore)
        const isPut = yield* Effect.match(put, { onSuccess: () => true, onFailure: () => false })
        if (!isPut) continue
        if (end !== undefined) return end
        isKept = true
      }
    })
  }

  /** The token of the task for signals of a name: made once, and stored with the signal. */
  token(signal: string): Effect.Effect<string> {
    const name = `token of ${signal}`
    return this.working((restore) =>
      this.tokens.withPermit(Effect.gen({ self: this }, function*() {
        const invalid = Bounds.refuse("signal", Signals.name, signal)
        if (invalid !== undefined) return yield* Effect.die(invalid)
        const known = this.asked.has(name) ? this.journal.ends.get(name) : yield* restore(this.begin(name))
        if (known?._tag === "Value" && Signals.isTokenOf(signal, known.value)) return known.value
        if (known !== undefined) return yield* this.refuse(name, "is another step than the token")
        const token = Signals.taskToken(signal, yield* this.random)
        const note = yield* this.noting(name)
        const made = Signals.made(token, signal, this.task.id)
        yield* Effect.orDie(this.journal.keepWith(note({ _tag: "Value", value: token }), [made], restore))
        return token
      }))
    )
  }

  /** At the end of a handler that succeeded: says so where steps have ended that it did not ask for. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (this.unasked.size === 0) return Effect.void
    const unasked = [...this.unasked].slice(0, StepRecords.maxNamed)
    const names = unasked.map((name) => JSON.stringify(name)).join(", ")
    const warning = Effect.logWarning(`The handler did not ask for steps that ended in an earlier attempt: ${names}`)
    return Effect.andThen(warning, this.journal.noteUnasked(unasked))
  })

  /** What counts as work until it ends: an attempt does not go to sleep over it. */
  private working<A, E, R>(work: (restore: Restore) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        this.busy++
        this.idle.closeUnsafe()
        return Effect.ensuring(
          work(restore),
          Effect.sync(() => {
            if (--this.busy === 0) this.idle.openUnsafe()
          })
        )
      })
    )
  }

  /** Ends the attempt once no step is on its way, until the first of those that wait has to go on. */
  private suspend(forMs: number): Effect.Effect<never> {
    return Effect.gen({ self: this }, function*() {
      const clock = yield* Clock.Clock
      this.wakeTimes.add(MonotonicClock.millis(clock) + forMs)
      do {
        yield* this.idle.await
        // What comes after a step that has just ended may be another one
        for (let turn = 0; turn < turnsOfOthers; turn++) yield* Effect.yieldNow
      } while (this.busy > 0)
      return yield* this.snooze(Math.max(1, Math.min(...this.wakeTimes) - MonotonicClock.millis(clock)))
    })
  }

  /** The clock that times of sleeps are of, whichever instance goes on. */
  private readonly storeNow: Effect.Effect<number> = Effect.suspend(() =>
    Effect.map(asking(this.records.due(StepRecords.clockKind, 1)), ({ now }) => now)
  )

  /** Makes entries of ends: with the time from here on. */
  private noting(name: string): Effect.Effect<(end: StepRecords.End) => StepRecords.Entry> {
    return Effect.map(Clock.Clock, (clock) => {
      const startedAt = clock.currentTimeMillisUnsafe()
      const begin = MonotonicClock.exactMillis(clock)
      return (end) => {
        const ms = Math.round((MonotonicClock.exactMillis(clock) - begin) * 1000) / 1000
        return { name, attempt: this.task.attempt, startedAt, ms, end }
      }
    })
  }

  /** What a step gave before; nothing when it may run now. */
  private begin(name: string): Effect.Effect<StepRecords.End | undefined> {
    return Effect.gen({ self: this }, function*() {
      const invalid = Bounds.refuse("step", StepRecords.name, name ?? "")
      if (invalid !== undefined) return yield* Effect.die(invalid)
      const outer = yield* CurrentStep
      if (outer !== undefined) {
        return yield* this.refuse(name, `is inside step ${JSON.stringify(outer)}, and steps hold no others`)
      }
      if (this.asked.has(name)) {
        return yield* this.refuse(
          name,
          "was asked for before in this attempt: give each step a name of its own, and put what repeats a step inside it"
        )
      }
      if (yield* this.inTransaction) {
        return yield* this.refuse(
          name,
          "is inside a transaction, which could take its end back: open that inside the step"
        )
      }
      this.asked.add(name)
      this.everAsked.add(name)
      return yield* Effect.onError(this.permit(name), () => Effect.sync(() => this.asked.delete(name)))
    })
  }

  private permit(name: string): Effect.Effect<StepRecords.End | undefined> {
    return Effect.gen({ self: this }, function*() {
      const { journal } = this
      yield* journal.loaded
      this.unasked.delete(name)
      if (this.unasked.size === 0) this.allAsked.openUnsafe()
      // Those that race with it are to be asked for before one of them has won
      if (journal.ends.has(name)) return yield* Effect.map(Effect.yieldNow, () => journal.ends.get(name))
      if (!journal.ranBefore.has(name)) yield* this.demandUnchanged(name)
      const { bytes, count } = journal.size
      if (count >= StepRecords.maxSteps) {
        return yield* this.refuse(name, `is one too many: a task has ${StepRecords.maxSteps} steps at most`)
      }
      if (bytes >= StepRecords.maxTaskBytes) {
        return yield* this.refuse(
          name,
          `has no room: the ends of a task's steps have ${StepRecords.maxTaskBytes} bytes at most`
        )
      }
      yield* journal.taken
      // An attempt that did not know that it had lost the task may have ended it until then
      return journal.ends.get(name)
    })
  }

  /** A step that nothing knows, while others have ended that this attempt has not asked for, may be one of these under another name. */
  private demandUnchanged(name: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.options.onChanged === "run" || this.unasked.size === 0) return Effect.void
      this.allAsked.closeUnsafe()
      return Effect.flatMap(Effect.timeoutOption(this.allAsked.await, patience), () => {
        const unasked = [...this.unasked].slice(0, StepRecords.maxNamed)
        return unasked.length === 0
          ? Effect.void
          : Effect.die(new StepsChanged({ id: this.task.id, step: name, unasked }))
      })
    })
  }

  private refuse(step: string, reason: string): Effect.Effect<never> {
    return Effect.die(new StepRefused({ id: this.task.id, step, reason }))
  }
}
