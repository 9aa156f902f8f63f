/**
 * TaskForge inside another Effect program: handlers use the program's own services, other parts of the program
 * enqueue, and the tasks are kept in a SQLite file next to it.
 */
import { Console, Context, Effect, Layer, Schema } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Engine, Task } from "taskforge"
import { SqliteStore } from "taskforge/sqlite"

/** A service of the application. */
class Invoices extends Context.Service<Invoices, {
  readonly total: (customer: string) => Effect.Effect<number>
}>()("example/Invoices") {
  static readonly layer = Layer.succeed(Invoices, {
    total: (customer) => Effect.succeed(customer.length * 100)
  })
}

const SendInvoice = Task.make("invoice", {
  payload: { customer: Schema.String },
  success: Schema.Struct({ amount: Schema.Finite }),
  // A customer gets one invoice, however often it is asked for
  idempotencyKey: ({ customer }) => customer
})

// The handler is made once, with the services that it needs
const SendInvoiceLive = SendInvoice.toLayer(Effect.gen(function*() {
  const invoices = yield* Invoices
  return ({ customer }) => Effect.map(invoices.total(customer), (amount) => ({ amount }))
}))

/** Another service of the application, which enqueues. It asks for the queue and knows nothing of the pool. */
class Checkout extends Context.Service<Checkout>()("example/Checkout", {
  make: Effect.succeed({
    buy: (customer: string) => SendInvoice.enqueue({ customer })
  })
}) {
  static readonly layer = Layer.effect(Checkout, Checkout.make)
}

const program = Effect.gen(function*() {
  const checkout = yield* Checkout
  const first = yield* checkout.buy("Lovelace")
  const again = yield* checkout.buy("Lovelace")
  yield* Console.log(`the same customer gives the same task: ${first.id === again.id}`)
  yield* Console.log(`invoiced: ${(yield* first.result).amount}`)
})

const TemporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "taskforge-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true }))
)

const Live = (folder: string) =>
  Checkout.layer.pipe(
    Layer.provideMerge(Engine.layer(SendInvoiceLive, { worker: { concurrency: 5 } })),
    Layer.provide([Invoices.layer, SqliteStore.layer({ path: join(folder, "tasks.db") })])
  )

await Effect.gen(function*() {
  const folder = yield* TemporaryFolder
  yield* Effect.provide(program, Live(folder))
}).pipe(Effect.scoped, Effect.runPromise)

// It prints:
// the same customer gives the same task: true
// invoiced: 800
