import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import {
  absent,
  type ClaimRef,
  type InvalidOption,
  PausedQueues,
  type RecordChange,
  RecordStore,
  type Refused,
  type StoredRecord,
  TaskStore,
  type Together
} from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addGroup,
  addOne,
  again,
  cancel,
  complete,
  counts,
  everySettlement,
  everything,
  extend,
  fail,
  hour,
  nearly,
  record,
  release,
  rerun,
  rescue,
  running,
  second,
  settle,
  settled,
  snooze,
  stateOf,
  stop,
  take,
  takeIds,
  task,
  tasks
} from "./fixtures.ts"

let counter = 0

/** Writes parts together under a nonce that was never used before. */
const together = (parts: Together, nonce = `nonce-${++counter}`) =>
  RecordStore.use((store) => store.atomically(nonce, parts))

/** The error that they are refused with. */
const refused = (parts: Together, nonce?: string) =>
  Effect.map(Effect.flip(together(parts, nonce)), (error) => {
    if (error._tag === "StoreError") return assert.fail(error.message)
    return error
  })

/** A change that makes a record. */
const change = (fields: Partial<RecordChange> = {}): RecordChange => ({
  kind: "step",
  id: "a",
  expects: absent,
  document: "1",
  ...fields
})

const read = (id = "a") => Effect.map(RecordStore.use((store) => store.get("step", [id])), ([found]) => found)

/** All that is stored, with the counters. */
const all = Effect.gen(function*() {
  const store = yield* RecordStore
  return {
    tasks: yield* everything,
    counts: yield* counts,
    records: (yield* store.list("step")).records,
    paused: yield* PausedQueues.paused
  }
})

/** What is refused leaves everything as it was; without what it was refused for it is done, under the same nonce. */
const leavesNothing = Effect.fnUntraced(function*(
  parts: Together,
  without: Together,
  expected: (error: Refused | InvalidOption) => void
) {
  const before = yield* all
  const nonce = `nonce-${++counter}`
  expected(yield* refused(parts, nonce))
  assert.deepStrictEqual(yield* all, before)
  yield* together(without, nonce)
  assert.notDeepEqual(yield* all, before)
})

const isLost = ({ claim, id }: ClaimRef) => (error: Refused | InvalidOption) =>
  assert.deepInclude(error, { _tag: "LeaseLost", id, claim })

