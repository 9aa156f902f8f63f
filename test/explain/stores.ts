/** What explanations must say of tasks in every state, on every store: they are read from what the store's claim reads. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { utc } from "../../src/domain/StoredTime.ts"
import * as Explain from "../../src/explain/Explain.ts"
import { InstanceStore, type QueueShare } from "../../src/store/InstanceStore.ts"
import * as PausedQueues from "../../src/store/PausedQueues.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { type Driver, scenario } from "../store/conformance/driver.ts"
import {
  add,
  addOne,
  again,
  cancel,
  hour,
  inState,
  record,
  release,
  rerun,
  rescue,
  running,
  second,
  settled,
  snooze,
  take
} from "../store/conformance/fixtures.ts"

const explain = Effect.fnUntraced(function*(id: string) {
  const [tasks, records, instances] = [yield* TaskStore, yield* RecordStore, yield* InstanceStore]
  return yield* Explain.explain({ tasks, records, instances }, id)
})

const summaryOf = (id: string) => Effect.map(explain(id), ({ summary }) => summary)

/** An instance says that it lives. */
const beat = (
  id: string,
  slots: number,
  busy: number,
  queues: ReadonlyArray<string> = [],
  shares?: ReadonlyArray<QueueShare>
) =>
  InstanceStore.use((store) =>
    store.beat({
      id,
      host: "host",
      pid: 1,
      version: "1",
      upForMs: 0,
      capacity: slots,
      queues,
      types: ["work"],
      shares,
      running: Array.from({ length: busy }, (_, slot) => ({ slot: slot + 1, id: `t${slot}`, type: "work", forMs: 1 }))
    }, 24 * hour)
  )

const starts = "It is due, and starts when an instance asks for work."

