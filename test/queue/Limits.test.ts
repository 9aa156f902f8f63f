import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { InvalidOption, LimitNotFound } from "../../src/domain/Errors.ts"
import * as Limit from "../../src/Limit.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { InstanceStore } from "../../src/store/InstanceStore.ts"
import * as LimitRecords from "../../src/store/LimitRecords.ts"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { Gate } from "../engine/Gate.ts"
import { Logs, pass, quiesce, reaches, record, start, withEngine, withStore } from "../engine/TestEngine.ts"

const payload = { tenant: Schema.String }
type Payload = { readonly tenant: string }

const Sync = Task.make("sync", {
  payload,
  limits: ({ concurrency }) => [concurrency({ key: ({ tenant }) => tenant, max: 2 })]
})

const Ordered = Task.make("ordered", { payload, orderBy: ({ tenant }) => tenant, retry: { times: 0 } })

const Rated = Task.make("rated", {
  payload: { tenant: Schema.String, size: Schema.Finite },
  limits: ({ rate }) => [
    rate({ key: ({ tenant }) => tenant, cost: ({ size }) => size, max: 10, per: "10 seconds" })
  ]
})

const acme = { tenant: "acme" }

const queue = TaskQueue

describe("limits", () => {
  it.effect("of a definition hold from the first claim on, and one that ends lets the next one start at once", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Sync.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const handles = yield* Sync.enqueueAll(Array.from({ length: 5 }, () => acme))
        yield* Sync.enqueue({ tenant: "other" })
        yield* quiesce
        assert.deepStrictEqual([gate.count, gate.most], [3, 3])
        const { keys, ...limit } = yield* Effect.flatMap(
          queue,
          (queue) => queue.limit("sync:concurrency", ["acme", "x"])
        )
        assert.deepInclude(limit, { setBy: "definition", key: null, isKeyed: true, by: null })
        assert.deepStrictEqual(limit.setting, { kind: "concurrency", max: 2 })
        assert.deepStrictEqual(keys.map(({ key, running }) => [key, running]), [["acme", 2], ["x", 0]])
        assert.deepStrictEqual(keys[0]!.holders, [handles[0]!.id, handles[1]!.id])
        const { waiting } = yield* queue
        const first = handles.slice(2).map(({ id }) => id)
        assert.deepInclude(yield* waiting("sync:concurrency", "acme"), { count: 3, isComplete: true, looked: 3, first })
        assert.deepInclude(yield* waiting("sync:concurrency", "x"), { count: 0, isComplete: true, first: [] })
        assert.strictEqual((yield* Effect.flip(waiting("unknown", "x")))._tag, "LimitNotFound")
        const wrong = yield* Effect.flip(waiting("sync:concurrency", "x".repeat(256)))
        assert.include(wrong, { _tag: "InvalidOption", option: "key" })
        gate.open()
        yield* quiesce
        // no time has passed, and nothing polls without it
        for (const { id } of handles) yield* reaches(id, "completed")
        assert.strictEqual(gate.most, 3)
      })
    )
  })

  it.effect("are changed, for one key too, lifted and reset, and the definition's value stays readable", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Sync.toLayer(() => gate.run), worker: { concurrency: 20 } },
      Effect.gen(function*() {
        const { liftLimit, limit, limits, resetLimit, setLimit } = yield* queue
        yield* Sync.enqueueAll(Array.from({ length: 12 }, () => acme))
        yield* quiesce
        assert.strictEqual(gate.count, 2)
        const changed = yield* setLimit("sync:concurrency", { max: 3, by: "ada", reason: "More machines" })
        assert.deepInclude(changed, { setBy: "operator", by: "ada", reason: "More machines" })
        assert.deepStrictEqual([changed.setting, changed.definition], [
          { kind: "concurrency", max: 3 },
          { kind: "concurrency", max: 2 }
        ])
        yield* quiesce
        assert.strictEqual(gate.count, 3)
        yield* setLimit("sync:concurrency", { key: "acme", max: 5 })
        yield* quiesce
        assert.strictEqual(gate.count, 5)
        const all = yield* limits()
        assert.deepStrictEqual(all.limits.map(({ key, name, setting }) => [name, key, setting]), [
          ["sync:concurrency", null, { kind: "concurrency", max: 3 }],
          ["sync:concurrency", "acme", { kind: "concurrency", max: 5 }]
        ])
        const first = yield* limits({ limit: 1 })
        assert.strictEqual(first.limits.length, 1)
        const second = yield* limits({ limit: 1, cursor: first.next! })
        assert.deepStrictEqual([second.limits[0]!.key, second.next], ["acme", null])
        assert.deepStrictEqual((yield* limit("sync:concurrency")).keys.map(({ isOwn, key }) => [key, isOwn]), [[
          "acme",
          true
        ]])
        yield* liftLimit("sync:concurrency", { key: "acme" })
        yield* quiesce
        assert.strictEqual(gate.count, 12)
        yield* resetLimit("sync:concurrency", { key: "acme" })
        yield* resetLimit("sync:concurrency")
        yield* resetLimit("sync:concurrency")
        const reset = yield* limit("sync:concurrency", ["acme"])
        assert.deepInclude(reset, { setBy: "definition", by: null, reason: null })
        assert.deepStrictEqual(reset.keys[0]!.setting, { kind: "concurrency", max: 2 })
        assert.strictEqual(reset.keys[0]!.running, 12)
        yield* Sync.enqueue(acme)
        yield* quiesce
        assert.strictEqual(gate.count, 12)
        gate.open()
      })
    )
  })

  it.effect("that no living instance defines any more are removed by a reset, with what was set for their keys", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const gate = new Gate()
        const names = (context: Context.Context<TaskQueue>) =>
          Effect.map(
            Context.get(context, TaskQueue).limits(),
            ({ limits }) => limits.map(({ key, name }) => [name, key])
          )
        const first = yield* start({ handlers: Sync.toLayer(() => gate.run) })
        yield* quiesce
        const { pauseKey, resetLimit, setLimit } = Context.get(first.context, TaskQueue)
        yield* setLimit("sync:concurrency", { key: "acme", max: 0 })
        yield* pauseKey("sync:concurrency", "other")
        yield* resetLimit("sync:concurrency")
        assert.deepStrictEqual(yield* names(first.context), [["sync:concurrency", null], ["sync:concurrency", "acme"]])
        yield* Effect.provideContext(Sync.enqueueAll([acme, { tenant: "other" }]), first.context)
        yield* quiesce
        assert.strictEqual(gate.count, 0)
        yield* first.close

        const second = yield* start({ handlers: Ordered.toLayer(() => Effect.void) })
        yield* quiesce
        const later = Context.get(second.context, TaskQueue)
        yield* later.resetLimit("sync:concurrency")
        yield* later.resetLimit("ordered:order")
        assert.deepStrictEqual(yield* names(second.context), [["ordered:order", null]])
        assert.deepStrictEqual(yield* later.pausedKeys, [])
        assert.instanceOf(yield* Effect.flip(later.resetLimit("sync:concurrency")), LimitNotFound)
        yield* second.close

        const third = yield* start({ handlers: Sync.toLayer(() => gate.run) })
        yield* quiesce
        assert.strictEqual(gate.count, 2)
        assert.deepStrictEqual(yield* names(third.context), [["ordered:order", null], ["sync:concurrency", null]])
        gate.open()
        yield* third.close
      })
    ))

  it.effect("of single keys go with the definition that had them, and what an operator set for a key stays", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const types = (weights: Readonly<Record<string, number>>) => [
          Task.make("fair", { payload, fairBy: { key: ({ tenant }) => tenant, weights } }),
          Task.make("fairer", {
            payload,
            fairBy: { key: ({ tenant }) => tenant, name: "fair:fairly", weights: { a: 9 } }
          })
        ]
        const keys = (weights: Readonly<Record<string, number>>, after: Effect.Effect<void, unknown, TaskQueue>) =>
          Effect.gen(function*() {
            const handlers = Layer.mergeAll(
              Layer.empty,
              ...types(weights).map((type) => type.toLayer(() => Effect.void))
            )
            const engine = yield* start({ handlers })
            yield* quiesce
            const found = yield* Effect.provideContext(
              Effect.flatMap(queue, (queue) => queue.limit("fair:fair")),
              engine.context
            )
            yield* Effect.orDie(Effect.provideContext(after, engine.context))
            yield* engine.close
            return found.keys.map(({ key, setting }) => [key, "weight" in setting ? setting.weight : undefined])
          })
        const many = Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`k${n}`, 2]))
        const set = Effect.flatMap(queue, ({ setLimit }) =>
          Effect.andThen(
            setLimit("fair:fair", { key: "own", weight: 7, by: "ada" }),
            Effect.asVoid(setLimit("fair:fair", { key: "gold", weight: 4, by: "ada" }))
          ))
        const reset = Effect.flatMap(queue, ({ resetLimit }) => resetLimit("fair:fair", { key: "gold" }))
        assert.lengthOf(yield* keys({ ...many, gold: 3 }, Effect.void), 100)
        assert.deepStrictEqual(yield* keys({ gold: 3, silver: 2 }, set), [["gold", 3], ["silver", 2]])
        assert.deepStrictEqual(yield* keys({}, reset), [["gold", 4], ["own", 7]])
        assert.deepStrictEqual(yield* keys({}, Effect.void), [["own", 7]])
        const other = yield* start({})
        const { limit } = Context.get(other.context, TaskQueue)
        assert.deepStrictEqual((yield* limit("fair:fairly")).keys.map(({ key }) => key), ["a"])
        yield* other.close
      })
    ))

  it.effect("that an operator set are not touched by instances that start", () => {
    const definition = (max: number) => Task.make("sync", { limits: [Limit.concurrency({ max })] })
    return withEngine(
      {},
      Effect.gen(function*() {
        const { limit, resetLimit, setLimit } = yield* queue
        const about = {
          host: "h",
          pid: 1,
          version: "1",
          upForMs: 0,
          capacity: 1,
          queues: [],
          types: ["sync"],
          running: []
        }
        const instances = yield* InstanceStore
        yield* instances.beat({ ...about, id: "other", limits: ["sync:concurrency"] }, 600_000)
        const register = (max: number) =>
          LimitRecords.register(
            new Map([[definition(max).limits[0]!.name, { limit: definition(max).limits[0]!.limit, keyed: false }]])
          )
        assert.deepStrictEqual(yield* register(2), ["sync:concurrency"])
        assert.deepStrictEqual(yield* register(2), [])
        assert.deepStrictEqual(yield* register(3), ["sync:concurrency"])
        assert.deepStrictEqual((yield* limit("sync:concurrency")).setting, { kind: "concurrency", max: 3 })
        yield* setLimit("sync:concurrency", { max: 7, by: "ada" })
        assert.deepStrictEqual(yield* register(3), [])
        yield* register(4)
        const found = yield* limit("sync:concurrency")
        assert.deepInclude(found, { setBy: "operator", by: "ada", isKeyed: false })
        assert.deepStrictEqual([found.setting, found.definition], [
          { kind: "concurrency", max: 7 },
          { kind: "concurrency", max: 4 }
        ])
        assert.deepStrictEqual(found.keys.map(({ key }) => key), [""])
        yield* resetLimit("sync:concurrency")
        assert.deepStrictEqual((yield* limit("sync:concurrency")).setting, { kind: "concurrency", max: 4 })
        const many = new Map(
          Array.from({ length: 250 }, (_, index) => [`many/${index}`, { limit: { max: 1 }, keyed: false }] as const)
        )
        assert.strictEqual((yield* LimitRecords.register(many)).length, 250)
        // instances that start together put the same
        yield* Effect.all([register(9), register(9), register(9)], { concurrency: "unbounded" })
        assert.deepStrictEqual((yield* limit("sync:concurrency")).setting, { kind: "concurrency", max: 9 })
      })
    )
  })

  it.effect("are refused where they do not fit, and say what would", () =>
    withEngine(
      { handlers: Sync.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        yield* quiesce
        const { letGo, limit, limits, pauseKey, setLimit } = yield* queue
        const refused = (change: Parameters<typeof setLimit>[1]) =>
          Effect.map(Effect.flip(setLimit("sync:concurrency", change)), (error) =>
            error._tag === "InvalidOption" ? [error.option, error.expected] as const : assert.fail(error._tag))
        assert.deepStrictEqual((yield* refused({ max: -1 }))[0], "max")
        assert.deepStrictEqual((yield* refused({ max: 1.5 }))[0], "max")
        assert.deepStrictEqual((yield* refused({}))[0], "max")
        assert.deepStrictEqual(yield* refused({ per: "1 second" }), [
          "per",
          "max: the limit is one of kind concurrency"
        ])
        assert.deepStrictEqual((yield* refused({ max: 1, key: "k".repeat(256) }))[0], "key")
        assert.deepStrictEqual((yield* refused({ max: 1, by: "" }))[0], "by")
        assert.deepStrictEqual((yield* refused({ most: 1 } as never))[0], "most")
        assert.instanceOf(yield* Effect.flip(setLimit("snyc:concurrency", { max: 1 })), LimitNotFound)
        assert.instanceOf(yield* Effect.flip(limit("nothing")), LimitNotFound)
        assert.instanceOf(yield* Effect.flip(limit("")), InvalidOption)
        assert.instanceOf(yield* Effect.flip(limit("\u0000")), InvalidOption)
        assert.instanceOf(
          yield* Effect.flip(limit("sync:concurrency", Array.from({ length: 101 }, String))),
          InvalidOption
        )
        assert.instanceOf(yield* Effect.flip(limits({ cursor: "nonsense" })), InvalidOption)
        assert.instanceOf(yield* Effect.flip(pauseKey("nothing", "a")), LimitNotFound)
        assert.deepInclude(yield* Effect.flip(letGo("sync:concurrency", "a")), {
          option: "name",
          expected: "the name of an order"
        })
      })
    ))

  it.effect("without keys refuse one, which no task has", () =>
    withEngine(
      { queue: { limits: { mail: [Limit.concurrency({ max: 2 })] } } },
      Effect.gen(function*() {
        const { liftLimit, limit, limits, pauseKey, pausedKeys, resetLimit, setLimit } = yield* queue
        const name = "queue:mail:concurrency"
        yield* quiesce
        const refused = [
          setLimit(name, { key: "acme", max: 1 }),
          liftLimit(name, { key: "acme" }),
          pauseKey(name, "acme")
        ]
        for (const one of refused) {
          const error = yield* Effect.flip(one as Effect.Effect<unknown, unknown>)
          assert.instanceOf(error, InvalidOption)
          assert.deepInclude(error, { option: "key", found: "\"acme\"" })
          assert.include(error.expected, "no key")
        }
        assert.lengthOf((yield* limits()).limits, 1)
        assert.deepStrictEqual(yield* pausedKeys, [])
        yield* pauseKey(name, "")
        yield* setLimit(name, { max: 1 })
        // what an earlier version stored can be taken back
        yield* resetLimit(name, { key: "acme" })
        assert.isNotNull((yield* limit(name)).keys[0]!.pause)
      })
    ))

  it.effect("of a rate are changed in part", () =>
    withEngine(
      { handlers: Rated.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        yield* quiesce
        const { setLimit } = yield* queue
        const set = (change: Parameters<typeof setLimit>[1]) =>
          Effect.map(setLimit("rated:rate", change), ({ setting }) => setting)
        const seconds = (count: number) => Duration.seconds(count)
        assert.deepStrictEqual(yield* set({ max: 20 }), { kind: "rate", max: 20, per: seconds(10), burst: 20 })
        assert.deepStrictEqual(yield* set({ burst: 5 }), { kind: "rate", max: 20, per: seconds(10), burst: 5 })
        assert.deepStrictEqual(yield* set({ max: 30, per: "1 second" }), {
          kind: "rate",
          max: 30,
          per: seconds(1),
          burst: 5
        })
      })
    ))

  it.effect("of an order let a failed task block its key until it is let go, and name it", () => {
    const started: Array<string> = []
    return withEngine(
      {
        handlers: Ordered.toLayer(() =>
          TaskContext.use(({ id }) => {
            started.push(id)
            return id === "a" ? Effect.die("broken") : Effect.void
          })
        )
      },
      Effect.gen(function*() {
        const { letGo, limit, setLimit } = yield* queue
        for (const id of ["a", "b", "c"]) yield* Ordered.enqueue(acme, { id })
        yield* Ordered.enqueue({ tenant: "other" }, { id: "o" })
        yield* quiesce
        yield* pass("10 seconds")
        assert.deepStrictEqual(started, ["a", "o"])
        const blocked = yield* limit("ordered:order")
        assert.deepStrictEqual(blocked.setting, { kind: "order", onFailure: "block" })
        assert.deepStrictEqual(blocked.keys.map(({ blockedBy, key }) => [key, blockedBy]), [
          ["acme", { id: "a", state: "failed" }]
        ])
        yield* letGo("ordered:order", "acme")
        yield* quiesce
        assert.deepStrictEqual(started, ["a", "o", "b", "c"])
        assert.deepStrictEqual((yield* limit("!ordered:order")).keys, [])
        assert.deepStrictEqual((yield* setLimit("ordered:order", { onFailure: "continue" })).setting, {
          kind: "order",
          onFailure: "continue"
        })
        assert.instanceOf(yield* Effect.flip(Ordered.enqueue(acme, { priority: "high" })), InvalidOption)
      })
    )
  })
})

