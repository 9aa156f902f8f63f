/** What must hold of dead letters on every store. */
import { assert, describe } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import type { TaskFailure } from "../../src/domain/TaskRecord.ts"
import * as DeadLetters from "../../src/queue/DeadLetters.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { type Driver, scenario } from "../store/conformance/driver.ts"
import { complete, record, running, settled } from "../store/conformance/fixtures.ts"

const deadLetters = Effect.map(TaskStore, (store) => DeadLetters.make(store, store.remove))

/** A task that has failed. */
const failed = Effect.fnUntraced(function*(
  failure: Partial<TaskFailure> = {},
  fields: Parameters<typeof running>[0] = {}
) {
  const { claim, id } = yield* running(fields, {
    types: [fields.type ?? "work"],
    queues: [fields.queue ?? "default"]
  })
  yield* settled({
    _tag: "Fail",
    id,
    claim,
    failure: { kind: "error", tag: "Refused", message: "Host mx7 answered 450", ...failure }
  })
  return id
})

export const findsDeadLetters = (name: string, driver: Driver) =>
  describe(name, () => {
    scenario(driver, "are counted by type and reason, whatever numbers are in their messages", () =>
      Effect.gen(function*() {
        const letters = yield* deadLetters
        assert.deepStrictEqual(yield* letters.groups(), { groups: [], moreGroups: 0, looked: 0, isComplete: true })
        for (let index = 0; index < 30; index++) {
          yield* failed({ message: `Host mx${index} answered ${450 + index}` })
        }
        const other = yield* failed({ tag: "Gone", message: "a 01a20f46-60fe-779b-a926-cef2c43ec95c b" }, {
          type: "mail"
        })
        yield* settled(complete(yield* running()))
        const { groups, ...rest } = yield* letters.groups()
        assert.deepStrictEqual(rest, { moreGroups: 0, looked: 31, isComplete: true })
        assert.deepStrictEqual(
          groups.map(({ count, kind, message, tag, type }) => ({ count, kind, message, tag, type })),
          [
            { count: 30, kind: "error", message: "Host mx# answered #", tag: "Refused", type: "work" },
            { count: 1, kind: "error", message: "a # b", tag: "Gone", type: "mail" }
          ]
        )
        assert.strictEqual(groups[1]!.latest, other)
        assert.strictEqual(groups[1]!.firstAt.epochMilliseconds, (yield* record(other)).completedAt)
        assert.deepStrictEqual(
          (yield* letters.groups({ types: ["mail"] })).groups.map(({ tag }) =>
            tag
          ),
          ["Gone"]
        )
        assert.deepStrictEqual((yield* letters.groups({ types: ["mail", "\u0000"] })).groups.length, 1)
        for (let index = 0; index < 120; index++) yield* failed({ tag: `T${index}` })
        const many = yield* letters.groups()
        assert.deepStrictEqual([many.groups.length, many.moreGroups, many.groups[0]!.count], [100, 22, 30])
      }))

    scenario(driver, "are searched by tag, text and time, in pages that have each once", () =>
      Effect.gen(function*() {
        const letters = yield* deadLetters
        const first = yield* failed({ tag: "Gone" })
        yield* driver.advance("1 hour")
        const rest: Array<string> = []
        for (let index = 0; index < 25; index++) {
          rest.unshift(yield* failed({ message: `Host MX${index} answered` }))
        }
        const idsOf = (options: DeadLetters.DeadLetterPart) =>
          Effect.map(letters.list(options), ({ tasks }) =>
            tasks.map(({ id }) => id))
        assert.deepStrictEqual(yield* idsOf({ errorTags: ["Gone", "Lost"] }), [first])
        assert.deepStrictEqual(yield* idsOf({ errorTags: [] }), [])
        assert.deepStrictEqual(yield* idsOf({ text: "host mx17" }), [rest[7]])
        assert.deepStrictEqual(yield* idsOf({ text: "mx# answered" }), [...rest, first])
        const halfAnHourAgo = DateTime.makeUnsafe((yield* record(rest[0]!)).completedAt! - 1_800_000)
        assert.deepStrictEqual(yield* idsOf({ before: halfAnHourAgo }), [first])
        assert.deepStrictEqual(yield* idsOf({ since: halfAnHourAgo }), rest)
        const found: Array<string> = []
        let cursor: string | null = null
        do {
          const page: Effect.Success<ReturnType<typeof letters.list>> = yield* letters.list({
            text: "mx",
            limit: 4,
            ...cursor !== null && { cursor }
          })
          assert.isAtMost(page.tasks.length, 4)
          found.push(...page.tasks.map(({ id }) => id))
          cursor = page.next
        } while (cursor !== null)
        assert.deepStrictEqual(found, [...rest, first])
        const { next } = yield* letters.list({ text: "mx", limit: 4 })
        const wrong = yield* Effect.flip(letters.list({ text: "host", cursor: next! }))
        assert.include(wrong, { _tag: "InvalidOption", option: "cursor" })
        for (const part of [{ limit: 0 }, { limit: 1001 }, { text: "" }, { text: "x".repeat(201) }, { colour: 1 }]) {
          assert.strictEqual((yield* Effect.flip(letters.groups(part)))._tag, "InvalidOption")
        }
      }))

    scenario(driver, "are run again and discarded, a bounded number at a time, and no others", () =>
      Effect.gen(function*() {
        const letters = yield* deadLetters
        const [gone, refused]: [Array<string>, Array<string>] = [[], []]
        for (let index = 0; index < 10; index++) {
          gone.push(yield* failed({ tag: "Gone" }))
          refused.push(yield* failed())
        }
        const done = yield* settledOne()
        const first = yield* letters.rerun({ errorTags: ["Gone"], limit: 4 })
        assert.deepInclude(first, { matched: 4, done: 4 })
        const second = yield* letters.rerun({ errorTags: ["Gone"], limit: 1000, cursor: first.next! })
        assert.deepInclude(second, { matched: 6, done: 6, next: null })
        for (const id of gone) {
          assert.strictEqual((yield* record(id)).state, "pending")
        }
        const store = yield* TaskStore
        // Another operator is faster with one of them
        const slow = DeadLetters.make(store, (ids) =>
          Effect.andThen(store.remove(ids.slice(0, 1)), store.remove(ids)))
        const third = yield* slow.discard({ errorTags: ["Refused"], limit: 1000 })
        assert.deepInclude(third, { matched: 10, done: 9, next: null })
        for (const id of refused) {
          assert.isUndefined(yield* store.get(id))
        }
        assert.strictEqual((yield* record(done)).state, "completed")
        assert.deepInclude(yield* letters.discard(), { looked: 0, matched: 0, done: 0, next: null })
      }))
  })

const settledOne = Effect.fnUntraced(function*() {
  const one = yield* running()
  yield* settled(complete(one))
  return one.id
})
