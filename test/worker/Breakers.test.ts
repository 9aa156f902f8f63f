import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schedule, Schema } from "effect"
import * as Breaker from "../../src/Breaker.ts"
import * as Rules from "../../src/domain/Breaker.ts"
import { InvalidOption } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as BreakerRecords from "../../src/store/BreakerRecords.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "../engine/Gate.ts"
import { Logs, pass, quiesce, reaches, record, start, withEngine, withStore } from "../engine/TestEngine.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}
class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { url: Schema.String }) {}

const Smtp = Breaker.make("smtp", {
  failures: 3,
  within: "1 minute",
  openFor: "10 seconds",
  maxOpenFor: "30 seconds",
  countsAsFailure: (error) => !(error instanceof Refused)
})

const Mail = Task.make("mail", {
  error: Schema.Union([Refused, Unreachable]),
  breakers: [Smtp],
  retry: { times: 5, schedule: Schedule.spaced("1 second") },
  timeout: "1 minute"
})

const down = new Unreachable({ url: "smtp://ada:secret@mail.example/?token=1" })

/** A mail server that can be down, and remembers who called it. */
class Server {
  readonly calls: Array<string> = []
  error: Refused | Unreachable | undefined
  /** Calls wait for it, if it is there. */
  gate: Gate | undefined
  readonly handlers = Mail.toLayer((_, context) =>
    Effect.suspend(() => {
      this.calls.push(context.id)
      const wait = this.gate?.run ?? Effect.void
      return Effect.andThen(
        wait,
        Effect.suspend(() => this.error === undefined ? Effect.void : Effect.fail(this.error))
      )
    })
  )
}

const stateOf = (pass = "~smtp=") => Effect.map(BreakerRecords.statesOf([pass]), ([found]) => found!.state)

const limitOf = (pass = "~smtp=") =>
  RecordStore.use((store) => Effect.map(store.get("limit", [pass]), ([found]) => found))

const mails = (count: number) =>
  Effect.map(Mail.enqueueAll(Array.from({ length: count }, () => undefined)), (handles) => handles.map(({ id }) => id))

