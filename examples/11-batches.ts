/**
 * A batch handler runs many tasks in one call, where one request for a hundred rows costs less than a hundred requests. Each
 * task still has a result, an error and retries of its own.
 */
import { Console, Effect, Exit, Layer, Logger, Schedule, Schema } from "effect"
import { Engine, MemoryStore, Task } from "taskforge"

class UnknownUnit extends Schema.TaggedError<UnknownUnit>()("UnknownUnit", { unit: Schema.String }) {}

const Measure = Task.make("measure", {
  payload: { sensor: Schema.String, value: Schema.Finite, unit: Schema.String },
  success: Schema.Struct({ row: Schema.Int }),
  error: UnknownUnit,
  retry: { times: 3, schedule: Schedule.spaced("20 millis"), byTag: { UnknownUnit: false } }
})

let rows = 0

// Three tasks at a time. A batch with fewer waits for others, for ten seconds after its first task at most.
const MeasureLive = Measure.toBatchLayer(
  Effect.fnUntraced(function*(items) {
    yield* Console.log(`one insert for ${items.map(({ payload }) => payload.sensor).join(", ")}`)
    return items.map(({ context, payload }) =>
      payload.unit === "°F"
        ? Exit.fail(new UnknownUnit({ unit: payload.unit }))
        : payload.sensor === "roof" && context.attempt === 1
        ? Exit.die(new Error("The row is locked"))
        : Exit.succeed({ row: ++rows })
    )
  }),
  { max: 3, within: "10 seconds" }
)

const program = Effect.gen(function*() {
  const handles = yield* Measure.enqueueAll([
    { sensor: "door", value: 17.5, unit: "°C" },
    { sensor: "roof", value: 21, unit: "°C" },
    { sensor: "oven", value: 392, unit: "°F" },
    { sensor: "yard", value: 12, unit: "°C" },
    { sensor: "lake", value: 9.5, unit: "°C" }
  ])
  for (const handle of handles) {
    const exit = yield* Effect.exit(handle.result)
    const { failures, payload } = yield* handle.task
    const end = Exit.isSuccess(exit) ? `row ${exit.value.row}` : "refused"
    yield* Console.log(`${payload.sensor}: ${end}, failures: ${failures}`)
  }
})

const Live = Engine.layer(MeasureLive).pipe(
  // The log, which has a line for each failed task, is left out here
  Layer.provide([MemoryStore.layer(), Logger.layer([])])
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// one insert for door, roof, oven
// door: row 1, failures: 0
// one insert for yard, lake, roof
// roof: row 4, failures: 1
// oven: refused, failures: 1
// yard: row 2, failures: 0
// lake: row 3, failures: 0
