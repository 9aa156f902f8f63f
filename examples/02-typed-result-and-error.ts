/**
 * A task's success and failure are typed for whoever awaits it, in this process or another: what the handler fails
 * with comes back as the same error class.
 */
import { Console, Effect, Layer, Logger, Schema } from "effect"
import { Engine, MemoryStore, Task } from "taskforge"

class AddressRejected extends Schema.TaggedError<AddressRejected>()("AddressRejected", {
  address: Schema.String
}) {}

const SendEmail = Task.make("email", {
  payload: { to: Schema.String, subject: Schema.String },
  success: Schema.Struct({ messageId: Schema.String }),
  error: AddressRejected,
  retry: { byTag: { AddressRejected: false } }
})

const SendEmailLive = SendEmail.toLayer(
  Effect.fn("email")(function*({ to }) {
    if (!to.includes("@")) return yield* new AddressRejected({ address: to })
    return { messageId: `message-for-${to}` }
  })
)

const send = (to: string) =>
  SendEmail.execute({ to, subject: "Welcome" }).pipe(
    Effect.map(({ messageId }) => `sent as ${messageId}`),
    Effect.catchTag("AddressRejected", ({ address }) => Effect.succeed(`rejected: ${address} is no address`)),
    // A task can also be refused, cancelled, timed out, quarantined, removed, or end by an unexpected defect
    Effect.catch((error) => Effect.succeed(`ended otherwise: ${error.message}`))
  )

const program = Effect.gen(function*() {
  yield* Console.log(yield* send("ada@example.org"))
  yield* Console.log(yield* send("nobody"))
})

const Live = Engine.layer(SendEmailLive).pipe(
  // The log, which has a line for each failed or cancelled attempt, is left out here
  Layer.provide([MemoryStore.layer(), Logger.layer([])])
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// sent as message-for-ada@example.org
// rejected: nobody is no address
