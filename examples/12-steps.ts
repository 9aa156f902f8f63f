/**
 * A handler in steps: what has ended is not done again, however often the task runs. It waits for an approval without a slot, and the charge is
 * made once although the first attempt fails after it.
 */
import { Console, Effect, Layer, Logger, Schedule, Schema } from "effect"
import { Engine, MemoryStore, Signal, Step, Task } from "taskforge"

const Approval = Signal.make("approval", { success: Schema.Struct({ by: Schema.String }) })

const Order = Task.make("order", {
  payload: { item: Schema.String },
  success: Schema.Struct({ charge: Schema.String, approvedBy: Schema.String }),
  retry: { times: 3, schedule: Schedule.spaced("20 millis") }
})

/** What somebody found in the mailbox. */
const mailbox: Array<string> = []

const OrderLive = Order.toLayer(({ item }, { attempt }) =>
  Effect.gen(function*() {
    const charge = yield* Step.run("charge", Effect.as(Console.log(`charged for ${item}`), "ch_1"), {
      success: Schema.String
    })
    if (attempt === 1) return yield* Effect.die(new Error("The process is out of luck"))
    const token = yield* Approval.token
    yield* Step.run("ask", Effect.andThen(Console.log("asked for approval"), Effect.sync(() => mailbox.push(token))))
    const { by } = yield* Step.waitFor(Approval, { timeout: "3 days" }).pipe(Effect.orDie)
    yield* Step.run("ship", Console.log(`shipped, approved by ${by}`))
    return { charge, approvedBy: by }
  })
)

const program = Effect.gen(function*() {
  const order = yield* Order.enqueue({ item: "a lamp" })
  while (mailbox.length === 0) yield* Effect.sleep("20 millis")
  // A person takes their time; the task holds no slot until then
  yield* Approval.complete(mailbox[0]!, { by: "ada" })
  yield* Console.log(JSON.stringify(yield* order.result))
})

const Live = Engine.layer(OrderLive).pipe(
  // The log, which has a line for each failed attempt, is left out here
  Layer.provide([MemoryStore.layer(), Logger.layer([])])
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// charged for a lamp
// asked for approval
// shipped, approved by ada
// {"charge":"ch_1","approvedBy":"ada"}
