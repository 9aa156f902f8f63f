/**
 * Gives events to subscribers, whichever process they happened in. One reader of the log per process, woken by hints and by
 * the poll interval, fills a bounded queue per subscriber. A subscriber whose queue is full is dropped, so the others never
 * wait for it.
 */
import {
  type Cause,
  Clock,
  Context,
  type DateTime,
  Duration,
  Effect,
  Latch,
  Layer,
  Option,
  Queue,
  type Scope,
  Semaphore,
  Stream
} from "effect"
import type { StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { utc } from "../domain/StoredTime.ts"
import type { TaskEvent } from "../domain/TaskEvent.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { EventLog } from "../store/EventLog.ts"
import { events as hint, Notifier } from "../store/Notifier.ts"

/** What a subscriber gets: an event, `gap` where events are missing, or `idle` after some seconds without any. */
export type Item = WatchedEvent | "gap" | "idle"

/** What a subscriber wants. */
export interface Subscription {
  /** The number of the last event that it has seen; without, it begins with what happens next. */
  readonly after?: number | undefined
  /** Whether an event is for it. */
  readonly matches: (event: WatchedEvent) => boolean
  /** Begin with `idle`, so that a client sees at once that it is connected. */
  readonly greet?: boolean | undefined
  /** Called when it does not keep up; nothing more comes. */
  readonly onDropped: () => void
}

/** Which events are wanted: all of them, unless types, queues or tasks are named. */
export interface Filter {
  readonly types?: ReadonlyArray<string> | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  readonly ids?: ReadonlyArray<string> | undefined
}

/** What a program watches. */
export interface WatchOptions extends Filter {
  /** The number of the last event that it has seen; without, it begins with what happens next. */
  readonly after?: number | undefined
}

/** An event as a program sees it. */
export interface WatchedEvent extends Omit<TaskEvent, "at" | "step" | "after" | "delayMs"> {
  /** When it was logged, by the store's clock. */
  readonly at: DateTime.Utc
  /** Wait before the task is due again. */
  readonly delay?: Duration.Duration
}

const watched = ({ after: _after, at, delayMs, step: _step, ...event }: TaskEvent): WatchedEvent => ({
  ...event,
  at: utc(at),
  ...(delayMs === undefined ? {} : { delay: Duration.millis(delayMs) })
})

/** Whether an event is wanted. */
export const matching = (filter: Filter): (event: WatchedEvent) => boolean => {
  const [types, queues, ids] = [filter.types, filter.queues, filter.ids].map((names) => names && new Set(names))
  return (event) =>
    types?.has(event.type) !== false && queues?.has(event.queue) !== false && ids?.has(event.id) !== false
}

/** Items that may wait for a subscriber. */
const capacity = 1024

/** Events read together. */
const pageSize = 500

/** How often the log is looked at when no hint comes. */
const pollMs = 1000

/** After how long without events subscribers get `idle`. Sending it also shows which connections are dead. */
const idleAfterMs = 15_000

/** How long writers go on recording after the last subscriber has gone, so that one that comes back misses nothing. */
const attendForMs = 120_000

interface Subscriber extends Subscription {
  readonly queue: Queue.Queue<Item, Cause.Done>
}

/** The events of one store. */
export class EventFeed extends Context.Service<EventFeed, {
  /** Items until the scope closes, the feed does, or the subscriber is dropped. */
  readonly subscribe: (
    subscription: Subscription
  ) => Effect.Effect<Stream.Stream<Item, StoreError>, StoreError, Scope.Scope>
  /**
   * What happens to tasks, in whichever process, for a program on the same store. A reader that does not keep up reads on
   * from the log; `gap` says that events are missing.
   *
   * @example
   * ```ts
   * const program = Effect.gen(function*() {
   *   const feed = yield* EventFeed
   *   yield* feed.watch({ types: ["email"] }).pipe(
   *     Stream.runForEach((item) => item === "gap" ? Effect.void : Effect.log(`${item.event} ${item.id}`))
   *   )
   * })
   *
   * program.pipe(Effect.provide(EventFeed.layer), Effect.provide(EngineLive))
   * ```
   */
  readonly watch: (options?: WatchOptions) => Stream.Stream<WatchedEvent | "gap", StoreError>
  /** Ends all subscriptions. */
  readonly close: Effect.Effect<void>
}>()("taskforge/events/EventFeed") {
  /** Reads the log of the store around it, while there are subscribers. */
  static readonly layer: Layer.Layer<EventFeed, never, EventLog | Notifier | Supervisor> = Layer.effect(
    EventFeed,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function*() {
  const log = yield* EventLog
  const notifier = yield* Notifier
  const supervisor = yield* Supervisor
  const clock = yield* Clock.Clock
  const now = () => MonotonicClock.millis(clock)
  const subscribers = new Set<Subscriber>()
  const someone = Latch.makeUnsafe(false)
  const news = Latch.makeUnsafe(false)
  const turn = Semaphore.makeUnsafe(1)
  let place = 0
  let attendedAt = -Infinity
  let askedAt = -Infinity
  let idleSince = now()

  const offer = (subscriber: Subscriber, item: Item): void => {
    if (Queue.offerUnsafe(subscriber.queue, item)) return
    subscribers.delete(subscriber)
    Queue.endUnsafe(subscriber.queue)
    subscriber.onDropped()
  }

  const deliver = (events: ReadonlyArray<WatchedEvent>, gap: boolean): void => {
    for (const subscriber of subscribers) {
      if (gap) offer(subscriber, "gap")
      for (const event of events) {
        if (!subscribers.has(subscriber)) break
        if (subscriber.matches(event)) offer(subscriber, event)
      }
    }
  }

  const read = (after: number) =>
    Effect.map(log.read(after, pageSize), (page) => ({ ...page, events: page.events.map(watched) }))

  /** Delivers what is new. A page at a time, so that other fibers run between. */
  const readAll = turn.withPermit(Effect.gen(function*() {
    while (true) {
      const { events, gap, next } = yield* read(place)
      place = next
      if (gap || events.length > 0) {
        idleSince = now()
        deliver(events, gap)
      }
      if (events.length === 0) return
      yield* Effect.yieldNow
    }
  }))

  const attend = Effect.suspend(() => {
    if (now() - attendedAt < attendForMs / 4) return Effect.void
    attendedAt = now()
    return Effect.onError(log.attend(attendForMs), () =>
      Effect.sync(() => {
        attendedAt = -Infinity
      }))
  })

  /** Attends again where the log does not know of it any more: the store's clock may have been set forward. */
  const attendStill = Effect.gen(function*() {
    yield* attend
    if (now() - askedAt < pollMs) return
    askedAt = now()
    if ((yield* log.attended) !== undefined) return
    attendedAt = -Infinity
    yield* attend
    yield* notifier.publish(hint)
  })

  yield* supervisor.loop(
    "event feed",
    Effect.gen(function*() {
      news.closeUnsafe()
      if (subscribers.size === 0) return void someone.closeUnsafe()
      yield* attendStill
      yield* readAll
      if (now() - idleSince < idleAfterMs) return
      idleSince = now()
      for (const subscriber of subscribers) offer(subscriber, "idle")
    }),
    { when: Effect.andThen(someone.await, Effect.timeoutOption(news.await, pollMs)) }
  )
  yield* notifier.listen((hint) => {
    if (hint._tag === "Events" && subscribers.size > 0) news.openUnsafe()
  })

  /** Joins the live subscribers, the first one at the end of the log. */
  const join = (subscriber: Subscriber) =>
    turn.withPermit(Effect.gen(function*() {
      if (subscribers.size === 0) {
        yield* attend
        yield* notifier.publish(hint)
        place = yield* log.end
      }
      subscribers.add(subscriber)
      someone.openUnsafe()
      return place
    }))

  /** What a subscriber has missed, up to where it joined the others. */
  const missed = ({ matches }: Subscription, after: number, until: number): Stream.Stream<Item, StoreError> =>
    Stream.paginate(after, (from) =>
      Effect.map(read(from), ({ events, gap, next }) => {
        const items: Array<Item> = gap ? ["gap"] : []
        for (const event of events) if (event.seq <= until && matches(event)) items.push(event)
        return [items, events.length > 0 && next < until ? Option.some(next) : Option.none()] as const
      }))

  const leave = (subscriber: Subscriber) =>
    Effect.sync(() => {
      subscribers.delete(subscriber)
    })

  const subscribe: EventFeed["Service"]["subscribe"] = Effect.fnUntraced(
    function*(subscription) {
      const queue = yield* Queue.make<Item, Cause.Done>({ capacity, strategy: "dropping" })
      const subscriber = { ...subscription, queue }
      if (subscription.greet === true) Queue.offerUnsafe(queue, "idle")
      const joinedAt = yield* Effect.acquireRelease(join(subscriber), () => leave(subscriber))
      const live = Stream.fromQueue(queue)
      const { after } = subscription
      return after === undefined || after === joinedAt
        ? live
        : Stream.concat(missed(subscription, after, joinedAt), live)
    }
  )

  const watch = (after: number | undefined, matches: Subscription["matches"]): Stream.Stream<Item, StoreError> =>
    Stream.suspend(() => {
      let place = after
      let isDropped = false
      const onDropped = () => {
        isDropped = true
      }
      return Stream.unwrap(subscribe({ after, matches, onDropped })).pipe(
        Stream.tap((item) =>
          Effect.sync(() => {
            if (typeof item !== "string") place = item.seq
          })
        ),
        // What did not fit into its queue is still in the log
        Stream.concat(Stream.suspend(() => isDropped ? watch(place, matches) : Stream.empty))
      )
    })

  return EventFeed.of({
    subscribe,
    watch: ({ after, ...filter } = {}) => Stream.filter(watch(after, matching(filter)), (item) => item !== "idle"),
    close: Effect.sync(() => {
      for (const { queue } of subscribers) Queue.endUnsafe(queue)
      subscribers.clear()
    })
  })
})
