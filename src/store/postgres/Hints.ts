/**
 * Hints through `NOTIFY`, on one channel per schema. Within the process they are delivered at once; to the others they
 * go merged, at most every few milliseconds, and outside of any transaction: a `NOTIFY` inside one takes a lock that
 * all commits of the database wait for. Hints of a transaction are sent when it has been committed.
 *
 * A listener that lost its connection subscribes again by itself, and then says that there may be work. Through a pooler
 * that shares sessions nothing can be heard: there polling finds the work of other processes.
 */
import type { PgClient } from "@effect/sql-pg/PgClient"
import { Clock, type Context, Effect, Latch, Option, Queue, Random, Schedule, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import * as LogModule from "../../domain/LogModule.ts"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import { inParentOnly } from "../../domain/Spans.ts"
import { decodeHints, type Hint, Listeners, type Notifier, Outbox, work } from "../Notifier.ts"

/** Time between two notifications of one process at least, in milliseconds. */
const mergeForMs = 5

/** What is lost in a crash of the server is found by polling, so a notification does not wait for the disk. */
const notify = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"

/** From a tenth of a second to five, for as long as it takes. */
const resubscribe = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])

/** Hints, and what the store adds to them. */
export interface Hints extends Context.Service.Shape<typeof Notifier> {
  /** This process waits for these tasks to end: the others shall say when they do. */
  readonly awaiting: (ids: ReadonlyArray<string>) => void
}

/** Subscribes and starts sending; both end with the scope. */
export const make = Effect.fnUntraced(function*(
  client: PgClient,
  channel: string,
  isShared: boolean
): Effect.fn.Return<Hints, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const from = String(yield* Random.nextIntBetween(0, 2 ** 48))
  const now = () => MonotonicClock.millis(clock)
  const listeners = new Listeners()
  const outbox = new Outbox()
  // A process that still waits says so again. Ends of other tasks are announced to none, for they would fill the channel
  const awaitedHere = new Remembered(awaitedForMs)
  const awaitedElsewhere = new Remembered(awaitedForMs)
  // Word that a task is awaited may have been on its way when it ended
  const recent = new Remembered(recentForMs)
  const some = Latch.makeUnsafe(false)
  let sentAt = -Infinity
  let hears = false

  const post = (hint: Hint): void => {
    if (hint._tag === "Finished") {
      recent.add(hint.ids, now())
      outbox.add("finished", awaitedElsewhere.among(hint.ids, now()))
    } else outbox.post(hint)
    if (!outbox.isEmpty) some.openUnsafe()
  }

  const received = (payload: string): void => {
    const message = Option.getOrUndefined(decodeHints(payload))
    // a message of another version that this one cannot read may say anything
    if (message === undefined) return listeners.tell(work)
    if (message.from === from) return
    if (message.awaited !== undefined) {
      awaitedElsewhere.add(message.awaited, now(), repeatAfterMs)
      post({ _tag: "Finished", ids: recent.among(message.awaited, now()) })
    }
    listeners.tellAll(message)
  }

  const subscription = Effect.scoped(Effect.gen(function*() {
    const notifications = yield* client.listen(channel)
    yield* Effect.acquireRelease(Effect.sync(() => hears = true), () => Effect.sync(() => hears = false))
    // what was announced while the listener was down
    listeners.tellAll({ work: true, events: true })
    return yield* Effect.forever(Effect.map(Queue.take(notifications), ({ payload }) => received(payload)))
  }))
  const warn = (error: SqlError) =>
    ofStore(Effect.logWarning(`hints of other processes do not arrive, polling goes on: ${error.message}`))
  if (isShared) {
    yield* ofStore(Effect.logWarning(
      "a connection pooler shares the server's sessions, so LISTEN hears nothing: polling finds the work of other processes"
    ))
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
    yield* inParentOnly(client.unsafe(notify, [channel, JSON.stringify({ from, ...next })]))
  })
  // a hint that cannot be sent is found by polling
  yield* Effect.forkScoped(Effect.forever(Effect.ignoreCause(send)))

  return {
    publish: (hint) =>
      client.afterCommit(Effect.sync(() => {
        listeners.tell(hint)
        post(hint)
      })),
    arriving: Effect.sync(() => hears ? "hints" : "polling"),
    awaiting: (ids) => {
      outbox.add("awaited", awaitedHere.add(ids, now(), repeatAfterMs))
      if (!outbox.isEmpty) some.openUnsafe()
    },
    listen: listeners.listen
  }
})

/** How long a word that an id is awaited is good for, in milliseconds. */
const awaitedForMs = 15_000

/** How long before it is said again. */
const repeatAfterMs = 5000

/** How long an id that ended here is known, in milliseconds. */
const recentForMs = 1000

/** Ids remembered at most; those beyond are found by polling. */
const maxIds = 20_000

/** Ids that are remembered for a while. */
class Remembered {
  /** Until when each is, oldest first. */
  private readonly until = new Map<string, number>()
  private readonly forMs: number

  constructor(forMs: number) {
    this.forMs = forMs
  }

  /** Takes note of ids; answers those that were not known, or not taken note of for so long. */
  add(ids: ReadonlyArray<string>, now: number, unlessWithinMs = 0): ReadonlyArray<string> {
    this.forget(now)
    return ids.filter((id) => {
      const until = this.until.get(id)
      if (until === undefined ? this.until.size >= maxIds : until - this.forMs + unlessWithinMs > now) return false
      // to the end of the order
      this.until.delete(id)
      this.until.set(id, now + this.forMs)
      return true
    })
  }

  /** Those of some ids that are remembered. */
  among(ids: ReadonlyArray<string>, now: number): ReadonlyArray<string> {
    if (this.until.size === 0) return []
    this.forget(now)
    return ids.filter((id) => this.until.has(id))
  }

  private forget(now: number): void {
    for (const [id, until] of this.until) {
      if (until > now) return
      this.until.delete(id)
    }
  }
}

const ofStore = LogModule.within("store")