describe("pauses of types and keys", () => {
  it.effect("hold until they are resumed or end, and say who paused them", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Sync.toLayer(() => gate.run) },
      Effect.gen(function*() {
        yield* quiesce
        const { limit, pauseKey, pauseType, pausedKeys, pausedTypes, resumeKey, resumeType } = yield* queue
        const now = yield* DateTime.now
        yield* pauseType("sync", { by: "ada", reason: "Lunch" })
        yield* pauseKey("sync:concurrency", "acme", { by: "ada", for: "1 minute" })
        assert.deepStrictEqual(yield* pausedTypes, [
          { type: "sync", by: "ada", reason: "Lunch", since: now, until: null }
        ])
        assert.deepStrictEqual(yield* pausedKeys, [{
          limit: "sync:concurrency",
          key: "acme",
          by: "ada",
          reason: null,
          since: now,
          until: DateTime.addDuration(now, "1 minute")
        }])
        const [first, other] = yield* Sync.enqueueAll([acme, { tenant: "other" }])
        yield* quiesce
        assert.strictEqual(gate.count, 0)
        yield* resumeType("sync")
        yield* reaches(other!.id, "running")
        assert.strictEqual((yield* record(first!.id)).state, "pending")
        assert.strictEqual((yield* limit("sync:concurrency")).keys[0]?.pause?.by, "ada")
        yield* pass("62 seconds")
        yield* reaches(first!.id, "running")
        assert.deepStrictEqual(yield* pausedKeys, [])
        yield* pauseKey("sync:concurrency", "acme")
        yield* resumeKey("sync:concurrency", "acme")
        yield* resumeKey("sync:concurrency", "acme")
        assert.deepStrictEqual(yield* pausedKeys, [])
        assert.isNotEmpty(yield* Logs.matching(/the key sync:concurrency=acme goes on/))
        gate.open()
      })
    )
  })
})

