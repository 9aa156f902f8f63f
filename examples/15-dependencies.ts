/**
 * A mail needs a report, and the report needs the sales of three shops. All of it is stored in one write: the sales are counted side by side,
 * and each later task starts once those that it waits for have ended. What fails takes along what waits for it, and the whole graph runs again.
 */
import { Console, Effect, Exit, Layer, Logger, Schema } from "effect"
import { Engine, MemoryStore, Task, TaskQueue } from "taskforge"

class Closed extends Schema.TaggedError<Closed>()("Closed", { shop: Schema.String }) {}

const Count = Task.make("count", {
  payload: { shop: Schema.String },
  success: Schema.Int,
  error: Closed,
  retry: { byTag: { Closed: false } }
})
const Report = Task.make("report", { success: Schema.String })
const Mail = Task.make("mail", { payload: { to: Schema.String }, success: Schema.String })

const sales = new Map([["Bonn", 12], ["Ulm", 30]])

const CountLive = Count.toLayer(({ shop }) =>
  Effect.suspend(() => {
    const sold = sales.get(shop)
    return sold === undefined ? Effect.fail(new Closed({ shop })) : Effect.succeed(sold)
  })
)

// It starts when all three have been counted, and reads what they gave
const ReportLive = Report.toLayer(() =>
  Effect.gen(function*() {
    const counted = yield* Effect.orDie(Count.results)
    const sold = yield* Effect.forEach(counted, ({ exit }) => Effect.orDie(exit))
    return `${sold.join(" + ")} = ${sold.reduce((sum, one) => sum + one, 0)}`
  })
)

const MailLive = Mail.toLayer(({ to }) =>
  Effect.gen(function*() {
    const [report] = yield* Effect.orDie(Report.results)
    return `to ${to}: ${yield* Effect.orDie(report!.exit)}`
  })
)

const program = Effect.gen(function*() {
  const counts = ["Bonn", "Ulm", "Jena"].map((shop) => Count.draft({ shop }, { id: shop }))
  const report = Report.draft(undefined, { id: "report", after: counts })
  const mail = Mail.draft({ to: "ada@example.com" }, { id: "mail", after: [report] })
  // In any order: a draft may come before those that it waits for
  const [sent, , ...counted] = yield* Task.enqueueAll([mail, report, ...counts])

  yield* Effect.forEach(counted, ({ result }) => Effect.exit(result))
  const first = yield* Effect.exit(sent.result)
  if (Exit.isFailure(first)) yield* Console.log((yield* sent.task).failure?.message)

  // The shop has opened. What has failed runs again, each task after those before it; what was completed is kept
  sales.set("Jena", 8)
  const { branches } = yield* TaskQueue
  const { completed, rerun } = yield* branches.rerun("mail", { scope: "graph" })
  yield* Console.log(`${rerun} run again, ${completed} are kept`)
  yield* Console.log(yield* sent.result)
})

const Live = Engine.layer(Layer.mergeAll(CountLive, ReportLive, MailLive)).pipe(
  // The log, which has a line for each failed task, is left out here
  Layer.provide([MemoryStore.layer(), Logger.layer([])])
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// The task report, which this one depends on, failed
// 3 run again, 2 are kept
// to ada@example.com: 12 + 30 + 8 = 50
