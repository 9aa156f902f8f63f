/**
 * Signals: what tasks wait for, completed from outside, once. A signal is a record of the kind `signal` whose id is its token. A task that
 * waits leaves a record of the kind `signal-waiter`, sleeps, and is brought forward when the signal is completed.
 *
 * ```text
 * the waiter                                 the one that completes
 *   puts that it waits                         puts the end, if there is none
 *   reads the signal: no end                   reads who waits
 *   sleeps                                     brings them forward, page by page
 * ```
 *
 * Each writes before it reads, so one of them sees the other. What a crash leaves in between is found by `Waker`: a signal with an
 * end is due until all that waited for it have been brought forward, and so is a waiter until it has been seen that its signal has none.
 */
import { Context, type DateTime, Effect, Layer, type Scope } from "effect"
import { InvalidOption, type RecordConflict, type StoreError } from "../domain/Errors.ts"
import * as JsonText from "../domain/JsonText.ts"
import { sameJson } from "../domain/SameJson.ts"
import { SignalConflict, SignalNotFound } from "../domain/StepErrors.ts"
import { utcOrNull } from "../domain/StoredTime.ts"
import { absent, RecordStore, type StoredRecord } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as SignalRecords from "./SignalRecords.ts"
import * as StepRecords from "./StepRecords.ts"

/** A signal. */
export interface Signal {
  readonly token: string
  readonly name: string
  /** The task whose token it is; `null` for an event, which any task may wait for. */
  readonly task: string | null
  readonly end: SignalRecords.SignalEnd | { readonly _tag: "TimedOut" } | null
  readonly completedAt: DateTime.Utc | null
}

/** Waits between the looks at tasks that run while they are to be brought forward: they are about to sleep. */
const looksAgain = ["20 millis", "100 millis", "500 millis"] as const

/** Completes signals, and tells how they are. */
export class Signals extends Context.Service<Signals, {
  /**
   * Completes a signal: the first one counts. With what is kept already it changes nothing; another end is a `SignalConflict`. An event
   * may be completed before any task waits for it, and is kept for 30 days.
   */
  readonly complete: (
    token: string,
    end: SignalRecords.SignalEnd
  ) => Effect.Effect<Signal, SignalConflict | SignalNotFound | InvalidOption | StoreError>
  readonly get: (token: string) => Effect.Effect<Signal, SignalNotFound | StoreError>
}>()("taskforge/flow/Signals") {
  /** On whichever store is provided. */
  static readonly layer: Layer.Layer<Signals, never, TaskStore | RecordStore> = Layer.effect(
    Signals,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function*() {
  const store = yield* RecordStore
  const tasks = yield* TaskStore
  const scope: Scope.Scope = yield* Effect.scope
  const stores = Context.make(RecordStore, store).pipe(Context.add(TaskStore, tasks))

  /** Brings the tasks forward that wait. What fails is done by the `Waker`. */
  const wakeAll = (token: string) =>
    Effect.gen(function*() {
      if ((yield* SignalRecords.wake(token)) === 0) return
      const again = Effect.gen(function*() {
        for (const time of looksAgain) {
          yield* Effect.sleep(time)
          if ((yield* SignalRecords.wake(token)) === 0) return
        }
      })
      yield* Effect.forkIn(Effect.ignore(again), scope)
    }).pipe(Effect.ignore, Effect.provideContext(stores))

  /** A signal that is stored. One whose task is gone is none; its record is deleted some hours later. */
  const read = Effect.fnUntraced(function*(
    token: string
  ): Effect.fn.Return<{ readonly record?: StoredRecord; readonly known?: SignalRecords.Document }, StoreError> {
    if (!SignalRecords.tokenPattern.test(token)) return {}
    const [record] = yield* Effect.catchTag(store.get(SignalRecords.kind, [token]), "InvalidOption", Effect.die)
    if (record === undefined) return {}
    const known = SignalRecords.documentOf(record)
    if (known === undefined) return { record }
    const gone = known.task === null
      ? undefined
      : yield* Effect.provideContext(SignalRecords.goneOf([known.task]), stores)
    return gone?.size === 1 ? {} : { record, known }
  })

  const complete = (
    token: string,
    end: SignalRecords.SignalEnd
  ): Effect.Effect<Signal, SignalConflict | SignalNotFound | InvalidOption | RecordConflict | StoreError> =>
    Effect.gen(function*() {
      const { now } = yield* store.due(StepRecords.clockKind, 1)
      const { known, record } = yield* read(token)
      if (known === undefined && !SignalRecords.isEvent(token)) return yield* new SignalNotFound({ token })
      if (SignalRecords.hasEnded(known)) {
        if (sameJson(JSON.stringify(known.end), JSON.stringify(end))) return viewOf(token, known)
        return yield* new SignalConflict({ token, kept: known.end })
      }
      const document: SignalRecords.Document = {
        ...known ?? { name: token.slice(0, token.indexOf(":")), task: null },
        end,
        completedAt: now
      }
      const expects = record?.version ?? absent
      yield* store.put([{
        kind: SignalRecords.kind,
        id: token,
        expects,
        document: JSON.stringify(document),
        dueInMs: SignalRecords.repairInMs
      }])
      yield* tasks.afterCommit(wakeAll(token))
      return viewOf(token, document)
    })

  return Signals.of({
    complete: Effect.fnUntraced(function*(token, end) {
      const text = JsonText.encode(end, StepRecords.maxResultBytes)
      if (text._tag === "Failure") {
        const expected = `JSON of at most ${StepRecords.maxResultBytes} bytes`
        return yield* new InvalidOption({ option: "value", found: StepRecords.issueOf(text.cause), expected, index: 0 })
      }
      return yield* complete(token, JSON.parse(text.value) as SignalRecords.SignalEnd).pipe(
        // Another one was faster
        Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict", times: 20 }),
        Effect.catchTag("RecordConflict", Effect.die)
      )
    }),
    get: Effect.fnUntraced(function*(token) {
      const { known } = yield* read(token)
      return known === undefined ? yield* new SignalNotFound({ token }) : viewOf(token, known)
    })
  })
})

const viewOf = (token: string, { completedAt, end, name, task }: SignalRecords.Document): Signal => ({
  token,
  name,
  task,
  end,
  completedAt: utcOrNull(completedAt)
})
