/**
 * Hints through `NOTIFY`, on one channel per schema. Within the process they are delivered at once; to the others they
 * go merged, at most every few milliseconds, and outside of any transaction: a `NOTIFY` inside one takes a lock that
 * all commits of the database wait for. Hints of a transaction are sent when it has been committed.
 *
 * A listener that lost its connection subscribes again by itself, and then says that there may be work. Through a pooler
 * that shares sessions nothing can be heard: there polling finds the work of other processes.
 */
import type { PgClient } from "@effect/sql-pg/PgClient"
import { Clock, type Context, Effect, Latch, Option, Queue, Schedule, Schema, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import type { SqlError } from "effect/sql/SqlError"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import { events, type Hint, type Notifier, work } from "../Notifier.ts"
import { Awaited } from "./Awaited.ts"
import { Outbox } from "./Outbox.ts"
import { Recent } from "./Recent.ts"

/** Time between two notifications of one process at least, in milliseconds. */
const mergeForMs = 5

/** A notification: who sent it, and the hints in it. */
const Message = Schema.fromJsonString(Schema.Struct({
  from: Schema.String,
  work: Schema.optionalKey(Schema.Boolean),
  events: Schema.optionalKey(Schema.Boolean),
  cancel: Schema.optionalKey(Schema.Array(Schema.String)),
  finished: Schema.optionalKey(Schema.Array(Schema.String)),
  awaited: Schema.optionalKey(Schema.Array(Schema.String))
}))

const decode = Schema.decodeUnknownOption(Message)
const encode = Schema.encodeEffect(Message)

/** From a tenth of a second to five, for as long as it takes. */
const resubscribe = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])

/** Hints, and what the store adds to them. */
export interface PostgresNotifier extends Context.Service.Shape<typeof Notifier> {
  /** This process waits for these tasks to end: the others shall say when they do. */
  readonly awaiting: (ids: ReadonlyArray<string>) => void
}

/** Subscribes and starts sending; both end with the scope. */
export const make = Effect.fnUntraced(function*(
  client: PgClient,
  channel: string,
  isShared: boolean
): Effect.fn.Return<PostgresNotifier, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const from = yield* Effect.provide(
    Effect.flatMap(SecureRandom.SecureRandom, (random) => random.uuidV4()),
    SecureRandom.layerWebCrypto
  )
  const now = () => MonotonicClock.millis(clock)
  const listeners = new Set<(hint: Hint) => void>()
  const outbox = new Outbox()
  const awaitedHere = new Awaited()
  const awaitedElsewhere = new Awaited()
  const recent = new Recent()
  const some = Latch.makeUnsafe(false)
  let sentAt = -Infinity
  let hears = false

  const tell = (hint: Hint): void => {
    for (const listener of listeners) listener(hint)
  }

  const post = (hint: Hint): void => {
    if (hint._tag === "Work") outbox.flag("work")
    else if (hint._tag === "Events") outbox.flag("events")
    else if (hint._tag === "Cancel") outbox.add("cancel", hint.ids)
    else {
      recent.add(hint.ids, now())
      outbox.add("finished", awaitedElsewhere.among(hint.ids, now()))
    }
    if (!outbox.isEmpty) some.openUnsafe()
  }

  const received = (payload: string): void => {
    const message = Option.getOrUndefined(decode(payload))
    // a message of another version that this one cannot read may say anything
    if (message === undefined) return tell(work)
    if (message.from === from) return
    if (message.awaited !== undefined) {
      awaitedElsewhere.add(message.awaited, now())
      post({ _tag: "Finished", ids: recent.among(message.awaited, now()) })
    }
    if (message.work === true) tell(work)
    if (message.events === true) tell(events)
    if (message.cancel !== undefined) tell({ _tag: "Cancel", ids: message.cancel })
    if (message.finished !== undefined) tell({ _tag: "Finished", ids: message.finished })
  }

  const subscription = Effect.scoped(Effect.gen(function*() {
    const notifications = yield* client.listen(channel)
    yield* Effect.acquireRelease(Effect.sync(() => hears = true), () => Effect.sync(() => hears = false))
    // what was announced while the listener was down
    tell(work)
    tell(events)
    return yield* Effect.forever(Effect.map(Queue.take(notifications), ({ payload }) => received(payload)))
  }))
  const warn = (error: SqlError) =>
    Effect.logWarning(`hints of other processes do not arrive, polling goes on: ${error.message}`)
  if (isShared) {
    yield* Effect.logWarning(
      "a connection pooler shares the server's sessions, so LISTEN hears nothing: polling finds the work of other processes"
    )
  } else {
    yield* subscription.pipe(
      Effect.tapError(warn),
      Effect.retry(resubscribe),
      Effect.ignore,
      Effect.forkScoped
    )
  }

  const send = Effect.gen(function*() {
    yield* some.await
    // the idle pool of this process was told too: two turns later its claim is on its way, which would wait for this
    yield* Effect.yieldNow
    yield* Effect.yieldNow
    const wait = sentAt + mergeForMs - now()
    if (wait > 0) yield* Effect.sleep(wait)
    sentAt = now()
    const next = outbox.take()
    if (outbox.isEmpty) some.closeUnsafe()
    yield* client.notify(channel, yield* Effect.orDie(encode({ from, ...next })))
  })
  // a hint that cannot be sent is found by polling
  yield* Effect.forkScoped(Effect.forever(Effect.ignoreCause(send)))

  return {
    publish: (hint) =>
      client.afterCommit(Effect.sync(() => {
        tell(hint)
        post(hint)
      })),
    arriving: Effect.sync(() => hears ? "hints" : "polling"),
    awaiting: (ids) => {
      outbox.add("awaited", awaitedHere.add(ids, now()))
      if (!outbox.isEmpty) some.openUnsafe()
    },
    listen: (listener) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => listeners.add(listener)),
        () => Effect.sync(() => listeners.delete(listener))
      ))
  }
})
