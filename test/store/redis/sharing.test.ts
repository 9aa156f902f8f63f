/**
 * Two processes on one deployment, each with connections of its own: what they tell each other.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Notifier, work } from "../../../src/store/Notifier.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import { hearsWhatItAwaits, reads, two } from "../sharing.ts"
import { connect } from "./fixtures.ts"

// Redis may move the fields of a hash about while it is read
const dump = `
local function contentOf(key)
  if redis.call("TYPE", key).ok ~= "hash" then return redis.call("DUMP", key) end
  local fields = redis.call("HGETALL", key)
  local pairs = {}
  for index = 1, #fields, 2 do pairs[#pairs + 1] = cjson.encode({ fields[index], fields[index + 1] }) end
  table.sort(pairs)
  return table.concat(pairs)
end
local all = {}
for _, key in ipairs(redis.call("KEYS", ARGV[1])) do
  all[#all + 1] = key .. " " .. redis.sha1hex(contentOf(key))
end
table.sort(all)
return all
`

await withServer("Redis", Redis.find, async (server) => {
  let root = ""
  const { layer, prefix, redis } = await connect(server, (_, used) => Effect.sync(() => void (root = used)))

  /** All keys of the store, each with what it holds. */
  const everything = Effect.suspend(() => redis.send<ReadonlyArray<string>>("EVAL", dump, "0", `${root}:*`))

  /** Opens the same store again and again, each time as another process does. */
  const opener = Effect.map(
    prefix,
    (name) => Layer.build(Layer.fresh(RedisStore.layerUrl({ url: server.url, prefix: name })))
  )

  describe("Processes that share a Redis store", () => {
    it.live("hear of work and cancels from each other", () =>
      Effect.gen(function*() {
        const { heard, heardFrom } = yield* two(yield* opener)
        yield* heardFrom(work)
        yield* heardFrom({ _tag: "Cancel", ids: ["a", "b"] })
        assert.isTrue(heard.some((hint) => hint._tag === "Cancel" && hint.ids.includes("a")))
      }))

    it.live("don't hear themselves twice", () =>
      Effect.gen(function*() {
        const { heard, heardFrom, here } = yield* two(yield* opener)
        yield* Context.get(here, Notifier).publish(work)
        yield* heardFrom({ _tag: "Cancel", ids: ["after"] })
        assert.strictEqual(heard.filter(({ _tag }) => _tag === "Work").length, 1)
      }))

    it.live("hear of the end of the tasks that they await, and of no others", () =>
      Effect.flatMap(opener, hearsWhatItAwaits))

    it.live("leave no trace by reading", () =>
      Effect.gen(function*() {
        const look = yield* reads
        const before = yield* everything
        assert.isAbove(before.length, 10)
        yield* look()
        assert.deepStrictEqual(yield* everything, before)
      }).pipe(Effect.provide(layer())))
  })
})
