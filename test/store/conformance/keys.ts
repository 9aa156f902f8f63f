import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskState, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import { add, addGroup, addOne, everything, hour, idsOf, inState, rerun, task, timeless } from "./fixtures.ts"

export const keys = (driver: Driver) =>
  describe("idempotency keys", () => {
    scenario(driver, "answer the same key and payload with the task that has them", () =>
      Effect.gen(function*() {
        const owner = yield* addOne({ key: "k", payload: "1" })
        const before = yield* everything
        const answer = yield* addGroup([{ key: "k", payload: "1", priority: 9, queue: "elsewhere" }])
        assert.deepStrictEqual(answer, [{ id: owner, duplicate: true }])
        assert.deepStrictEqual(yield* everything, before)
      }))

    scenario(driver, "take a payload for the same whatever the order of its fields", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const payload = `{"to":{"name":"Ada","tags":[{"a":1,"b":2}]},"n":1}`
        const reordered = `{"n":1.0,"to":{"tags":[{"b":2,"a":1}],"name":"Ada"}}`
        const owner = yield* addOne({ key: "k", payload })
        const before = yield* everything
        assert.deepStrictEqual(yield* addGroup([{ key: "k", payload: reordered }]), [{ id: owner, duplicate: true }])
        assert.deepStrictEqual(yield* everything, before)
        const other = `{"to":{"name":"Ada","tags":[{"a":1,"b":3}]},"n":1}`
        assert.deepStrictEqual(
          yield* store.enqueue([[task({ key: "k", payload: other })]]),
          [{ _tag: "Conflict", index: 0, key: "k", id: owner }]
        )
        const array = yield* addOne({ key: "array", payload: "[1,2]" })
        assert.deepStrictEqual(
          yield* store.enqueue([[task({ key: "array", payload: "[2,1]" })]]),
          [{ _tag: "Conflict", index: 0, key: "array", id: array }]
        )
      }))

    scenario(driver, "take reordered payloads for the same within and between groups, the rest of them as ever", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const one = (key: string, payload = `{"a":1,"b":2}`) =>
          task({ key, payload })
        const again = (key: string) =>
          one(key, `{"b":2,"a":1}`)
        const [a, b] = [one("a"), one("b")]
        yield* addGroup([a, b])
        const [c, d, e, f] = [one("c"), one("d"), one("e"), one("f")]
        const answers = yield* store.enqueue([
          [again("a"), c, again("c"), again("b")],
          [again("d"), one("a", `{"a":1,"b":3}`)],
          [d, again("a")],
          [e, again("e"), one("e", `{"a":2}`)],
          [f]
        ])
        const accepted = (...tasks: ReadonlyArray<readonly [id: string, duplicate: boolean]>) =>
          tasks.map(([id, duplicate]) => ({ id, duplicate }))
        assert.deepStrictEqual(answers.map((answer) => answer._tag === "Accepted" ? answer.tasks : answer), [
          accepted([a.id, true], [c.id, false], [c.id, true], [b.id, true]),
          { _tag: "Conflict", index: 1, key: "a", id: a.id },
          accepted([d.id, false], [a.id, true]),
          { _tag: "Conflict", index: 2, key: "e", id: e.id },
          accepted([f.id, false])
        ])
        assert.sameMembers((yield* everything).map(({ id }) => id), [a, b, c, d, f].map(({ id }) => id))
      }))

    scenario(driver, "compare large payloads, however many there are", () =>
      Effect.gen(function*() {
        const large = "x".repeat(400_000)
        const keys = Array.from({ length: 6 }, (_, index) =>
          `k${index}`)
        const owners = yield* addGroup(keys.map((key) => ({ key, payload: `{"a":"${large}","b":1}` })))
        const again = yield* addGroup(keys.map((key) => ({ key, payload: `{"b":1,"a":"${large}"}` })))
        assert.deepStrictEqual(again, owners.map(({ id }) => ({ id, duplicate: true })))
      }))

    scenario(driver, "refuse another payload and name the place, the key and its owner", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const owner = yield* addOne({ key: "k", payload: "1" })
        const before = yield* everything
        const group = [task(), task({ key: "k", payload: "2" }), task()]
        const answers = yield* store.enqueue([group])
        assert.deepStrictEqual(answers, [{ _tag: "Conflict", index: 1, key: "k", id: owner }])
        assert.deepStrictEqual(yield* everything, before)
      }))

    scenario(driver, "are unique per type, not across types", () =>
      Effect.gen(function*() {
        const [a, b] = yield* addGroup([{ key: "k", payload: "1" }, { key: "k", payload: "2", type: "other" }])
        assert.deepStrictEqual([a?.duplicate, b?.duplicate], [false, false])
        assert.notStrictEqual(a?.id, b?.id)
      }))

    scenario(driver, "do not confuse types and keys that read alike when joined", () =>
      Effect.gen(function*() {
        const answer = yield* addGroup([{ type: "a:b", key: "c" }, { type: "a", key: "b:c" }, {
          type: "a",
          key: ":b:c"
        }])
        assert.deepStrictEqual(
          answer.map(({ duplicate }) => duplicate),
          [false, false, false]
        )
      }))

    scenario(driver, "do not bind tasks without one", () =>
      Effect.gen(function*() {
        const answer = yield* addGroup([{ key: null, payload: "1" }, { key: null, payload: "2" }])
        assert.deepStrictEqual(answer.map(({ duplicate }) => duplicate), [false, false])
      }))

    for (const state of TaskState.all) {
      scenario(driver, `hold while their task is ${state}`, () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          const owner = yield* inState(state, { key: "k", payload: "1" })
          const before = yield* everything
          assert.deepStrictEqual(yield* addGroup([{ key: "k", payload: "1" }]), [{ id: owner, duplicate: true }])
          const conflict = yield* store.enqueue([[task({ key: "k", payload: "2" })]])
          assert.deepStrictEqual(conflict, [{ _tag: "Conflict", index: 0, key: "k", id: owner }])
          assert.deepStrictEqual(yield* everything, before)
        }))
    }

    scenario(driver, "hold after a rerun and are free after removal", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const owner = yield* inState("failed", { key: "k" })
        yield* rerun(owner)
        assert.deepStrictEqual(yield* addGroup([{ key: "k" }]), [{ id: owner, duplicate: true }])
        yield* store.cancel([owner])
        assert.deepStrictEqual(yield* store.remove([owner]), ["removed"])
        const fresh = task({ key: "k", payload: "2" })
        assert.deepStrictEqual(yield* addGroup([fresh]), [{ id: fresh.id, duplicate: false }])
      }))

    scenario(driver, "hold within one group and between groups of one call", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [first, second, third] = [task({ key: "k" }), task({ key: "k" }), task({ key: "k" })]
        assert.deepStrictEqual(timeless(yield* store.enqueue([[first, second], [third]])), [
          { _tag: "Accepted", tasks: [{ id: first.id, duplicate: false }, { id: first.id, duplicate: true }] },
          { _tag: "Accepted", tasks: [{ id: first.id, duplicate: true }] }
        ])
        assert.strictEqual((yield* everything).length, 1)
      }))

    scenario(driver, "refuse a group that contradicts itself", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [first, second] = [task({ key: "k", payload: "1" }), task({ key: "k", payload: "2" })]
        const answers = yield* store.enqueue([[first, second]])
        assert.deepStrictEqual(answers, [{ _tag: "Conflict", index: 1, key: "k", id: first.id }])
        assert.deepStrictEqual(yield* everything, [])
      }))

    scenario(driver, "fail their own group and no other of the call", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ key: "k", payload: "1" })
        const answers = yield* store.enqueue([[task()], [task(), task({ key: "k", payload: "2" })], [task(), task()]])
        assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Accepted", "Conflict", "Accepted"])
        assert.strictEqual((yield* everything).length, 4)
      }))

    scenario(driver, "free nothing when the group that would have taken them is refused", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ key: "taken", payload: "1" })
        yield* store.enqueue([[task({ key: "new" }), task({ key: "taken", payload: "2" })]])
        const fresh = task({ key: "new", payload: "3" })
        assert.deepStrictEqual(yield* addGroup([fresh]), [{ id: fresh.id, duplicate: false }])
      }))

    scenario(driver, "fit into a batch of 10,000, however long they are and however the tasks differ", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const batch = Array.from({ length: 10_000 }, (_, index) =>
          task({
            key: String(index).padEnd(255, "k"),
            id: String(index).padEnd(255, "i"),
            type: index % 2 === 0 ? "even" : "odd",
            queue: `queue-${index % 7}`,
            priority: index % 3,
            delayMs: index % 5 === 0 ? hour : 0
          }))
        const conflicting = [...batch.slice(0, -1), { ...batch[0]!, id: "other", payload: "1" }]
        assert.deepStrictEqual(yield* store.enqueue([conflicting]), [
          { _tag: "Conflict", index: 9999, key: batch[0]!.key!, id: batch[0]!.id }
        ])
        assert.deepStrictEqual(yield* everything, [])
        const answersOf = (duplicate: boolean) => [{
          _tag: "Accepted" as const,
          tasks: batch.map(({ id }) => ({ id, duplicate }))
        }]
        assert.deepStrictEqual(timeless(yield* store.enqueue([batch])), answersOf(false))
        const repeated = batch.map((given) => ({ ...given, id: `again-${given.id}` }))
        assert.deepStrictEqual(timeless(yield* store.enqueue([repeated])), answersOf(true))
        assert.strictEqual((yield* store.counts).totals.created, 10_000)
        assert.deepStrictEqual(idsOf(yield* everything).toReversed(), idsOf(batch))
      }), { capacity: 10_000 })

    scenario(driver, "need not be there for a batch of 10,000 tasks that differ, or more", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const unlike = (count: number) =>
          Array.from({ length: count }, (_, index) =>
            task({ type: `type-${index % 3}`, priority: index % 2 }))
        for (const count of [10_000, 40_000]) {
          const batch = unlike(count)
          assert.deepStrictEqual(timeless(yield* store.enqueue([batch])), [{
            _tag: "Accepted",
            tasks: batch.map(({ id }) => ({ id, duplicate: false }))
          }])
        }
        assert.strictEqual((yield* store.counts).pending, 50_000)
      }), { capacity: 50_000 })
  })