describe("a breaker", () => {
  it.effect("opens by the failures of all instances, and then starts nothing and spends nothing", () => {
    const server = new Server()
    server.error = down
    return withStore(
      {},
      Effect.gen(function*() {
        const engines = [
          yield* start({ handlers: server.handlers, worker: { concurrency: 1 } }),
          yield* start({ handlers: server.handlers, worker: { concurrency: 1 } })
        ]
        yield* Effect.gen(function*() {
          const ids = yield* mails(2)
          yield* quiesce
          assert.strictEqual(server.calls.length, 2)
          assert.strictEqual(Rules.countOf((yield* stateOf()).failures), 2)
          const [third] = yield* mails(1)
          yield* quiesce
          assert.strictEqual(server.calls.length, 3)
          const { last, openings, since, until } = yield* stateOf()
          assert.deepStrictEqual([openings, until! - since!], [1, 10_000])
          assert.deepInclude(last, { task: third!, tag: "Unreachable" })
          const waiting = yield* mails(50)
          yield* pass("9 seconds")
          assert.strictEqual(server.calls.length, 3)
          for (const id of [...ids, third!]) {
            assert.deepInclude(yield* record(id), { state: "pending", failures: 1, claims: 1 })
          }
          for (const id of waiting) {
            assert.deepInclude(yield* record(id), { state: "pending", failures: 0, claims: 0 })
          }
        }).pipe(Effect.provide(engines[0]!.context))
        for (const engine of engines) yield* engine.close
      })
    )
  })

  it.effect("is tried by one task of all instances, and closed by its success", () => {
    const server = new Server()
    server.error = down
    return withStore(
      {},
      Effect.gen(function*() {
        const engines = [yield* start({ handlers: server.handlers }), yield* start({ handlers: server.handlers })]
        yield* Effect.gen(function*() {
          yield* mails(3)
          yield* quiesce
          assert.isNotNull((yield* stateOf()).until)
          const ids = yield* mails(20)
          server.error = undefined
          const gate = server.gate = new Gate()
          server.calls.length = 0
          yield* pass("12 seconds")
          assert.strictEqual(server.calls.length, 1)
          yield* pass("5 seconds")
          assert.strictEqual(server.calls.length, 1)
          gate.open()
          yield* quiesce
          for (const id of ids) yield* reaches(id, "completed")
          assert.deepStrictEqual(yield* stateOf(), Rules.closed)
          assert.isUndefined(yield* limitOf())
          assert.lengthOf(yield* Logs.matching(/breaker smtp is closed/), 1)
          assert.lengthOf(yield* Logs.matching(/breaker smtp is open for 10000 ms: Unreachable/), 1)
        }).pipe(Effect.provide(engines[0]!.context))
        for (const engine of engines) yield* engine.close
      })
    )
  })

  it.effect("opens again when the one that tries fails, for longer each time, up to its maximum", () => {
    const server = new Server()
    server.error = down
    return withEngine(
      { handlers: server.handlers },
      Effect.gen(function*() {
        yield* mails(10)
        yield* quiesce
        const before = server.calls.length
        const waits: Array<number> = []
        for (let tries = 1; tries <= 4; tries++) {
          const { until } = yield* stateOf()
          yield* pass(until! - (yield* BreakerRecords.now))
          assert.strictEqual(server.calls.length, before + tries)
          const state = yield* stateOf()
          waits.push(state.until! - until!)
          assert.strictEqual(state.openings, tries + 1)
        }
        assert.deepStrictEqual(waits, [20_000, 30_000, 30_000, 30_000])
      })
    )
  })

  it.effect("goes on being tried after the process that tried it has died", () => {
    const server = new Server()
    return withStore(
      {},
      Effect.gen(function*() {
        yield* BreakerRecords.change(
          "~smtp=",
          Smtp.settings,
          (state, now) => Rules.openedByHand(state, 1000, { by: null, reason: null }, now)
        )
        const engine = yield* start({ handlers: server.handlers, worker: { pollInterval: "1 hour" } })
        yield* Effect.gen(function*() {
          const [first, next] = yield* mails(2)
          yield* quiesce
          assert.deepStrictEqual(server.calls, [])
          // another process is faster, and dies
          const died = yield* TaskStore.use((store) =>
            Effect.gen(function*() {
              while (true) {
                yield* pass("500 millis")
                const { tasks } = yield* store.claim({
                  queues: undefined,
                  types: ["mail"],
                  limit: 5,
                  instance: "dies",
                  leaseForMs: 5000,
                  nonce: 1
                })
                if (tasks.length > 0 || server.calls.length > 0) return tasks
              }
            })
          )
          if (died.length > 0) {
            assert.deepStrictEqual(died.map(({ id }) => id), [first])
            assert.deepStrictEqual(server.calls, [])
            yield* pass("4 seconds")
            assert.deepStrictEqual(server.calls, [])
          }
          yield* pass("20 seconds")
          yield* reaches(first!, "completed")
          yield* reaches(next!, "completed")
          assert.deepStrictEqual(yield* stateOf(), Rules.closed)
        }).pipe(Effect.provide(engine.context))
        yield* engine.close
      })
    )
  })

  it.effect("is not closed by one that was cancelled, and the next one tries", () => {
    const server = new Server()
    const gate = server.gate = new Gate()
    return withEngine(
      { handlers: server.handlers },
      Effect.gen(function*() {
        yield* BreakerRecords.change(
          "~smtp=",
          Smtp.settings,
          (state, now) => Rules.openedByHand(state, 1000, { by: null, reason: null }, now)
        )
        const [first, next] = yield* mails(2)
        yield* pass("2 seconds")
        assert.deepStrictEqual(server.calls, [first])
        yield* TaskQueue.use((queue) => queue.cancel(first!))
        yield* pass("2 seconds")
        yield* reaches(first!, "cancelled")
        assert.isNotNull((yield* stateOf()).until)
        assert.deepStrictEqual(server.calls, [first, next])
        gate.open()
        yield* reaches(next!, "completed")
        assert.isNull((yield* stateOf()).until)
      })
    )
  })

  it.effect("counts failures within its time, timeouts among them, and no errors that its definition leaves out", () => {
    const server = new Server()
    return withEngine(
      { handlers: server.handlers, worker: { concurrency: 20 } },
      Effect.gen(function*() {
        server.error = new Refused()
        yield* mails(10)
        yield* pass("10 seconds")
        assert.isAbove(server.calls.length, 20)
        assert.deepStrictEqual(yield* stateOf(), Rules.closed)
        server.error = down
        for (let times = 0; times < 3; times++) {
          server.error = down
          yield* mails(1)
          yield* quiesce
          server.error = undefined
          yield* pass("40 seconds")
        }
        assert.isNull((yield* stateOf()).until)
        server.gate = new Gate()
        yield* mails(3)
        yield* pass("61 seconds")
        assert.isNotNull((yield* stateOf()).until)
        assert.include((yield* stateOf()).last, { tag: "Timeout" })
        server.gate.open()
      })
    )
  })

  it.effect("has a key for each host, if it makes keys", () => {
    const Web = Breaker.make("web", {
      failures: 1,
      openFor: "10 seconds",
      key: ({ host }: { readonly host: string }) => host
    })
    const Fetch = Task.make("fetch", { payload: { host: Schema.String }, breakers: [Web], retry: { times: 0 } })
    const calls: Array<string> = []
    const handlers = Fetch.toLayer(({ host }) =>
      Effect.suspend(() => {
        calls.push(host)
        return host === "down" ? Effect.die("down") : Effect.void
      })
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        yield* Fetch.enqueue({ host: "down" })
        yield* quiesce
        yield* Fetch.enqueueAll(["down", "up", "down", "up"].map((host) => ({ host })))
        yield* pass("5 seconds")
        assert.deepStrictEqual(calls, ["down", "up", "up"])
        assert.deepStrictEqual(
          (yield* BreakerRecords.statesOfName("web")).states.map(({ pass }) => pass),
          ["~web=down"]
        )
        assert.deepStrictEqual(
          (yield* BreakerRecords.list(undefined, 10)).breakers,
          [{ name: "web", keyed: true, failures: 1, withinMs: 60_000, openForMs: 10_000, maxOpenForMs: 10_000 }]
        )
      })
    )
  })

  it.effect("of a call is told how the call ends, lets none through while it is open, and spends no retry", () => {
    let calls = 0
    let error: Unreachable | undefined = down
    const handlers = Mail.toLayer((_, { attempt }) =>
      Smtp.protect(Effect.suspend(() => {
        calls++
        return error === undefined ? Effect.void : Effect.fail(error)
      })).pipe(
        // what else fails is not the dependency's fault
        Effect.andThen(attempt === 1 ? Effect.fail(new Unreachable({ url: "elsewhere" })) : Effect.void)
      )
    )
    return withEngine(
      { handlers, worker: { concurrency: 1 } },
      Effect.gen(function*() {
        error = undefined
        const [id] = yield* mails(1)
        yield* quiesce
        assert.deepInclude(yield* record(id!), { state: "scheduled", failures: 1 })
        assert.deepStrictEqual(yield* stateOf(), Rules.closed)
        yield* pass("2 seconds")
        yield* reaches(id!, "completed")
        error = down
        yield* mails(3)
        yield* quiesce
        const { until } = yield* stateOf()
        assert.isNotNull(until)
        assert.strictEqual(calls, 5)
      })
    )
  })

  it.effect("that has opened since an attempt began ends it when it makes a call", () => {
    const gate = new Gate()
    let calls = 0
    const handlers = Mail.toLayer(() => Effect.andThen(gate.run, Smtp.protect(Effect.sync(() => void calls++))))
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const [id] = yield* mails(1)
        yield* quiesce
        yield* BreakerRecords.change(
          "~smtp=",
          Smtp.settings,
          (state, now) => Rules.openedByHand(state, 10_000, { by: "ada", reason: null }, now)
        )
        gate.open()
        yield* quiesce
        assert.strictEqual(calls, 0)
        const parked = yield* record(id!)
        assert.deepInclude(parked, { state: "scheduled", failures: 0, failure: null })
        assert.strictEqual(parked.history.at(-1)?.outcome, "snoozed")
        yield* pass("11 seconds")
        yield* reaches(id!, "completed")
        assert.strictEqual(calls, 1)
        assert.deepStrictEqual(yield* stateOf(), Rules.closed)
      })
    )
  })

  it.effect("that the type does not declare fails the attempt, which says so", () => {
    const Other = Breaker.make("other", { failures: 1 })
    return withEngine(
      { handlers: Mail.toLayer(() => Other.protect(Effect.void)) },
      Effect.gen(function*() {
        const [id] = yield* mails(1)
        yield* quiesce
        assert.include(
          (yield* record(id!)).failure?.message,
          "The option breaker is \"other\"; expected a breaker of the task's type: smtp"
        )
      })
    )
  })

  it.effect("is written a bounded number of times in a storm of failures, and is free while nothing fails", () => {
    const Busy = Breaker.make("busy", { failures: 1000, openFor: "1 hour" })
    const Work = Task.make("work", { payload: Schema.Boolean, breakers: [Busy], retry: { times: 0 } })
    const calls = { reads: 0, puts: 0 }
    return withStore(
      { store: { capacity: 100_000 }, logLevel: "Error" },
      Effect.gen(function*() {
        const records = yield* RecordStore
        const counted = RecordStore.of({
          ...records,
          get: (kind, ids) => {
            if (kind.startsWith("breaker")) calls.reads++
            return records.get(kind, ids)
          },
          list: (kind, request) => {
            if (request?.prefix?.startsWith("~") === true) calls.reads++
            return records.list(kind, request)
          },
          put: (changes, nonce) => {
            if (changes.some(({ kind }) => kind.startsWith("breaker"))) calls.puts++
            return records.put(changes, nonce)
          }
        })
        const handlers = Work.toLayer((fails) => fails ? Effect.die("down") : Effect.void)
        const engine = yield* Effect.provideService(
          start({ handlers, worker: { concurrency: 500 } }),
          RecordStore,
          counted
        )
        yield* Effect.gen(function*() {
          yield* Work.enqueueAll(Array.from({ length: 5000 }, () => false))
          yield* pass("1 second")
          // its definition is registered
          assert.strictEqual(calls.puts, 1)
          assert.isAtMost(calls.reads, 2)
          calls.reads = calls.puts = 0
          for (let batch = 0; batch < 10; batch++) yield* Work.enqueueAll(Array.from({ length: 1000 }, () => true))
          yield* pass("1 minute")
          assert.isNotNull((yield* stateOf("~busy=")).until)
          assert.isAtMost(calls.puts, 20)
          assert.isAtMost(calls.reads, 40)
        }).pipe(Effect.provide(engine.context))
        yield* engine.close
      })
    )
  })

  it("throws where something is outside of its bound, and names it", () => {
    const outside: ReadonlyArray<readonly [option: string, make: () => unknown]> = [
      ["breaker.name", () => Breaker.make("", { failures: 1 })],
      ["breaker.name", () => Breaker.make("a=b", { failures: 1 })],
      ["breaker.name", () => Breaker.make("~a", { failures: 1 })],
      ["breaker.failures", () => Breaker.make("a", {} as never)],
      ["breaker.failures", () => Breaker.make("a", { failures: 0 })],
      ["breaker.failures", () => Breaker.make("a", { failures: 1001 })],
      ["breaker.within", () => Breaker.make("a", { failures: 1, within: 0 })],
      ["breaker.openFor", () => Breaker.make("a", { failures: 1, openFor: "-1 seconds" as never })],
      ["breaker.maxOpenFor", () => Breaker.make("a", { failures: 1, openFor: "1 minute", maxOpenFor: "1 second" })],
      ["breaker.key", () => Breaker.make("a", { failures: 1, key: "host" as never })],
      ["breaker.opens", () => Breaker.make("a", { failures: 1, opens: 1 } as never)],
      ["limits.name", () => Task.make("a", { breakers: [Smtp, Smtp] })],
      [
        "limits",
        () => Task.make("a", { breakers: Array.from({ length: 9 }, (_, n) => Breaker.make(`b${n}`, { failures: 1 })) })
      ]
    ]
    for (const [option, make] of outside) {
      const exit = Effect.runSyncExit(Effect.sync(make))
      const error = Exit.isFailure(exit)
        ? exit.cause.reasons.map((reason) => "defect" in reason && reason.defect)[0]
        : undefined
      assert.instanceOf(error, InvalidOption, option)
      assert.strictEqual((error as InvalidOption).option, option)
    }
  })
})
