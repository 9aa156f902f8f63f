/**
 * What the store does when its server does not do as it should. Each test has a server of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, References, Scope } from "effect"
import { StoreError, StoreIncompatible } from "../../../src/domain/Errors.ts"
import { type Hint, Notifier, work } from "../../../src/store/Notifier.ts"
import { absent, type Change, RecordStore } from "../../../src/store/RecordStore.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { patiently } from "../../Patience.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import { complete, request, retention, settle, task, tasks } from "../conformance/fixtures.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

const storeOn = (url: string, options: RedisStore.Options = {}) =>
  Layer.provide(RedisStore.layerUrl({ url, ...options }), quiet)

const change = (id: string, expects: number = absent, document: string | null = "1"): Change => ({
  kind: "thing",
  id,
  expects,
  document
})

const enqueue = Effect.asVoid(TaskStore.use((store) => store.enqueue([[task()]])))

/** Tries again until it succeeds, for as long as a server may take to come back. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.retry(effect, patiently("50 millis"))

const failureOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Effect.result(effect),
    (result) => result._tag === "Failure" ? Effect.succeed(result.failure) : Effect.die("it succeeded")
  )

await withServer("a Redis of its own", Redis.installed, () => {
  describe("The Redis store", () => {
    it.live("says where nobody answers, without the password", () =>
      Effect.gen(function*() {
        const url = "redis://ada:secret@127.0.0.1:1"
        const error = yield* failureOf(Effect.scoped(Layer.build(storeOn(url))))
        assert.instanceOf(error, StoreError)
        assert.include(error.message, "redis://***@127.0.0.1:1")
        assert.include(error.message, "cannot be reached")
        assert.notInclude(error.message, "secret")
      }))

    it.live(
      "fails at once while its server is gone, and works by itself once it is back",
      () =>
        Effect.gen(function*() {
          const server = yield* Redis.start()
          yield* Effect.gen(function*() {
            yield* enqueue
            yield* server.kill("SIGKILL")
            for (const attempt of [enqueue, enqueue, Effect.asVoid(TaskStore.use((store) => store.counts))]) {
              assert.instanceOf(yield* failureOf(attempt), StoreError)
            }
            yield* server.start
            // the new server knows no scripts, and nothing else
            yield* eventually(enqueue)
            assert.deepInclude(yield* TaskStore.use((store) => store.counts), { pending: 1, running: 0 })
            // It would wait so long for an answer
          }).pipe(Effect.provide(storeOn(server.url, { answerWithin: "1 hour" })))
        })
    )

    it.live("fails when its server stands still, and works by itself once it goes on", () =>
      Effect.gen(function*() {
        const server = yield* Redis.start()
        yield* Effect.gen(function*() {
          yield* enqueue
          yield* server.signal("SIGSTOP")
          const error = yield* failureOf(enqueue)
          yield* server.signal("SIGCONT")
          assert.include(error.message, "no answer within")
          yield* eventually(enqueue)
        }).pipe(Effect.provide(storeOn(server.url, { answerWithin: "1 second" })))
      }))

    it.live(
      "subscribes again when its connection is cut, looks for work then, and hears hints again",
      () =>
        Effect.gen(function*() {
          const server = yield* Redis.start()
          const other = yield* Layer.build(storeOn(server.url))
          yield* Effect.gen(function*() {
            const heard: Array<Hint> = []
            const notifier = yield* Notifier
            yield* notifier.listen((hint) => void heard.push(hint))
            const hears = Effect.suspend(() => heard.length > 0 ? Effect.void : Effect.fail("nothing heard"))
            // the first subscription is made beside everything else
            yield* eventually(hears)
            heard.length = 0
            yield* Redis.command(server.url, "CLIENT", "KILL", "TYPE", "pubsub")
            yield* eventually(hears)
            assert.deepStrictEqual(heard[0], work)
            heard.length = 0
            const cancel: Hint = { _tag: "Cancel", ids: ["a"] }
            yield* eventually(Effect.andThen(
              Notifier.use((there) => there.publish(cancel)).pipe(Effect.provideContext(other)),
              Effect.suspend(() => heard.some(({ _tag }) => _tag === "Cancel") ? Effect.void : Effect.fail("not heard"))
            ))
            assert.deepStrictEqual(heard.find(({ _tag }) => _tag === "Cancel"), cancel)
          }).pipe(Effect.scoped, Effect.provide(storeOn(server.url)))
        })
    )

    it.live(
      "refuses new tasks when its server's memory is full, and finishes those it has",
      () =>
        Effect.gen(function*() {
          const server = yield* Redis.start({ "maxmemory-policy": "noeviction" })
          yield* Effect.gen(function*() {
            const store = yield* TaskStore
            yield* store.enqueue([tasks(10)])
            const { tasks: claimed } = yield* store.claim(request({ limit: 5 }))
            const kept = yield* RecordStore.use((records) => records.put([change("a")]))
            yield* Redis.command(server.url, "CONFIG", "SET", "maxmemory", "1")
            const error = yield* failureOf(store.enqueue([[task()]]))
            assert.include(error.message, "its memory is full")
            assert.deepInclude(yield* store.counts, { pending: 5, running: 5 })
            const records = yield* RecordStore
            assert.include((yield* failureOf(records.put([change("b")]))).message, "its memory is full")
            assert.lengthOf((yield* records.list("thing")).records, 1)
            yield* records.put([change("a", kept, null)])
            assert.lengthOf((yield* records.list("thing")).records, 0)
            for (const one of claimed) assert.strictEqual(yield* settle(complete(one)), "applied")
            assert.strictEqual((yield* store.claim(request())).tasks.length, 5)
            yield* Redis.command(server.url, "CONFIG", "SET", "maxmemory", "0")
            yield* store.enqueue([[task()]])
            assert.deepInclude(yield* store.counts, { completed: 5, pending: 1, running: 5 })
          }).pipe(Effect.provide(storeOn(server.url)))
        })
    )

    it.live(
      "gives no version of a record twice when its server has lost the last writes",
      () =>
        Effect.gen(function*() {
          const server = yield* Redis.start()
          yield* Effect.gen(function*() {
            const records = yield* RecordStore
            const first = yield* records.put([change("a")])
            yield* Redis.command(server.url, "SAVE")
            const lost = yield* records.put([change("a", first)])
            yield* server.kill("SIGKILL")
            yield* server.start
            const again = yield* eventually(records.put([change("a", first)]))
            assert.isAbove(again, lost)
          }).pipe(Effect.provide(storeOn(server.url)))
        })
    )

    it.live("gives no claim number twice when its server has lost the last writes", () =>
      Effect.gen(function*() {
        const server = yield* Redis.start()
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          yield* store.enqueue([tasks(3)])
          const take = Effect.suspend(() => Effect.map(store.claim(request({ limit: 1 })), ({ tasks }) => tasks[0]!))
          yield* take
          yield* Redis.command(server.url, "SAVE")
          const lost = yield* take
          yield* server.kill("SIGKILL")
          yield* server.start
          const again = yield* eventually(take)
          // it is the same task, because nobody remembers the first attempt, whose number has lost all power
          assert.strictEqual(again.id, lost.id)
          assert.isAbove(again.claim, lost.claim)
          assert.strictEqual(yield* settle(complete(lost)), "stale")
          assert.strictEqual(yield* settle(complete(again)), "applied")
        }).pipe(Effect.provide(storeOn(server.url)))
      }))

    it.live(
      "warns of a server that may delete tasks, and of nothing on one that may not",
      () =>
        Effect.gen(function*() {
          const warningsOf = Effect.fnUntraced(function*(policy: string) {
            const server = yield* Redis.start({ "maxmemory-policy": policy, maxmemory: "100mb", appendonly: "yes" })
            const lines: Array<string> = []
            const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
              if (logLevel === "Warn") lines.push(String(message))
            })
            yield* Effect.scoped(Layer.build(Layer.provide(
              RedisStore.layerUrl({ url: server.url }),
              Logger.layer([logger])
            )))
            return lines
          })
          const [warning] = yield* warningsOf("allkeys-lru")
          assert.include(warning, "allkeys-lru")
          assert.include(warning, "noeviction")
          assert.deepStrictEqual(yield* warningsOf("noeviction"), [])
          // the store's keys have no expiry
          assert.deepStrictEqual(yield* warningsOf("volatile-lru"), [])
        })
    )

    it.live("needs no more rights than the documents name", () =>
      Effect.gen(function*() {
        const server = yield* Redis.start()
        const rights =
          "~{taskforge} ~{taskforge}:* &{taskforge}:* +@read +@write +@scripting +@pubsub +@connection +info +time"
        yield* Redis.command(server.url, "ACL", "SETUSER", "app", "on", ">secret", ...rights.split(" "))
        const url = new URL(server.url)
        url.username = "app"
        url.password = "secret"
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          const [kept, cancelled] = tasks(2)
          yield* store.enqueue([[kept!, cancelled!], [task({ key: "k" })], [task({ delayMs: 1000 })]])
          assert.deepStrictEqual(yield* store.cancel([cancelled!.id]), ["cancelled"])
          yield* store.awaitResults([kept!.id])
          const claimed = yield* store.claim(request())
          assert.lengthOf(claimed.tasks, 2)
          yield* store.extend(claimed.tasks, 1000)
          yield* store.settle(claimed.tasks.map((one) => complete(one)))
          yield* store.rerun([cancelled!.id])
          assert.lengthOf((yield* store.list({ limit: 10 })).tasks, 4)
          yield* store.prune(retention({ finishedForMs: 0 }), 10)
          assert.deepInclude(yield* store.counts, { pending: 1, scheduled: 1, completed: 0 })
          const heard: Array<Hint> = []
          const notifier = yield* Notifier
          yield* notifier.listen((hint) => void heard.push(hint))
          const other = yield* Layer.build(Layer.fresh(storeOn(url.href)))
          yield* eventually(Effect.andThen(
            Notifier.use((there) => there.publish({ _tag: "Cancel", ids: ["a"] })).pipe(Effect.provideContext(other)),
            Effect.suspend(() => heard.some(({ _tag }) => _tag === "Cancel") ? Effect.void : Effect.fail("not heard"))
          ))
        }).pipe(Effect.scoped, Effect.provide(storeOn(url.href)))
      }))

    it.live("refuses a layout from the future, and another head start", () =>
      Effect.gen(function*() {
        const server = yield* Redis.start()
        const open = (options: RedisStore.Options = {}) => Effect.scoped(Layer.build(storeOn(server.url, options)))
        yield* open({ headStart: "1 minute" })
        yield* open({ headStart: "1 minute" })
        const other = yield* failureOf(open({ headStart: "2 minutes" }))
        assert.instanceOf(other, StoreIncompatible)
        assert.include(other.message, "1m")
        yield* open({ headStart: "2 minutes", prefix: "elsewhere" })
        yield* Redis.command(server.url, "HSET", "{taskforge}:meta", "version", "1")
        yield* open({ headStart: "1 minute" })
        assert.strictEqual(yield* Redis.command(server.url, "HGET", "{taskforge}:meta", "version"), "13")
        yield* Redis.command(server.url, "HSET", "{taskforge}:meta", "version", "99")
        const newer = yield* failureOf(open({ headStart: "1 minute" }))
        assert.instanceOf(newer, StoreIncompatible)
        assert.include(newer.message, "99")
      }))

    it.live("leaves no connection behind", () =>
      Effect.gen(function*() {
        const server = yield* Redis.start()
        const connections = Effect.map(
          Redis.command(server.url, "CLIENT", "LIST"),
          (list) => String(list).trim().split("\n").length
        )
        const before = yield* connections
        const scope = yield* Scope.make()
        yield* Scope.provide(Layer.build(storeOn(server.url)), scope)
        yield* eventually(Effect.filterOrFail(connections, (open) => open === before + 2))
        yield* Scope.close(scope, Exit.void)
        yield* eventually(Effect.filterOrFail(connections, (open) => open === before))
      }))
  })
})
