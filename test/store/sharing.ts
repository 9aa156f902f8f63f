/**
 * What processes that share a store tell each other, and everything that only reads it.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, type Scope } from "effect"
import type { StoreServices } from "../../src/store/Driver.ts"
import { EventLog } from "../../src/store/EventLog.ts"
import { InstanceStore } from "../../src/store/InstanceStore.ts"
import { announcing, type Hint, Notifier } from "../../src/store/Notifier.ts"
import * as PausedQueues from "../../src/store/PausedQueues.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { patiently } from "../Patience.ts"
import { addOne, complete, inState, pause, request, tasks } from "./conformance/fixtures.ts"

type Services = Context.Context<StoreServices>

/** Two processes on one store, and what the first has heard. */
export const two = Effect.fnUntraced(function*<E>(open: Effect.Effect<Services, E, Scope.Scope>) {
  const [here, there] = [yield* open, yield* open]
  const heard: Array<Hint> = []
  yield* Context.get(here, Notifier).listen((hint) => void heard.push(hint))
  const { publish } = Context.get(there, Notifier)
  /** Whether a hint says at least what another one says: what a process sends is merged. */
  const includes = (heard: Hint, sent: Hint): boolean =>
    heard._tag === sent._tag &&
    (!("ids" in sent) || !("ids" in heard) || sent.ids.every((id) => heard.ids.includes(id)))
  const isHeard = (hint: Hint) =>
    Effect.suspend(() => heard.some((other) => includes(other, hint)) ? Effect.void : Effect.fail("not heard"))
  /** Publishes until it is heard: a hint may be lost, but not for ever. */
  const heardFrom = (hint: Hint) => Effect.retry(Effect.andThen(publish(hint), isHeard(hint)), patiently())
  // A process that has heard one thing hears everything from then on
  yield* heardFrom({ _tag: "Cancel", ids: ["start"] })
  heard.length = 0
  return { here, there, heard, isHeard, heardFrom }
})

/** A process hears of the end of those tasks that it awaits, and of no others that it has looked at. */
export const hearsWhatItAwaits = Effect.fnUntraced(function*<E>(open: Effect.Effect<Services, E, Scope.Scope>) {
  const { heard, heardFrom, here, isHeard, there } = yield* two(open)
  const waiting = Context.get(here, TaskStore)
  const store = announcing(Context.get(there, TaskStore), Context.get(there, Notifier).publish)
  const [awaited, read, other] = tasks(3)
  yield* store.enqueue([[awaited!, read!, other!]])
  assert.deepStrictEqual(yield* waiting.results([read!.id]), [undefined])
  assert.deepStrictEqual(yield* waiting.get(read!.id).pipe(Effect.map((task) => task?.state)), "pending")
  assert.deepStrictEqual(yield* waiting.awaitResults([awaited!.id, "unknown"]), [undefined, null])
  const claimed = yield* store.claim(request())
  yield* store.settle(claimed.tasks.map((task) => complete(task)))
  yield* Effect.retry(isHeard({ _tag: "Finished", ids: [awaited!.id] }), patiently())
  yield* heardFrom({ _tag: "Cancel", ids: ["after"] })
  assert.deepStrictEqual(
    heard.filter(({ _tag }) => _tag === "Finished"),
    [{ _tag: "Finished", ids: [awaited!.id] }]
  )
})

/** Stores tasks of all states, and answers what looks at them in every way that a store has. */
export const reads = Effect.gen(function*() {
  const states = ["completed", "failed", "cancelled", "expired", "running", "scheduled", "pending"] as const
  const ids = [...yield* Effect.forEach(states, (state) => inState(state)), yield* addOne({ key: "k" }), "unknown"]
  yield* addOne({ queue: "other", delayMs: 60_000 })
  yield* pause("other", true)
  return () =>
    Effect.gen(function*() {
      const [store, records] = [yield* TaskStore, yield* RecordStore]
      for (const id of ids) yield* store.get(id)
      assert.lengthOf(yield* store.results(ids), ids.length)
      assert.isNotEmpty(yield* store.results(ids, 1))
      for (const filter of [{}, { states }, { types: ["work"], queues: ["default"] }]) {
        assert.isNotEmpty((yield* store.list({ limit: 2, ...filter })).tasks)
      }
      assert.strictEqual((yield* store.counts).scheduled, 2)
      assert.isNotEmpty((yield* store.laneCounts({ limit: 10 })).lanes)
      assert.lengthOf((yield* records.list(PausedQueues.kind)).records, 1)
      yield* records.get(PausedQueues.kind, ["other", "unknown"])
      yield* records.due(PausedQueues.kind, 10)
      yield* InstanceStore.use((instances) => instances.list)
      yield* EventLog.use((log) => Effect.andThen(log.end, log.read(0, 10)))
    })
})
