/** What closed gates cost a claim, what several processes make of a limit, and what other versions leave behind. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References, Schedule } from "effect"
import { Redis as RedisClient } from "effect/persistence/Redis"
import type { RecordStore } from "../../../src/store/RecordStore.ts"
import * as Connection from "../../../src/store/redis/Connection.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  add,
  addAll,
  complete,
  everything,
  idsOf,
  passState,
  request,
  rescue,
  retention,
  setLimit,
  settled,
  take,
  takeIds,
  tasks,
  through
} from "../conformance/fixtures.ts"
import { inconsistencies } from "./consistency.ts"
import { connect } from "./fixtures.ts"

await withServer("Redis", Redis.find, async (server) => {
  const { prefix, redis } = await connect(server)
  const quiet = Layer.succeed(References.MinimumLogLevel, "Error")
  const storeOn = (name: string) =>
    RedisStore.layer({ prefix: name }).pipe(
      Layer.provide(Layer.succeed(RedisClient, redis)),
      Layer.provide(quiet),
      Layer.fresh
    )

  describe("closed gates in Redis", () => {
    /** How many commands something makes a server do that nobody else uses. */
    const countingOn = (url: string) =>
      Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
        const count = Effect.map(
          Redis.command(url, "INFO", "commandstats"),
          (text) =>
            [...String(text).matchAll(/cmdstat_(?!info|ping|publish)[^:]*:calls=(\d+)/g)].reduce(
              (sum, [, calls]) => sum + Number(calls),
              0
            )
        )
        const before = yield* count
        yield* effect
        return (yield* count) - before
      })

    it.live(
      "cost a claim nothing, in one line or in thousands, behind one pass or many, also when more come",
      () =>
        Effect.gen(function*() {
          const own = yield* Redis.start()
          const counting = countingOn(own.url)
          const kinds: ReadonlyArray<(index: number) => ReturnType<typeof through>> = [
            () => through("tenant=a"),
            (index) => through(`tenant=${index}`),
            (index) => through("tenant=a", `other=${index}`)
          ]
          for (const kind of kinds) {
            yield* Redis.command(own.url, "FLUSHALL")
            yield* Effect.gen(function*() {
              yield* addAll(tasks(150))
              const free = yield* counting(take({ limit: 10 }))
              yield* setLimit("tenant", { max: 0 })
              for (let at = 0; at < 5000; at += 1000) {
                yield* add(...tasks(1000).map((_, index) => ({ priority: 9, ...kind(at + index) })))
              }
              const first = yield* counting(take({ limit: 10 }))
              const closed = yield* counting(take({ limit: 10 }))
              yield* add(...tasks(1000).map((_, index) => ({ priority: 8, ...kind(index) })))
              const still = yield* counting(take({ limit: 10 }))
              assert.isAtMost(closed, free + 5, `${free}, ${first}, ${closed}, ${still}`)
              assert.isAtMost(still, free + 5, `${free}, ${first}, ${closed}, ${still}`)
            }).pipe(Effect.provide(Layer.provide(Layer.fresh(RedisStore.layerUrl({ url: own.url })), quiet)))
          }
        }),
      120_000
    )

    it.live("open and close at a cost that does not grow with the lines that wait", () =>
      Effect.gen(function*() {
        const own = yield* Redis.start()
        const counting = countingOn(own.url)
        const costs: Array<number> = []
        for (const count of [10, 3000]) {
          yield* Redis.command(own.url, "FLUSHALL")
          yield* Effect.gen(function*() {
            yield* setLimit("smtp", { max: 1 })
            for (let at = 0; at < count; at += 1000) {
              yield* add(
                ...tasks(Math.min(1000, count - at)).map((_, index) => through("smtp=", `other=${at + index}`))
              )
            }
            for (let [held] = yield* take(), round = 0; round < 3; round++) {
              yield* take()
              const cost = yield* counting(Effect.gen(function*() {
                yield* settled(complete(held!))
                ;[held] = yield* take()
                yield* take()
              }))
              if (round === 2) costs.push(cost)
            }
          }).pipe(Effect.provide(Layer.provide(Layer.fresh(RedisStore.layerUrl({ url: own.url })), quiet)))
        }
        assert.isAtMost(costs[1]!, costs[0]! + 10, String(costs))
      }), 120_000)

    it.live(
      "are never passed by too many, whoever claims and whichever connections break",
      () =>
        Effect.gen(function*() {
          const own = yield* Redis.start()
          const redis = yield* Connection.make({ url: own.url, answerWithinMs: 20_000 })
          const max = 2
          const stores = yield* Effect.forEach(
            Array.from({ length: 6 }),
            () => Layer.build(Layer.provide(Layer.fresh(RedisStore.layerUrl({ url: own.url })), quiet))
          )
          const [first] = stores
          const here = <A, E>(effect: Effect.Effect<A, E, TaskStore | RecordStore>) =>
            Effect.retry(Effect.provideContext(effect, first!), { times: 20, schedule: Schedule.spaced("20 millis") })
          yield* here(setLimit("key", { max }))
          yield* here(setLimit("all", { max: 15 }))
          yield* here(
            add(...tasks(600).map((_, index) => through(`key=${index % 20}`, ...(index % 3 === 0 ? ["all="] : []))))
          )
          const overshot: Array<string> = []
          const isDone = { value: false }
          const watch = Effect.gen(function*() {
            while (!isDone.value) {
              const { tasks: now } = yield* here(
                TaskStore.use((store) => store.list({ states: ["running"], limit: 1000 }))
              )
              const counts = new Map<string, number>()
              for (const { gate } of now) {
                for (const pass of JSON.parse(gate!) as Array<string>) counts.set(pass, (counts.get(pass) ?? 0) + 1)
              }
              for (const [pass, count] of counts) {
                if (count > (pass === "all=" ? 15 : max)) overshot.push(`${pass}: ${count}`)
              }
            }
          })
          const settledIds: Array<string> = []
          const claimer = (store: typeof stores[number], index: number) =>
            Effect.gen(function*() {
              for (let idle = 0; idle < 200;) {
                const taken = yield* Effect.orElseSucceed(
                  take({ instance: `i${index}`, limit: 7, leaseForMs: 500 }),
                  () => undefined
                )
                if (taken === undefined) continue
                const answers = yield* Effect.orElseSucceed(
                  TaskStore.use((store) => store.settle(taken.map((one) => complete(one)))),
                  () => []
                )
                for (const [at, answer] of answers.entries()) if (answer === "applied") settledIds.push(taken[at]!.id)
                if (taken.length > 0) continue
                yield* Effect.ignore(rescue())
                const left = yield* here(TaskStore.use((store) => store.counts))
                if (left.pending + left.running === 0) return
                idle++
                yield* Effect.sleep("10 millis")
              }
            }).pipe(Effect.provideContext(store))
          const breaker = Effect.gen(function*() {
            for (let times = 0; times < 5; times++) {
              yield* Effect.sleep("15 millis")
              const list = yield* redis.send<string>("CLIENT", "LIST", "TYPE", "normal")
              const ids = [...String(list).matchAll(/^id=(\d+) .*cmd=evalsha/gm)].map(([, id]) => id!)
              const id = ids[times % ids.length]
              if (id !== undefined) yield* Effect.ignore(redis.send("CLIENT", "KILL", "ID", id))
            }
          })
          yield* Effect.all([
            Effect.andThen(
              Effect.all([...stores.slice(1).map(claimer), breaker], {
                concurrency: "unbounded"
              }),
              Effect.sync(() => isDone.value = true)
            ),
            watch
          ], { concurrency: "unbounded" })
          assert.deepStrictEqual(overshot, [])
          assert.strictEqual(new Set(settledIds).size, settledIds.length)
          assert.deepInclude(yield* here(TaskStore.use((store) => store.counts)), {
            completed: 600,
            pending: 0,
            running: 0
          })
          assert.strictEqual(yield* redis.send("EXISTS", "{taskforge}:held"), 0)
          assert.deepStrictEqual(yield* inconsistencies(redis, "{taskforge}"), [])
        }),
      120_000
    )

    it.live("are counted anew when the store is opened, and when it prunes", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const held = `{${name}}:held`
        yield* Effect.gen(function*() {
          yield* setLimit("tenant", { max: 1 })
          const ids = yield* addAll(tasks(4, through("tenant=a")))
          const [one] = yield* take()
          assert.deepStrictEqual(yield* takeIds(), [])
          // a version that knows nothing of gates has taken one back, and its number stayed
          yield* settled(complete(one!))
          yield* redis.send("HSET", held, "tenant=a", "1", "tenant=gone", "3")
          assert.deepStrictEqual(yield* takeIds(), [])
          yield* TaskStore.use((store) => store.prune(retention(), 100))
          assert.strictEqual(yield* redis.send("EXISTS", held), 0)
          assert.deepStrictEqual(yield* takeIds(), [ids[1]])
          yield* redis.send("DEL", held)
        }).pipe(Effect.provide(storeOn(name)))
        yield* Effect.gen(function*() {
          assert.deepInclude(yield* passState("tenant=a"), { running: 1 })
          assert.deepStrictEqual(yield* takeIds(), [])
        }).pipe(Effect.provide(storeOn(name)))
      }))

    it.live("also where an earlier version has filed their lines like lanes", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const root = `{${name}}`
        yield* Effect.gen(function*() {
          const [id, other] = yield* addAll(tasks(2, { delayMs: 1, ...through("tenant=a") }))
          yield* Effect.sleep("10 millis")
          // as that version promotes tasks
          const line = JSON.stringify(["default", "work", "[\"tenant=a\"]"])
          const records = new Map((yield* everything).map((one) => [one.id, one]))
          for (const one of [id, other]) {
            const { dueAt, seq } = records.get(one)!
            yield* redis.send("ZADD", `${root}:lane:${line}`, String(dueAt), `${seq}${one}`)
            yield* redis.send("ZADD", `${root}:list:P:${line}`, "0", `${seq}${one}`)
          }
          yield* redis.send("DEL", `${root}:scheduled`)
          const { dueAt, seq } = records.get(id)!
          yield* redis.send("HSET", `${root}:head`, line, `${seq}${dueAt}`)
          yield* redis.send("ZADD", `${root}:ready`, String(dueAt), `${seq}${line}`)
          yield* redis.send("ZADD", `${root}:ready:"work"`, String(dueAt), `${seq}${line}`)
          yield* setLimit("tenant", { max: 1 })
          const answer = yield* TaskStore.use((store) => store.claim(request()))
          assert.deepStrictEqual([idsOf(answer.tasks), answer.nextDueAt], [[], answer.now])
          const [one] = yield* take()
          assert.strictEqual(one!.id, id)
          assert.deepStrictEqual(yield* takeIds(), [])
          assert.deepStrictEqual(yield* inconsistencies(redis, root), [])
          yield* settled(complete(one!))
          assert.deepStrictEqual(yield* takeIds(), [other])
          assert.strictEqual((yield* everything).length, 2)
        }).pipe(Effect.provide(storeOn(name)))
      }))
  })
})
