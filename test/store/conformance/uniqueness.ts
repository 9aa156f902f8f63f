import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore, type Uniqueness } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  addGroup,
  addOne,
  again,
  cancel,
  complete,
  counts,
  everything,
  fail,
  hour,
  idsOf,
  minute,
  nearly,
  record,
  refOf,
  release,
  rerun,
  retention,
  second,
  setLimit,
  settled,
  stateOf,
  take,
  takeIds,
  takeOne,
  task,
  through,
  timeless
} from "./fixtures.ts"

/** How a task is unique, with defaults. */
const unique = (
  window: Uniqueness.Window,
  onConflict: Uniqueness.OnConflict = "return",
  byMs = 0,
  maxMs: number | null = null
) => ({
  key: "k",
  unique: { window, onConflict, byMs, maxMs }
})

/** What becomes of one task. */
const offer = Effect.fnUntraced(function*(fields: Parameters<typeof task>[0]) {
  const store = yield* TaskStore
  const [answer] = timeless(yield* store.enqueue([[task(fields)]]))
  return answer!
})

const accepted = (id: string, merge?: Uniqueness.Merge) => ({
  _tag: "Accepted" as const,
  tasks: [{ id, duplicate: true, ...(merge === undefined ? {} : { merge }) }]
})

const refused = (
  id: string,
  state: "pending" | "scheduled" | "running" | "completed" | "failed" | "cancelled" | "expired",
  index = 0
) => ({
  _tag: "Conflict" as const,
  index,
  key: "k",
  id,
  state
})

/** Stores a task that nothing holds back, and answers its id. */
const isNew = Effect.fnUntraced(function*(fields: Parameters<typeof task>[0]) {
  const given = task(fields)
  assert.deepStrictEqual(yield* offer(given), { _tag: "Accepted", tasks: [{ id: given.id, duplicate: false }] })
  return given.id
})