describe("a handler", () => {
  it.effect("charges what it really took, more or less than the estimate", () =>
    withEngine(
      {
        handlers: Rated.toLayer(({ size }, { charge, id }) =>
          Effect.orDie(Effect.gen(function*() {
            if (id === "none") return
            yield* charge("rated:rate", size * 2)
            // the last one counts
            yield* charge("rated:rate", id === "less" ? 1 : size + 2)
          }))
        )
      },
      Effect.gen(function*() {
        const { limit } = yield* queue
        const tokens = (key: string) => Effect.map(limit("rated:rate", [key]), ({ keys: [one] }) => one!.tokens)
        yield* Rated.enqueue({ tenant: "a", size: 4 }, { id: "none" })
        yield* Rated.enqueue({ tenant: "b", size: 4 }, { id: "more" })
        yield* Rated.enqueue({ tenant: "c", size: 4 }, { id: "less" })
        yield* quiesce
        assert.deepStrictEqual([yield* tokens("a"), yield* tokens("b"), yield* tokens("c")], [6, 4, 9])
        yield* Rated.enqueue({ tenant: "b", size: 6 }, { id: "waits" })
        yield* quiesce
        assert.strictEqual((yield* record("waits")).state, "pending")
        yield* pass("2 seconds")
        yield* reaches("waits", "completed")
      })
    ))

  it.effect("that charges nonsense or what the task does not have fails its attempt, and says why", () =>
    withEngine(
      {
        handlers: Rated.toLayer(({ size }, { charge }) =>
          Effect.orDie(size === 1 ? charge("nothing", 1) : charge("rated:rate", -1))
        )
      },
      Effect.gen(function*() {
        const options = { maxRetries: 0 }
        const one = yield* Rated.enqueue({ tenant: "a", size: 1 }, options)
        const two = yield* Rated.enqueue({ tenant: "a", size: 2 }, options)
        assert.include((yield* reaches(one.id, "failed")).failure?.message, "one of its limits: rated:rate")
        assert.include((yield* reaches(two.id, "failed")).failure?.message, "The option charge is -1")
      })
    ))

  it.effect("holds its key back, spends no retry, and lets other keys go", () => {
    const started: Array<string> = []
    return withEngine(
      {
        handlers: Sync.toLayer(({ tenant }, { attempt, holdBack, id }) => {
          started.push(id)
          return tenant === "acme" && attempt === 1 && id === "first" ? Effect.orDie(holdBack("1 minute")) : Effect.void
        }),
        worker: { concurrency: 1 }
      },
      Effect.gen(function*() {
        const { pausedKeys, pauseKey } = yield* queue
        const handle = yield* Sync.enqueue(acme, { id: "first" })
        yield* Sync.enqueue(acme, { id: "second" })
        yield* Sync.enqueue({ tenant: "other" }, { id: "other" })
        yield* quiesce
        yield* pass("30 seconds")
        assert.deepStrictEqual(started, ["first", "other"])
        assert.deepInclude((yield* pausedKeys)[0], { key: "acme", by: "task first" })
        const waiting = yield* record("first")
        assert.deepInclude(waiting, { state: "scheduled", failures: 0 })
        const waiter = yield* Effect.forkChild(handle.result)
        yield* pass("35 seconds")
        assert.sameMembers(started, ["first", "other", "first", "second"])
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiter)))
        // a longer pause stays
        yield* pauseKey("sync:concurrency", "acme", { by: "ada" })
        assert.deepInclude((yield* pausedKeys)[0], { by: "ada", until: null })
      })
    )
  })

  it.effect("does not shorten the pause of an operator, and says which limit it has to name", () => {
    const Two = Task.make("two", {
      payload,
      limits: ({ concurrency, rate }) => [
        concurrency({ key: ({ tenant }) => tenant, max: 5 }),
        rate({ key: (payload: Payload) => payload.tenant.length.toString(), max: 5, per: "1 second" })
      ]
    })
    const gate = new Gate()
    return withEngine(
      {
        handlers: Two.toLayer(({ tenant }, { holdBack }) =>
          Effect.andThen(
            tenant === "acme" ? gate.run : Effect.void,
            Effect.orDie(tenant === "acme" ? holdBack("1 minute", "two:concurrency") : holdBack("1 minute"))
          )
        )
      },
      Effect.gen(function*() {
        const { pausedKeys, pauseKey } = yield* queue
        yield* Two.enqueue(acme, { id: "first" })
        yield* reaches("first", "running")
        yield* pauseKey("two:concurrency", "acme", { by: "ada" })
        gate.open()
        yield* reaches("first", "scheduled")
        assert.deepInclude((yield* pausedKeys)[0], { by: "ada", until: null })
        yield* Two.enqueue({ tenant: "other" }, { id: "other", maxRetries: 0 })
        const { failure } = yield* reaches("other", "failed")
        assert.include(
          failure?.message,
          "The option limit is missing; expected the name of one of its limits: two:concurrency, two:rate"
        )
      })
    )
  })
})
