/**
 * Hints by pub/sub. In this process they arrive at once; other processes get them merged, one message every few
 * milliseconds at most, on a connection of their own. When that was lost, so were hints: after subscribing again the
 * process looks for work by itself.
 *
 * The end of tasks is announced by the scripts that end them, and only if a process waits, so publishing it reaches this
 * process alone.
 */
import { type Context, Effect, Latch, Queue, Random, Schedule, Schema, type Scope } from "effect"
import type { Redis } from "effect/persistence/Redis"
import { events, type Hint, type Notifier, work } from "../Notifier.ts"

const Message = Schema.fromJsonString(Schema.Struct({
  /** Who sent it; it has heard already. */
  from: Schema.optionalKey(Schema.Int),
  work: Schema.optionalKey(Schema.Boolean),
  events: Schema.optionalKey(Schema.Boolean),
  cancel: Schema.optionalKey(Schema.Array(Schema.String)),
  finished: Schema.optionalKey(Schema.Array(Schema.String))
}))

const decode = Schema.decodeUnknownOption(Message)

/** Pause between two messages of a process. */
const mergeFor = "5 millis"

/** Waits before subscribing again: doubling from 50 ms to 2 s. */
const resubscribe = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")])

/** The notifier, and what the store adds to it. */
export interface Hints extends Context.Service.Shape<typeof Notifier> {
  /** Tells the pool of this process alone that there is work. */
  readonly wake: () => void
}

/** Starts sending and listening; both end with the scope. */
export const make = Effect.fnUntraced(function*(
  redis: Redis["Service"],
  channel: string
): Effect.fn.Return<Hints, never, Scope.Scope> {
  const self = yield* Random.nextIntBetween(0, 2 ** 48)
  const listeners = new Set<(hint: Hint) => void>()
  const some = Latch.makeUnsafe(false)
  let hasWork = false
  let hasEvents = false
  let cancelled: Array<string> = []

  const deliver = (hint: Hint): void => {
    for (const listener of listeners) listener(hint)
  }

  const receive = (text: string): void => {
    const message = decode(text)
    if (message._tag === "None" || message.value.from === self) return
    if (message.value.work === true) deliver(work)
    if (message.value.events === true) deliver(events)
    if (message.value.cancel !== undefined) deliver({ _tag: "Cancel", ids: message.value.cancel })
    if (message.value.finished !== undefined) deliver({ _tag: "Finished", ids: message.value.finished })
  }

  const send = Effect.suspend(() => {
    some.closeUnsafe()
    const message = {
      from: self,
      ...(hasWork ? { work: true } : {}),
      ...(hasEvents ? { events: true } : {}),
      ...(cancelled.length > 0 ? { cancel: cancelled } : {})
    }
    hasWork = false
    hasEvents = false
    cancelled = []
    return Effect.ignore(redis.send("PUBLISH", channel, JSON.stringify(message)))
  })

  const listen = Effect.scoped(Effect.gen(function*() {
    const messages = yield* redis.subscribe(channel)
    deliver(work)
    deliver(events)
    return yield* Effect.forever(Effect.map(Queue.takeAll(messages), (taken) => {
      for (const { message } of taken) receive(message)
    }))
  }))

  yield* Effect.forkScoped(
    Effect.forever(some.await.pipe(Effect.andThen(send), Effect.andThen(Effect.sleep(mergeFor))))
  )
  yield* Effect.forkScoped(Effect.retry(listen, resubscribe))

  return {
    wake: () => deliver(work),
    publish: (hint) =>
      Effect.sync(() => {
        deliver(hint)
        if (hint._tag === "Work") hasWork = true
        else if (hint._tag === "Events") hasEvents = true
        else if (hint._tag === "Cancel") cancelled.push(...hint.ids)
        else return
        some.openUnsafe()
      }),
    listen: (listener) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => listeners.add(listener)),
        () => Effect.sync(() => listeners.delete(listener))
      ))
  }
})

/**
 * Tells of the end of tasks, if a process waits for them: `results` remembers which ids are awaited. The message is that
 * of the notifier; nothing is sent, and one command spent, while none waits.
 */
export const announce = `
local function announce(ids)
  if #ids == 0 or call("EXISTS", root .. ":awaited") == 0 then return end
  local ended = {}
  for _, id in ipairs(ids) do
    if call("ZREM", root .. ":awaited", id) == 1 then ended[#ended + 1] = id end
  end
  if #ended > 0 then call("PUBLISH", root .. ":hints", cjson.encode({ finished = ended })) end
end
`