export const uniqueness = (driver: Driver) =>
  describe("uniqueness", () => {
    scenario(driver, "waiting: lasts until the first start, and not again through retries", () =>
      Effect.gen(function*() {
        const first = yield* isNew({ ...unique("waiting"), payload: "1" })
        assert.deepStrictEqual(yield* offer({ ...unique("waiting"), payload: "2" }), accepted(first))
        const claimed = yield* takeOne()
        const second = yield* isNew({ ...unique("waiting"), payload: "3", delayMs: hour })
        yield* settled(again(claimed, hour))
        assert.deepStrictEqual(yield* offer(unique("waiting", "refuse")), refused(second, "scheduled"))
        assert.strictEqual((yield* record(first)).payload, "1")
        assert.strictEqual((yield* everything).length, 2)
      }))

    scenario(driver, "unfinished: lasts through retries until the end", () =>
      Effect.gen(function*() {
        const first = yield* isNew(unique("unfinished"))
        const claimed = yield* takeOne()
        assert.deepStrictEqual(yield* offer(unique("unfinished", "refuse")), refused(first, "running"))
        yield* settled(again(claimed, 0))
        assert.deepStrictEqual(yield* offer(unique("unfinished")), accepted(first))
        yield* settled(complete(yield* takeOne()))
        const second = yield* isNew(unique("unfinished"))
        assert.strictEqual(yield* cancel(second), "cancelled")
        yield* isNew(unique("unfinished"))
      }))

    scenario(driver, "a duration: is counted from the creation, whatever becomes of the task", () =>
      Effect.gen(function*() {
        const first = yield* isNew(unique(minute))
        yield* settled(complete(yield* takeOne()))
        assert.deepStrictEqual(yield* offer({ ...unique(minute), payload: "2" }), accepted(first))
        assert.deepStrictEqual(yield* offer(unique(hour, "refuse")), refused(first, "completed"))
        yield* driver.advance(minute)
        const second = yield* isNew(unique(hour))
        assert.deepStrictEqual(yield* offer(unique(minute)), accepted(second))
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* offer(unique(minute)), accepted(second))
      }))

    scenario(driver, "kept: lasts as long as the task is stored", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const first = yield* isNew(unique("kept"))
        yield* settled(complete(yield* takeOne()))
        yield* driver.advance(hour)
        assert.deepStrictEqual(yield* offer({ ...unique("kept"), payload: "2" }), accepted(first))
        assert.deepStrictEqual(yield* store.remove([first]), ["removed"])
        yield* isNew(unique("kept"))
      }))

    scenario(driver, "the owner's window counts, also for tasks with a plain key", () =>
      Effect.gen(function*() {
        const first = yield* isNew({ ...unique("waiting"), payload: "1" })
        assert.deepStrictEqual(yield* offer({ key: "k", payload: "1" }), accepted(first))
        assert.deepStrictEqual(yield* offer({ key: "k", payload: "2" }), {
          _tag: "Conflict",
          index: 0,
          key: "k",
          id: first
        })
        yield* takeOne()
        const second = yield* isNew({ key: "k", payload: "2" })
        yield* takeOne()
        assert.deepStrictEqual(yield* offer({ ...unique("waiting"), payload: "3" }), accepted(second))
      }))

    scenario(driver, "replaces the payload of a waiting task, and nothing else of it", () =>
      Effect.gen(function*() {
        const first = yield* isNew({ ...unique("unfinished"), payload: "1", delayMs: hour, priority: 3 })
        const before = yield* record(first)
        assert.deepStrictEqual(
          yield* offer({ ...unique("unfinished", "replace"), payload: "2", priority: 9 }),
          accepted(first, "replaced")
        )
        const after = yield* record(first)
        assert.deepStrictEqual({ ...after, hold: "" }, { ...before, payload: "2", hold: "" })
        assert.deepStrictEqual(
          yield* offer({ ...unique("unfinished", "replace"), payload: "3", queue: "elsewhere" }),
          refused(first, "scheduled")
        )
        yield* driver.advance(hour)
        const claimed = yield* takeOne()
        assert.strictEqual(claimed.payload, "2")
        assert.deepStrictEqual(
          yield* offer({ ...unique("unfinished", "replace"), payload: "3" }),
          refused(first, "running")
        )
        yield* settled(again(claimed, 0))
        assert.deepStrictEqual(
          yield* offer({ ...unique("unfinished", "replace"), payload: "4" }),
          accepted(first, "replaced")
        )
        assert.strictEqual((yield* takeOne()).payload, "4")
      }))

    scenario(driver, "replaces what a pending task would be claimed with, among others", () =>
      Effect.gen(function*() {
        const others = idsOf(yield* addGroup([{ payload: "0" }, { payload: "0" }]))
        const [first] = idsOf(yield* addGroup([{ ...unique("waiting"), payload: "1" }]))
        yield* addGroup([{ payload: "0" }])
        assert.deepStrictEqual(
          yield* offer({ ...unique("waiting", "replace"), payload: `{"n":2}` }),
          accepted(first!, "replaced")
        )
        const claimed = yield* take()
        assert.deepStrictEqual(
          claimed.map(({ payload }) =>
            payload
          ),
          ["0", "0", `{"n":2}`, "0"]
        )
        assert.deepStrictEqual(idsOf(claimed).slice(0, 3), [...others, first])
      }))

    scenario(driver, "postpones a waiting task from each newer one on, and never beyond the maximum", () =>
      Effect.gen(function*() {
        const by = 10 * second
        const debounced = (payload: string) => ({
          ...unique("waiting", "postpone", by, 25 * second),
          payload,
          delayMs: by
        })
        const first = yield* isNew(debounced("1"))
        const { createdAt } = yield* record(first)
        for (const payload of ["2", "3"]) {
          yield* driver.advance(8 * second)
          assert.deepStrictEqual(yield* offer(debounced(payload)), accepted(first, "postponed"))
        }
        assert.deepStrictEqual(yield* takeIds(), [])
        const postponed = yield* record(first)
        assert.strictEqual(postponed.state, "scheduled")
        assert.strictEqual(postponed.dueAt, createdAt + 25 * second)
        yield* driver.advance(9 * second)
        const claimed = yield* takeOne()
        assert.deepStrictEqual([claimed.id, claimed.payload], [first, "3"])
        const other = yield* isNew(debounced("4"))
        assert.deepStrictEqual(yield* stateOf(other), "scheduled")
      }))

    scenario(driver, "postpones a task that is pending", () =>
      Effect.gen(function*() {
        const first = yield* isNew(unique("waiting"))
        const others = idsOf(yield* addGroup([{}, {}]))
        assert.deepStrictEqual(yield* offer(unique("waiting", "postpone", minute)), accepted(first, "postponed"))
        const { createdAt, dueAt } = yield* record(first)
        nearly(dueAt, createdAt + minute)
        assert.strictEqual((yield* counts).scheduled, 1)
        assert.strictEqual((yield* counts).pending, 2)
        assert.deepStrictEqual(yield* takeIds(), others)
        yield* driver.advance(minute + 5 * second)
        assert.deepStrictEqual(yield* takeIds(), [first])
      }))

    scenario(driver, "answers a repeated one, whose payload was taken, with the task that took it", () =>
      Effect.gen(function*() {
        const first = yield* isNew({ ...unique("waiting"), payload: "1" })
        const [second, third] = [2, 3].map((payload) =>
          task({ ...unique("waiting", "replace"), payload: String(payload) })
        )
        assert.deepStrictEqual(yield* offer(second!), accepted(first, "replaced"))
        assert.deepStrictEqual(yield* offer(third!), accepted(first, "replaced"))
        assert.deepStrictEqual(yield* offer(second!), accepted(first))
        assert.strictEqual((yield* record(first)).payload, "3")
        yield* takeOne()
        assert.deepStrictEqual(yield* offer(third!), accepted(first))
        assert.strictEqual((yield* everything).length, 1)
      }))

    scenario(driver, "decides within one group and between groups of one call, in their order", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [a, b, c, d] = ["1", "2", "3", "4"].map((payload) =>
          task({ ...unique("waiting", "replace"), payload })
        ) as [ReturnType<typeof task>, ReturnType<typeof task>, ReturnType<typeof task>, ReturnType<typeof task>]
        const other = task()
        const answers = yield* store.enqueue([[a, b, other], [c], [task(unique("waiting", "refuse"))], [d]])
        assert.deepStrictEqual(timeless(answers), [
          {
            _tag: "Accepted",
            tasks: [
              { id: a.id, duplicate: false },
              { id: a.id, duplicate: true, merge: "replaced" },
              { id: other.id, duplicate: false }
            ]
          },
          accepted(a.id, "replaced"),
          refused(a.id, "pending"),
          accepted(a.id, "replaced")
        ])
        assert.strictEqual((yield* record(a.id)).payload, "4")
        assert.strictEqual((yield* everything).length, 2)
      }))

    scenario(
      driver,
      "compares with the payload that tasks before it in the same call have put in, also without a window",
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          const plain = (id: string, payload: string) =>
            task({ id, key: "k", payload })
          const newer = (id: string, payload: string) =>
            task({ id, payload, ...unique("kept", "replace") })
          yield* addOne({ id: "a", key: "k", payload: "1" })
          const repeated = accepted("a")
          const conflict = (index: number) => ({ _tag: "Conflict" as const, index, key: "k", id: "a" })
          assert.deepStrictEqual(
            timeless(
              yield* store.enqueue([[newer("b", "2"), plain("c", "2"), plain("b", "3")], [plain("d", "1")], [
                plain("e", "2")
              ]])
            ),
            [
              {
                _tag: "Accepted",
                tasks: [
                  { id: "a", duplicate: true, merge: "replaced" },
                  { id: "a", duplicate: true },
                  { id: "a", duplicate: true }
                ]
              },
              conflict(0),
              repeated
            ]
          )
          assert.deepStrictEqual(
            timeless(yield* store.enqueue([[newer("f", "3"), plain("g", "2")], [plain("h", "2")], [plain("i", "3")]])),
            [conflict(1), repeated, conflict(0)]
          )
          assert.strictEqual((yield* record("a")).payload, "2")
        })
    )

    scenario(driver, "changes nothing for a group that is refused", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const waiting = yield* isNew({ ...unique("waiting"), payload: "1" })
        const ended = yield* isNew({ ...unique("unfinished"), key: "ended" })
        yield* cancel(ended)
        const before = yield* everything
        const answers = yield* store.enqueue([[
          task({ ...unique("waiting", "replace"), payload: "2" }),
          task({ ...unique("unfinished"), key: "ended" }),
          task(unique("waiting", "refuse"))
        ]])
        assert.deepStrictEqual(answers, [refused(waiting, "pending", 2)])
        assert.deepStrictEqual(yield* everything, before)
        assert.deepStrictEqual(yield* rerun(ended), { _tag: "rerun" })
      }))

    scenario(driver, "does not count what is merged, and takes it although the store is full", () =>
      Effect.gen(function*() {
        const first = yield* isNew(unique("waiting"))
        yield* addOne()
        assert.strictEqual((yield* offer({}))._tag, "Full")
        assert.deepStrictEqual(yield* offer(unique("waiting", "replace")), accepted(first, "replaced"))
        assert.strictEqual((yield* counts).totals.created, 2)
      }), { capacity: 2 })

    scenario(driver, "refuses to run a task again whose key a later one has, if it held the key again", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const failed = yield* isNew(unique("unfinished"))
        yield* settled(fail(yield* takeOne()))
        yield* isNew(unique("unfinished"))
        assert.deepStrictEqual(yield* rerun(failed), { _tag: "superseded" })
        assert.strictEqual(yield* stateOf(failed), "failed")
        yield* takeOne()
        const started = yield* isNew({ ...unique("waiting"), key: "w" })
        const claimed = yield* takeOne()
        yield* isNew({ ...unique("waiting"), key: "w" })
        yield* settled(fail(claimed))
        assert.deepStrictEqual(yield* rerun(started), { _tag: "rerun" })
        const cancelled = yield* isNew({ ...unique("waiting"), key: "c" })
        yield* cancel(cancelled)
        const later = yield* isNew({ ...unique("waiting"), key: "c" })
        assert.deepStrictEqual(yield* rerun(cancelled), { _tag: "superseded" })
        yield* cancel(later)
        assert.deepStrictEqual(yield* rerun(later), { _tag: "rerun" })
        assert.deepStrictEqual(yield* offer({ ...unique("waiting"), key: "c" }), accepted(later))
        assert.deepStrictEqual(yield* store.remove([failed, cancelled]), ["removed", "removed"])
        assert.deepStrictEqual(yield* offer({ ...unique("waiting"), key: "c" }), accepted(later))
      }))

    scenario(driver, "takes a key from a task that a rerun has made unfinished again", () =>
      Effect.gen(function*() {
        const first = yield* isNew(unique("unfinished"))
        yield* settled(fail(yield* takeOne()))
        assert.deepStrictEqual(yield* rerun(first), { _tag: "rerun" })
        assert.deepStrictEqual(yield* offer(unique("unfinished")), accepted(first))
        yield* settled(complete(yield* takeOne()))
        yield* isNew(unique("unfinished"))
      }))

    scenario(driver, "passes a key on from a task that has waited for too long, before something has ended it", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const brief = { expiresInMs: second }
        for (const [window, onConflict] of [["waiting", "replace"], ["unfinished", "postpone"]] as const) {
          const key = `${window}-${onConflict}`
          const late = yield* isNew({ ...unique(window), ...brief, key, payload: "1" })
          yield* driver.advance(minute)
          const fresh = yield* isNew({ ...unique(window, onConflict), key, payload: "2" })
          assert.strictEqual((yield* record(late)).payload, "1")
          assert.deepStrictEqual(
            yield* store.reschedule([{ id: late, type: "work", queue: "default", delayMs: hour }]),
            [{ _tag: "conflict", state: "expired" }]
          )
          assert.deepStrictEqual(
            (yield* store.expire(10)).map(({ id }) =>
              id
            ),
            [late]
          )
          assert.deepStrictEqual(yield* rerun(late), { _tag: "superseded" })
          assert.deepStrictEqual(yield* takeIds(), [fresh])
        }
        const held = yield* isNew({ ...unique(hour), ...brief })
        yield* driver.advance(minute)
        assert.deepStrictEqual(yield* offer(unique(hour, "replace")), refused(held, "expired"))
        assert.deepStrictEqual(yield* offer(unique(hour)), accepted(held))
      }))

    scenario(driver, "keeps the key with the later task when the earlier one is pruned", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* isNew(unique("unfinished"))
        yield* settled(complete(yield* takeOne()))
        const second = yield* isNew(unique("unfinished"))
        yield* driver.advance(hour)
        assert.strictEqual(yield* store.prune(retention({ finishedForMs: minute }), 10), 1)
        assert.deepStrictEqual(yield* offer(unique("unfinished")), accepted(second))
      }))

    scenario(driver, "moves a task to another line with its gate", () =>
      Effect.gen(function*() {
        yield* setLimit("max", { max: 1 })
        const first = yield* isNew({ ...unique("waiting"), ...through("max=a"), payload: "1" })
        yield* addOne({ ...through("max=b"), priority: 9 })
        assert.strictEqual((yield* take({ limit: 1 })).length, 1)
        assert.deepStrictEqual(
          yield* offer({ ...unique("waiting", "replace"), ...through("max=b"), payload: "2" }),
          accepted(first, "replaced")
        )
        assert.deepStrictEqual(yield* takeIds(), [])
        const other = yield* addOne(through("max=a"))
        assert.deepStrictEqual(yield* takeIds(), [other])
        assert.deepStrictEqual(
          yield* offer({ ...unique("waiting", "replace"), ...through("max=c"), payload: "3" }),
          accepted(first, "replaced")
        )
        const claimed = yield* takeOne()
        assert.deepStrictEqual([claimed.payload, claimed.gate], ["3", through("max=c").gate])
      }))

    scenario(driver, "leaves a task that has started in its order, for which others wait", () =>
      Effect.gen(function*() {
        yield* setLimit("!o", { order: "block" })
        const first = yield* isNew({ ...unique("unfinished"), ...through("!o=a"), payload: "1" })
        const second_ = yield* addOne(through("!o=a"))
        // one that has not started goes to another order
        assert.deepStrictEqual(
          yield* offer({ ...unique("unfinished", "replace"), ...through("!o=b"), payload: "2" }),
          accepted(first, "replaced")
        )
        assert.deepStrictEqual(
          yield* offer({ ...unique("unfinished", "replace"), ...through("!o=a"), payload: "3" }),
          accepted(first, "replaced")
        )
        yield* settled(again(yield* takeOne()))
        for (const gate of [through("!o=b"), {}]) {
          for (const onConflict of ["replace", "postpone"] as const) {
            assert.deepStrictEqual(
              yield* offer({ ...unique("unfinished", onConflict), ...gate, payload: "4" }),
              refused(first, yield* stateOf(first))
            )
          }
        }
        // with the same key of its order it takes another payload and other limits
        yield* setLimit("other", { max: 1 })
        assert.deepStrictEqual(
          yield* offer({ ...unique("unfinished", "replace"), ...through("!o=a", "other=a"), payload: "5" }),
          accepted(first, "replaced")
        )
        const retried = yield* takeOne()
        assert.deepStrictEqual([retried.id, retried.payload], [first, "5"])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(retried))
        assert.deepStrictEqual(yield* takeIds(), [second_])
      }))

    scenario(driver, "costs what the newest payload costs", () =>
      Effect.gen(function*() {
        yield* setLimit("rate", { tokens: 1, perMs: 1000, burst: 10 })
        const first = yield* isNew({ ...unique("waiting"), ...through(["rate=", 8]), delayMs: 0 })
        yield* addOne({ ...through(["rate=", 5]), priority: 9 })
        assert.strictEqual((yield* take()).length, 1)
        assert.deepStrictEqual(
          yield* offer({ ...unique("waiting", "replace"), ...through(["rate=", 2]) }),
          accepted(first, "replaced")
        )
        assert.deepStrictEqual(yield* takeIds(), [first])
      }))

    scenario(driver, "frees a key in the same step in which its task ends", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const first = yield* isNew(unique("unfinished"))
        const claimed = yield* takeOne()
        yield* settled(release(claimed))
        assert.deepStrictEqual(yield* offer(unique("unfinished", "refuse")), refused(first, "pending"))
        yield* settled(complete(refOf(yield* takeOne())))
        const answers = yield* store.enqueue([[task(unique("unfinished"))], [task(unique("unfinished", "refuse"))]])
        assert.deepStrictEqual(
          answers.map(({ _tag }) =>
            _tag
          ),
          ["Accepted", "Conflict"]
        )
      }))

    scenario(driver, "never lets two callers at once each have a waiting task", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        for (const window of ["waiting", "unfinished"] as const) {
          for (const onConflict of ["return", "refuse", "replace", "postpone"] as const) {
            const key = `${window}-${onConflict}`
            const one = () =>
              task({ ...unique(window, onConflict), key })
            yield* Effect.all(
              Array.from({ length: 8 }, (_, index) =>
                index % 3 === 2
                  ? Effect.asVoid(take({ limit: 1, instance: `i${index}` }))
                  : Effect.asVoid(store.enqueue([[one()]]))),
              { concurrency: "unbounded" }
            )
            const mine = (yield* everything).filter((found) =>
              found.key === key
            )
            const holding = mine.filter(({ claims, state }) =>
              window === "unfinished" || (claims === 0 && state !== "running")
            )
            assert.isAtMost(holding.length, 1, key)
            assert.isAtLeast(mine.length, 1, key)
          }
        }
      }))

    scenario(driver, "puts a payload that was taken into the task that starts, or into a new one", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        for (let round = 0; round < 10; round++) {
          const key = `race-${round}`
          const first = yield* isNew({ ...unique("waiting"), key, payload: "1" })
          const [answers, { tasks }] = yield* Effect.all([
            store.enqueue([[task({ ...unique("waiting", "replace"), key, payload: "2" })]]),
            store.claim({
              queues: undefined,
              types: ["work"],
              limit: 1,
              instance: "i",
              leaseForMs: hour,
              nonce: 1000 + round
            })
          ], { concurrency: "unbounded" })
          const [answer] = answers
          if (answer?._tag !== "Accepted") {
            return assert.fail(answer?._tag)
          }
          const payloads = tasks.filter(({ id }) =>
            id === first
          ).map(({ payload }) =>
            payload
          )
          if (answer.tasks[0]!.duplicate) {
            assert.deepStrictEqual(answer.tasks[0], { id: first, duplicate: true, merge: "replaced" })
            if (payloads.length > 0) {
              assert.deepStrictEqual(payloads, ["2"])
            }
          } else assert.deepStrictEqual(payloads, ["1"])
          yield* take()
        }
      }))
  })
