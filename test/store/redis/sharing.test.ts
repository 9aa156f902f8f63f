/**
 * Two processes on one deployment, each with connections of its own: what they tell each other.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { type Hint, Notifier, work } from "../../../src/store/Notifier.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { patiently } from "../../Patience.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import { complete, request, tasks } from "../conformance/fixtures.ts"
import { connect } from "./fixtures.ts"

await withServer("Redis", Redis.find, async (server) => {
  const { prefix } = await connect(server)

  /** Whether a hint says at least what another one says: what a process sends is merged. */
  const includes = (heard: Hint, sent: Hint): boolean =>
    heard._tag === sent._tag &&
    (!("ids" in sent) || !("ids" in heard) || sent.ids.every((id) => heard.ids.includes(id)))

  /** Two stores, and what the first has heard. */
  const two = Effect.gen(function*() {
    const name = yield* prefix
    const open = Layer.build(Layer.fresh(RedisStore.layerUrl({ url: server.url, prefix: name })))
    const [here, there] = [yield* open, yield* open]
    const heard: Array<Hint> = []
    yield* Notifier.use((notifier) => notifier.listen((hint) => void heard.push(hint))).pipe(
      Effect.provideContext(here)
    )
    const publish = (hint: Hint) => Effect.provideContext(Notifier.use((notifier) => notifier.publish(hint)), there)
    /** Publishes until it is heard: a hint may be lost, but not for ever. */
    const heardFrom = (hint: Hint) =>
      Effect.andThen(
        publish(hint),
        Effect.suspend(() => heard.some((other) => includes(other, hint)) ? Effect.void : Effect.fail("not heard"))
      ).pipe(Effect.retry(patiently()))
    // whoever has heard one thing hears everything from then on
    yield* heardFrom({ _tag: "Cancel", ids: ["start"] })
    heard.length = 0
    return { here, there, heard, publish, heardFrom }
  })

  describe("Processes that share a Redis store", () => {
    it.live("hear of work and cancels from each other", () =>
      Effect.gen(function*() {
        const { heard, heardFrom } = yield* two
        yield* heardFrom(work)
        yield* heardFrom({ _tag: "Cancel", ids: ["a", "b"] })
        assert.isTrue(heard.some((hint) => hint._tag === "Cancel" && hint.ids.includes("a")))
      }))

    it.live("don't hear themselves twice", () =>
      Effect.gen(function*() {
        const { heard, heardFrom, here } = yield* two
        yield* Effect.provideContext(Notifier.use((notifier) => notifier.publish(work)), here)
        yield* heardFrom({ _tag: "Cancel", ids: ["after"] })
        assert.strictEqual(heard.filter(({ _tag }) => _tag === "Work").length, 1)
      }))

    it.live("hear of the end of the tasks they have asked for, and of no others", () =>
      Effect.gen(function*() {
        const { heard, heardFrom, here, there } = yield* two
        const [awaited, other] = tasks(2)
        const finish = Effect.gen(function*() {
          const store = yield* TaskStore
          yield* store.enqueue([[awaited!, other!]])
          const asked = yield* Effect.provideContext(TaskStore.use((store) => store.results([awaited!.id])), here)
          assert.deepStrictEqual(asked, [undefined])
          const claimed = yield* store.claim(request())
          yield* store.settle(claimed.tasks.map((task) => complete(task)))
        })
        yield* Effect.provideContext(finish, there)
        yield* heardFrom({ _tag: "Cancel", ids: ["after"] })
        assert.deepStrictEqual(
          heard.filter(({ _tag }) => _tag === "Finished"),
          [{ _tag: "Finished", ids: [awaited!.id] }]
        )
      }))
  })
})
