/**
 * Hints by pub/sub. In this process they arrive at once; other processes get them merged, one message every few
 * milliseconds at most, on a connection of their own. When that was lost, so were hints: after subscribing again the
 * process looks for work by itself.
 *
 * The end of tasks is announced by the scripts that end them, and only if a process waits, so publishing it reaches this
 * process alone.
 */
import { type Context, Effect, Latch, Queue, Random, Schedule, type Scope } from "effect"
import type { Redis } from "effect/persistence/Redis"
import { decodeHints, Listeners, type Notifier, Outbox, work } from "../Notifier.ts"

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
  const listeners = new Listeners()
  const outbox = new Outbox()
  const some = Latch.makeUnsafe(false)

  const receive = (text: string): void => {
    const message = decodeHints(text)
    if (message._tag === "Some" && message.value.from !== self) listeners.tellAll(message.value)
  }

  const send = Effect.suspend(() => {
    const message = JSON.stringify({ from: self, ...outbox.take() })
    if (outbox.isEmpty) some.closeUnsafe()
    return Effect.ignore(redis.send("PUBLISH", channel, message))
  })

  const listen = Effect.scoped(Effect.gen(function*() {
    const messages = yield* redis.subscribe(channel)
    listeners.tellAll({ work: true, events: true })
    return yield* Effect.forever(Effect.map(Queue.takeAll(messages), (taken) => {
      for (const { message } of taken) receive(message)
    }))
  }))

  yield* Effect.forkScoped(
    Effect.forever(some.await.pipe(Effect.andThen(send), Effect.andThen(Effect.sleep(mergeFor))))
  )
  yield* Effect.forkScoped(Effect.retry(listen, resubscribe))

  return {
    wake: () => listeners.tell(work),
    publish: (hint) =>
      Effect.sync(() => {
        listeners.tell(hint)
        if (hint._tag === "Finished") return
        outbox.post(hint)
        some.openUnsafe()
      }),
    listen: listeners.listen
  }
})

/**
 * Tells of the end of tasks, if a process waits for them: `awaitResults` remembers which ids are awaited. The message is that
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
