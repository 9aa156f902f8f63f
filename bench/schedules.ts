/**
 * Whether ten thousand schedules that tick in the same second are made in time: three instances, each tick exactly one task. And what as
 * many schedules cost that do not tick.
 *
 *     TMPDIR=/dev/shm node --conditions=source bench/schedules.ts postgres 10000
 *
 * The arguments: store and schedules. Prints how long after the tick the last task was stored (the goal is at most 2 s), how many of the ticks have one
 * task (the goal is all), and the processor time of an idle instance with these schedules and without any.
 */
import { Console, Context, Effect, Layer, References, Schema, type Scope } from "effect"
import * as Engine from "../src/engine/Engine.ts"
import { planOf } from "../src/schedule/Scheduled.ts"
import * as ScheduleRecords from "../src/schedule/ScheduleRecords.ts"
import { defaultsOf } from "../src/schedule/Schedules.ts"
import { RecordStore } from "../src/store/RecordStore.ts"
import { TaskStore } from "../src/store/TaskStore.ts"
import * as Task from "../src/Task.ts"
import { newPlace } from "./stores.ts"

const [store = "memory", wanted = "10000"] = process.argv.slice(2)
const count = Number(wanted)

const Sync = Task.make("sync", { payload: { tenant: Schema.String } })

/** Seconds of an idle instance's processor time in a span. */
const idleSeconds = 5

const nameOf = (index: number) => `schedule-${index}`

/** Stores schedules that tick at a time, many in a write. */
const storeSchedules = Effect.fnUntraced(function*(at: number) {
  const records = yield* RecordStore
  const plan = yield* planOf(
    Sync.schedule({ every: "1 day", start: new Date(at).toISOString() }, { tenant: "acme" }),
    defaultsOf()
  )
  for (let from = 0; from < count; from += 1000) {
    const now = yield* ScheduleRecords.now
    const changes = Array.from(
      { length: Math.min(1000, count - from) },
      (_, index) => ScheduleRecords.setting(nameOf(from + index), plan, () => ({}), undefined, now).change
    )
    yield* records.put(changes)
  }
})

const engine = Engine.layer(Sync.toLayer(() => Effect.void), { worker: { queues: ["none"] } })

const cpuOfIdle = Effect.gen(function*() {
  yield* Effect.sleep("2 seconds")
  const before = process.cpuUsage()
  yield* Effect.sleep(`${idleSeconds} seconds`)
  const { system, user } = process.cpuUsage(before)
  return (system + user) / 1000 / idleSeconds
})

const measure = Effect.gen(function*() {
  const place = yield* newPlace(store, count + 10_000)
  const first = yield* Layer.build(place() as Layer.Layer<any, unknown, Scope.Scope>)
  const on = Effect.provideContext(first)
  const idle = yield* Effect.scoped(Effect.andThen(on(Layer.build(engine)), cpuOfIdle))
  yield* on(storeSchedules(Date.now() + 86_400_000))
  const withSchedules = yield* Effect.scoped(Effect.andThen(on(Layer.build(engine)), cpuOfIdle))
  yield* on(Effect.gen(function*() {
    const records = yield* RecordStore
    for (let from = 0; from < count; from += 100) {
      const ids = Array.from({ length: Math.min(100, count - from) }, (_, index) => nameOf(from + index))
      const found = yield* records.get("schedule", ids)
      yield* records.put(found.map((one) => ({ kind: "schedule", id: one!.id, expects: one!.version, document: null })))
    }
  }))
  yield* Console.log(
    `${store}, ${count} schedules: an idle instance uses ${
      withSchedules.toFixed(2)
    } ms of processor time a second, without any ` +
      `${idle.toFixed(2)} ms`
  )

  const at = Math.ceil((Date.now() + 8000) / 1000) * 1000
  yield* on(storeSchedules(at))
  for (let instance = 0; instance < 3; instance++) {
    const stored = instance === 0 || store === "memory"
      ? first
      : yield* Layer.build(place() as Layer.Layer<any, unknown, Scope.Scope>)
    yield* Layer.build(engine).pipe(Effect.provideContext(stored))
  }
  if (Date.now() > at) return yield* Effect.die("It took too long to store the schedules")
  yield* Effect.sleep(at - Date.now())
  const made = Effect.map(TaskStore.use(({ counts }) => counts), ({ pending, scheduled }) => pending + scheduled)
  let tasks = 0
  while (tasks < count && Date.now() < at + 60_000) {
    yield* Effect.sleep("20 millis")
    tasks = yield* on(made)
  }
  const tookMs = Date.now() - at
  yield* Effect.sleep("7 seconds")
  const ids = new Set<string>()
  let total = 0
  yield* on(Effect.gen(function*() {
    const tasks = yield* TaskStore
    for (let before: number | undefined;;) {
      const page = yield* tasks.list({ limit: 1000, before })
      for (const { id } of page.tasks) ids.add(id)
      total += page.tasks.length
      if (page.next === undefined) return
      before = page.next
    }
  }))
  const expected = Array.from({ length: count }, (_, index) => `${nameOf(index)}@${new Date(at).toISOString()}`)
  const missing = expected.filter((id) => !ids.has(id)).length
  yield* Console.log(
    `${store}, ${count} schedules, 3 instances: the last task was stored ${tookMs} ms after the tick (goal: at most 2000); ` +
      `${expected.length - missing} ticks have their task, ${total - expected.length + missing} tasks are others`
  )
})

Effect.runPromise(
  Effect.scoped(measure).pipe(
    Effect.provideService(References.MinimumLogLevel, "Warn"),
    Effect.provide(Context.empty())
  ) as Effect.Effect<void>
).then(() => process.exit(0), (error: unknown) => {
  console.error(error)
  process.exit(1)
})