export const atomically = (driver: Driver) =>
  describe("records, tasks and ends of attempts written together", () => {
    scenario(driver, "complete this and start that", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const next = task({ payload: `{"step":2}`, priority: 3 })
        const { now, tasks, version } = yield* together({
          changes: [change()],
          tasks: [next, task({ id: "later", delayMs: hour })],
          settlements: [complete(first, `"done"`)]
        })
        assert.deepStrictEqual(tasks, [{ id: next.id, duplicate: false }, { id: "later", duplicate: false }])
        const { completedAt, leaseUntil, result, state } = yield* record(first.id)
        assert.deepStrictEqual([state, result, leaseUntil], ["completed", `"done"`, null])
        const stored = yield* record(next.id)
        assert.deepInclude(stored, { state: "pending", payload: next.payload, priority: 3, claims: 0 })
        nearly(completedAt!, now)
        nearly(stored.createdAt, now)
        assert.deepInclude(yield* read(), { version, document: "1" })
        assert.deepInclude(yield* counts, { scheduled: 1, pending: 1, running: 0, completed: 1 })
        assert.deepInclude((yield* counts).totals, { created: 3, completed: 1 })
        assert.deepStrictEqual(yield* takeIds(), [next.id])
        yield* driver.advance("1 hour")
        assert.deepStrictEqual(yield* takeIds(), ["later"])
      }))

    scenario(driver, "end attempts in every way", () =>
      Effect.gen(function*() {
        const kinds = everySettlement({ id: "", claim: 0 }).length
        yield* add(...tasks(kinds))
        const claimed = yield* take()
        yield* together({
          changes: [change()],
          settlements: claimed.map((ref, index) => everySettlement(ref)[index]!)
        })
        const states: Array<string> = []
        for (const { id } of claimed) states.push(yield* stateOf(id))
        assert.deepStrictEqual(states, ["completed", "failed", "scheduled", "cancelled", "scheduled", "pending"])
        const { totals, ...size } = yield* counts
        assert.deepInclude(size, { scheduled: 2, pending: 1, running: 0, completed: 1, failed: 1, cancelled: 1 })
        assert.deepInclude(totals, { completed: 1, failed: 1, cancelled: 1, retried: 1 })
        assert.deepStrictEqual(yield* takeIds(), [claimed[5]!.id])
        yield* driver.advance(second)
        assert.sameMembers([...yield* takeIds()], [claimed[2]!.id, claimed[4]!.id])
      }))

    scenario(driver, "cancel what would run again, where that was asked for", () =>
      Effect.gen(function*() {
        const first = yield* running()
        yield* cancel(first.id)
        yield* together({ settlements: [again(first, second)] })
        assert.strictEqual(yield* stateOf(first.id), "cancelled")
        assert.deepInclude((yield* counts).totals, { cancelled: 1, retried: 0 })
      }))

    scenario(driver, "may be only one of the three, or nothing", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const { tasks, version } = yield* together({ changes: [change()] })
        assert.deepStrictEqual([tasks, (yield* read())?.version], [[], version])
        assert.deepStrictEqual((yield* together({ tasks: [task({ id: "new" })] })).tasks, [{
          id: "new",
          duplicate: false
        }])
        assert.deepStrictEqual((yield* together({ settlements: [complete(first)] })).tasks, [])
        const before = yield* all
        assert.isAbove((yield* together({})).version, version)
        assert.deepStrictEqual(yield* all, before)
        assert.deepStrictEqual([yield* stateOf(first.id), yield* stateOf("new")], ["completed", "pending"])
      }))

    scenario(driver, "keep what put keeps: versions, due times, deletions, leases of takers", () =>
      Effect.gen(function*() {
        const store = yield* RecordStore
        const { version } = yield* together({
          changes: [change(), change({ id: "b", dueInMs: 10 * second }), change({ id: "c" })]
        })
        yield* together({
          changes: [
            change({ expects: version, document: "2" }),
            change({ id: "c", expects: version, document: null })
          ],
          tasks: [task()]
        })
        assert.strictEqual((yield* read())?.document, "2")
        assert.isUndefined(yield* read("c"))
        yield* driver.advance(10 * second)
        const { records: [taken] } = yield* store.take("step", 10, hour)
        assert.strictEqual(taken?.id, "b")
        const late = yield* refused({ changes: [change({ id: "b", expects: version, document: null })] })
        assert.strictEqual(late._tag, "RecordConflict")
        yield* together({ changes: [change({ id: "b", expects: taken!.version, document: null })] })
        assert.isUndefined(yield* read("b"))
      }))

    scenario(driver, "stop and resume claims with what they pause", () =>
      Effect.gen(function*() {
        const paused = { kind: PausedQueues.kind, id: "default", document: "{}" }
        const { version } = yield* together({
          changes: [{ ...paused, expects: absent }],
          tasks: [task({ id: "a" })]
        })
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* together({ changes: [{ ...paused, expects: version, document: null }], tasks: [task({ id: "b" })] })
        assert.deepStrictEqual(yield* takeIds(), ["a", "b"])
      }))

    scenario(driver, "know the ids and keys that are stored already", () =>
      Effect.gen(function*() {
        yield* add({ id: "known" }, { id: "owner", key: "k" })
        const { tasks } = yield* together({
          changes: [change()],
          tasks: [
            task({ id: "known" }),
            task({ id: "x", key: "k" }),
            task({ id: "new", key: "other" }),
            task({ id: "y", key: "other" }),
            task({ id: "new" })
          ]
        })
        assert.deepStrictEqual(tasks, [
          { id: "known", duplicate: true },
          { id: "owner", duplicate: true },
          { id: "new", duplicate: false },
          { id: "new", duplicate: true },
          { id: "new", duplicate: true }
        ])
        assert.strictEqual((yield* counts).totals.created, 3)
        assert.deepStrictEqual(
          (yield* together({ tasks: [task({ id: "known" })] })).tasks,
          [{ id: "known", duplicate: true }]
        )
      }))

    scenario(driver, "leave nothing behind where a record has another version", () =>
      Effect.gen(function*() {
        const store = yield* RecordStore
        const first = yield* running()
        const version = yield* store.put([change()])
        const parts = { tasks: [task(), task({ delayMs: hour, key: "k" })], settlements: [complete(first)] }
        yield* leavesNothing(
          { ...parts, changes: [change({ id: "b" }), change({ expects: version - 1 })] },
          { ...parts, changes: [change({ id: "b" }), change({ expects: version })] },
          (error) =>
            assert.deepInclude(error, {
              _tag: "RecordConflict",
              kind: "step",
              id: "a",
              index: 1,
              expected: version - 1,
              found: version
            })
        )
      }))

    scenario(driver, "leave nothing behind where an attempt does not hold its task", () =>
      Effect.gen(function*() {
        const held = yield* running()
        const ended = yield* running()
        yield* settled(complete(ended))
        const rescued = yield* running({}, { leaseForMs: second })
        yield* driver.advance("2 seconds")
        assert.strictEqual((yield* rescue()).length, 1)
        const other = { id: held.id, claim: held.claim + 100 }
        for (const lost of [ended, rescued, other, { id: "unknown", claim: 1 }, { id: held.id, claim: 0 }]) {
          for (const settlement of [complete, fail, again, stop, snooze, release]) {
            const before = yield* all
            isLost(lost)(
              yield* refused({
                changes: [change()],
                tasks: [task({ key: "k" })],
                settlements: lost.id === held.id ? [settlement(lost)] : [complete(held), settlement(lost)]
              })
            )
            assert.deepStrictEqual(yield* all, before)
          }
        }
        const parts = { changes: [change()], tasks: [task({ key: "k" })] }
        yield* leavesNothing(
          { ...parts, settlements: [complete(held), complete(ended)] },
          { ...parts, settlements: [complete(held)] },
          isLost(ended)
        )
      }))

    scenario(driver, "leave nothing behind where a key belongs to another payload", () =>
      Effect.gen(function*() {
        const first = yield* running({ key: "k", payload: "1" })
        const parts = { changes: [change()], settlements: [complete(first)] }
        yield* leavesNothing(
          { ...parts, tasks: [task(), task({ key: "k", payload: "2" })] },
          { ...parts, tasks: [task(), task({ key: "k", payload: "1" })] },
          (error) =>
            assert.deepInclude(error, { _tag: "KeyConflict", type: "work", key: "k", id: first.id, index: 1 })
        )
        assert.deepInclude(yield* refused({ tasks: [task({ key: "n" }), task({ key: "n", payload: "2" })] }), {
          _tag: "KeyConflict",
          index: 1
        })
      }))

    scenario(driver, "leave nothing behind where there is no room", () =>
      Effect.gen(function*() {
        const first = yield* running()
        yield* addOne()
        const parts = { changes: [change()], settlements: [complete(first)] }
        yield* leavesNothing(
          { ...parts, tasks: tasks(3) },
          { ...parts, tasks: tasks(2) },
          (error) =>
            assert.deepInclude(error, { _tag: "QueueFull", capacity: 3, unfinished: 1, offered: 3 })
        )
        assert.deepInclude(yield* refused({ tasks: tasks(1) }), { _tag: "QueueFull", unfinished: 3, offered: 1 })
        // a refusal is no reason to count wrongly from then on
        const [held] = yield* take()
        assert.deepInclude(yield* refused({ tasks: tasks(2), settlements: [complete(held!)] }), { _tag: "QueueFull" })
        const answers = yield* TaskStore.use((store) =>
          store.enqueue([tasks(1)])
        )
        assert.deepStrictEqual(answers, [{ _tag: "Full", capacity: 3, unfinished: 3 }])
      }), { capacity: 3 })

    scenario(driver, "make room for what begins with what ends, and with nothing else", () =>
      Effect.gen(function*() {
        let held = yield* running()
        for (const end of [complete, fail, stop]) {
          yield* together({ tasks: [task()], settlements: [end(held)] })
          ;[held] = (yield* take()) as [typeof held]
        }
        assert.deepInclude(yield* refused({ tasks: [task()], settlements: [again(held)] }), { _tag: "QueueFull" })
        assert.strictEqual(yield* extend(held), "held")
      }), { capacity: 1 })

    scenario(driver, "leave nothing behind where the bytes of tasks have no room", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const payload = JSON.stringify("x".repeat(9_000_000))
        yield* leavesNothing(
          { changes: [change()], tasks: [task({ payload })], settlements: [complete(first)] },
          { changes: [change()], tasks: [task()], settlements: [complete(first)] },
          (error) => assert.deepNestedInclude(error, { _tag: "QueueFull", "size.maxBytes": 8_000_000 })
        )
      }), { maxBytes: 8_000_000 })

    scenario(driver, "are refused for a record first, then for an attempt, a key, and room", () =>
      Effect.gen(function*() {
        yield* addOne({ key: "k", payload: "1" })
        const parts = {
          changes: [change({ expects: 7 })],
          settlements: [complete({ id: "unknown", claim: 1 })],
          tasks: [task(), task({ key: "k", payload: "2" })]
        }
        assert.strictEqual((yield* refused(parts))._tag, "RecordConflict")
        assert.strictEqual((yield* refused({ ...parts, changes: [] }))._tag, "LeaseLost")
        assert.strictEqual((yield* refused({ tasks: parts.tasks }))._tag, "KeyConflict")
        assert.strictEqual((yield* refused({ tasks: tasks(1) }))._tag, "QueueFull")
      }), { capacity: 1 })

    scenario(driver, "give the same answer and change nothing when they are repeated", () =>
      Effect.gen(function*() {
        yield* addOne({ id: "owner", key: "k", delayMs: hour })
        const first = yield* running()
        const parts = {
          changes: [change()],
          tasks: [task({ id: "new" }), task({ id: "x", key: "k" }), task({ id: "new" })],
          settlements: [complete(first)]
        }
        const answer = yield* together(parts, "again")
        assert.deepStrictEqual(answer.tasks[1], { id: "owner", duplicate: true })
        const before = yield* all
        assert.deepStrictEqual(yield* together(parts, "again"), answer)
        assert.deepStrictEqual(yield* all, before)
        // whatever has become of it since
        const store = yield* RecordStore
        yield* store.put([change({ expects: answer.version, document: null })])
        const [second] = yield* take()
        yield* settled(fail(second!))
        yield* driver.advance("30 minutes")
        const later = yield* all
        assert.deepStrictEqual(yield* together(parts, "again"), answer)
        assert.deepStrictEqual(yield* all, later)
        assert.strictEqual((yield* refused(parts, "another"))._tag, "LeaseLost")
      }))

    scenario(driver, "are one call for callers that repeat it at the same time", () =>
      Effect.gen(function*() {
        const rounds = 10
        for (let round = 0; round < rounds; round++) {
          const first = yield* running()
          const parts = {
            changes: [change({ id: String(round) })],
            tasks: [task({ key: String(round), delayMs: hour })],
            settlements: [complete(first)]
          }
          const calls = Array.from({ length: 5 }, () =>
            together(parts, `round ${round}`))
          const answers = yield* Effect.all(calls, { concurrency: "unbounded" })
          assert.deepStrictEqual(
            answers,
            answers.map(() =>
              answers[0]
            )
          )
        }
        assert.deepInclude((yield* counts).totals, { created: 2 * rounds, completed: rounds })
      }))

    scenario(driver, "happen for one of those that want the same", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const claimed = yield* running()
        const attempts = Array.from({ length: 10 }, (_, index) =>
          Effect.result(together({
            changes: [change({ id: `own-${index}` }), ...index % 2 === 0 ? [change()] : []],
            tasks: [task({ id: `of-${index}` })],
            settlements: [complete(index % 2 === 0 ? claimed : first)]
          })))
        const results = yield* Effect.all(attempts, { concurrency: "unbounded" })
        const won = [...results.keys()].filter((index) =>
          results[index]!._tag === "Success"
        )
        assert.sameMembers(won.map((index) => index % 2), [0, 1])
        for (const result of results) {
          if (result._tag === "Failure") assert.oneOf(result.failure._tag, ["RecordConflict", "LeaseLost"])
        }
        const { counts: { totals }, records, tasks } = yield* all
        assert.sameMembers(
          records.map(({ id }) => id),
          ["a", ...won.map((index) => `own-${index}`)]
        )
        assert.sameMembers(tasks.map(({ id }) => id), [first.id, claimed.id, ...won.map((index) => `of-${index}`)])
        assert.deepInclude(totals, { created: 4, completed: 2 })
      }))

    scenario(driver, "count one thing up, whoever does it and whatever it ends", () =>
      Effect.gen(function*() {
        const count = 12
        yield* add(...tasks(count))
        const claimed = yield* take()
        const step = Effect.fnUntraced(function*(ref: ClaimRef) {
          for (;;) {
            const found: StoredRecord | undefined = yield* read()
            const document = String(Number(found?.document ?? 0) + 1)
            const result = yield* Effect.result(together({
              changes: [change({ expects: found?.version ?? absent, document })],
              tasks: [task({ id: `after-${ref.id}` })],
              settlements: [complete(ref)]
            }))
            if (result._tag === "Success") return
            assert.strictEqual(result.failure._tag, "RecordConflict")
          }
        })
        yield* Effect.forEach(claimed, step, { concurrency: "unbounded" })
        assert.strictEqual((yield* read())?.document, String(count))
        assert.deepInclude(yield* counts, { pending: count, running: 0, completed: count })
      }))

    scenario(driver, "go on while others claim, settle and enqueue", () =>
      Effect.gen(function*() {
        const ids = yield* add(...tasks(20))
        const claimed = yield* take()
        const write = Effect.fnUntraced(function*(ref: ClaimRef, index: number) {
          if (index % 2 === 0) return yield* together({ tasks: [task()], settlements: [complete(ref)] })
          yield* settled(complete(ref))
          return yield* addGroup([{}])
        })
        yield* Effect.forEach(claimed, write, { concurrency: "unbounded" })
        assert.deepInclude(yield* counts, { pending: 20, running: 0, completed: 20 })
        assert.strictEqual((yield* takeIds()).length, ids.length)
      }))

    scenario(driver, "leave a task that an operator can run again", () =>
      Effect.gen(function*() {
        const first = yield* running()
        yield* together({ settlements: [fail(first)] })
        assert.strictEqual(yield* settle(complete(first)), "already")
        assert.deepStrictEqual(yield* rerun(first.id), { _tag: "rerun" })
        assert.deepStrictEqual(yield* takeIds(), [first.id])
      }))

    scenario(driver, "are taken in large numbers", () =>
      Effect.gen(function*() {
        yield* add(...tasks(500))
        const claimed = yield* take()
        const ids = yield* add({ id: "known" }, { id: "owner", key: "key-7" })
        const { tasks: accepted } = yield* together({
          changes: Array.from({ length: 1000 }, (_, index) => change({ id: String(index) })),
          tasks: [
            ...tasks(2000),
            task({ id: "known" }),
            ...Array.from({ length: 1000 }, (_, index) => task({ key: `key-${index}` }))
          ],
          settlements: claimed.map((ref) => complete(ref))
        })
        assert.deepStrictEqual(
          accepted.flatMap(({ duplicate, id }, index) => duplicate ? [[index, id]] : []),
          [[2000, ids[0]], [2008, ids[1]]]
        )
        assert.deepInclude(yield* counts, { pending: 3001, running: 0, completed: 500 })
      }), { capacity: 10_000 })

    scenario(driver, "are refused beyond the bounds of their parts", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const options: Array<string> = []
        const invalid: ReadonlyArray<readonly [parts: Together, nonce?: string]> = [
          [{}, ""],
          [{ changes: [change({ kind: "" })] }],
          [{ changes: [change(), change()] }],
          [{ changes: [change({ document: null })] }],
          [{ changes: Array.from({ length: 1001 }, (_, index) => change({ id: String(index) })) }],
          [{ settlements: [complete(first), fail(first)] }]
        ]
        const before = yield* all
        for (const [parts, nonce] of invalid) {
          const error = yield* refused({ ...parts, tasks: [task()] }, nonce)
          options.push(error._tag === "InvalidOption" ? `${error.option} ${error.index}` : error._tag)
        }
        assert.deepStrictEqual(options, ["nonce 0", "kind 0", "id 1", "expects 0", "changes 0", "settlements 1"])
        assert.deepStrictEqual(yield* all, before)
      }))
  })