export const explains = (name: string, driver: Driver) =>
  describe(name, () => {
    scenario(driver, "says of a task whose queue has its share of the slots that it waits for one of them", () =>
      Effect.gen(function*() {
        const id = yield* addOne()
        const share = { queue: "default", reserved: 0, max: 2, weight: 1, running: 2 }
        const others = { queue: "*", reserved: 0, max: null, weight: 1, running: 0 }
        yield* beat("a", 4, 2, [], [share, others])
        yield* beat("b", 4, 2, [], [{ ...share, queue: "mail", reserved: 4, max: 4 }, { ...others, running: 0 }])
        const full = yield* explain(id)
        assert.deepStrictEqual(
          full.reasons.map(({ code }) =>
            code
          ),
          ["share_full"]
        )
        assert.deepInclude(full.reasons[0], { slots: 8, busy: 4, running: 2 })
        yield* beat("b", 4, 1, [], [{ ...share, queue: "mail", reserved: 2, max: 2, running: 1 }, others])
        assert.strictEqual(yield* summaryOf(id), starts)
        yield* beat("b", 4, 4, [], [{ ...share, queue: "mail", reserved: 2, max: 4, running: 4 }, others])
        yield* beat("a", 2, 2, [], [share, others])
        assert.deepStrictEqual((yield* explain(id)).reasons.map(({ code }) => code), ["behind"])
      }))

    scenario(driver, "says of every state what the task does or waits for", () =>
      Effect.gen(function*() {
        yield* beat("instance-1", 4, 0)
        const cases = {
          scheduled: /^It is due in (?:1h|59m\d+s), at \S+Z\.$/,
          pending: /^It is due, and starts when an instance asks for work\.$/,
          running: /^It runs on instance-1 since \S+Z\.$/,
          completed: /^It has completed\.$/,
          failed: /^It failed: The server refused\. A rerun starts it again\.$/,
          cancelled: /^It was cancelled\. A rerun starts it again\.$/
        } as const
        // What is pending would be claimed in place of others
        for (const state of ["scheduled", "running", "completed", "failed", "cancelled", "pending"] as const) {
          const found = yield* explain(yield* inState(state))
          assert.strictEqual(found.state, state)
          assert.match(found.summary, cases[state])
          assert.strictEqual(found.reasons.length, state === "scheduled" || state === "pending" ? 1 : 0)
          assert.strictEqual(Option.isSome(found.mayStartAt), state === "scheduled")
        }
      }))

    scenario(
      driver,
      "tells a retry, a snooze, a release, a crash and a rerun from one another",
      () =>
        Effect.gen(function*() {
          yield* beat("instance-1", 4, 0)
          const one = yield* running()
          yield* settled(again(one, hour))
          assert.match(yield* summaryOf(one.id), /^Its retry 1 is due in /)
          yield* driver.advance("2 hours")
          // Due, and no claim has looked since
          assert.strictEqual((yield* explain(one.id)).state, "scheduled")
          assert.strictEqual(yield* summaryOf(one.id), starts)
          assert.deepInclude((yield* explain(one.id)).reasons[0], { code: "behind", pending: 1, slots: 4, busy: 0 })
          const [next] = yield* take()
          yield* settled(snooze(next!, hour))
          assert.match(yield* summaryOf(one.id), /^It is due in /)
          yield* driver.advance("2 hours")
          const [third] = yield* take()
          yield* settled(release(third!))
          assert.strictEqual(yield* summaryOf(one.id), starts)
          yield* take({ leaseForMs: second })
          yield* driver.advance("1 minute")
          assert.strictEqual((yield* rescue()).length, 1)
          assert.strictEqual(yield* summaryOf(one.id), starts)
          yield* cancel(one.id)
          assert.include(yield* summaryOf(one.id), "It was cancelled.")
          yield* rerun(one.id)
          assert.strictEqual(yield* summaryOf(one.id), starts)
        })
    )

    scenario(
      driver,
      "says of a running task that it was asked to stop, and whether its instance lives",
      () =>
        Effect.gen(function*() {
          const { id } = yield* running({}, { instance: "dead" })
          assert.match(
            yield* summaryOf(id),
            /^It runs on dead since \S+Z\. That instance gives no sign of life: .*Z\.$/
          )
          yield* beat("dead", 1, 1)
          assert.match(yield* summaryOf(id), /^It runs on dead since \S+Z\.$/)
          yield* cancel(id)
          assert.match(yield* summaryOf(id), /^It runs on dead since \S+Z, and was asked to stop\.$/)
        })
    )

    scenario(driver, "names all that is in the way, and when time alone takes it out", () =>
      Effect.gen(function*() {
        const [later, now] = yield* add({ delayMs: 2 * hour }, {})
        assert.strictEqual(
          yield* summaryOf(now),
          `No instance is running, so nothing handles the type "work" in the queue "default".`
        )
        yield* beat("elsewhere", 4, 4, ["other"])
        assert.include(yield* summaryOf(now), "The one running instance does not handle the type")
        yield* beat("elsewhere too", 4, 4, ["other"])
        assert.include(yield* summaryOf(now), "None of 2 running instances handles the type")
        yield* beat("here", 2, 2)
        yield* addOne()
        assert.strictEqual(
          yield* summaryOf(now),
          "It is due, and waits for one of 2 slots, which are all busy; 2 due tasks of its queue and type wait."
        )
        yield* PausedQueues.pause("default", { forMs: hour })
        const both = yield* explain(later)
        assert.deepStrictEqual(
          both.reasons.map(({ code }) =>
            code
          ),
          ["not_due", "queue_paused"]
        )
        assert.deepStrictEqual(both.mayStartAt, Option.some(utc((yield* record(later)).dueAt)))
        yield* driver.advance("90 minutes")
        // Nothing that runs has resumed it
        const ended = yield* explain(now)
        assert.deepStrictEqual(ended.reasons.map(({ code }) => code).slice(0, 1), ["queue_paused"])
        assert.match(
          ended.summary,
          /^Its queue "default" is paused until an instance resumes it: its time ended at \S+Z\.$/
        )
        assert.deepStrictEqual(yield* take(), [])
        yield* PausedQueues.resumeDue
        assert.lengthOf(yield* take(), 2)
      }))
  })
