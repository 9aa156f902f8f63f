/** What explanations must say of tasks in every state, on every store: they are read from what the store's claim reads. */
import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Breaker from "../../src/domain/Breaker.ts"
import type * as Gate from "../../src/domain/Gate.ts"
import { utc } from "../../src/domain/StoredTime.ts"
import * as Explain from "../../src/explain/Explain.ts"
import * as Verdict from "../../src/explain/Verdict.ts"
import * as BreakerRecords from "../../src/store/BreakerRecords.ts"
import { InstanceStore, type QueueShare } from "../../src/store/InstanceStore.ts"
import * as PausedQueues from "../../src/store/PausedQueues.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { type Driver, scenario } from "../store/conformance/driver.ts"
import {
  add,
  addAll,
  addOne,
  again,
  cancel,
  complete,
  hour,
  inState,
  pause,
  record,
  release,
  rerun,
  rescue,
  running,
  second,
  setLimit,
  settled,
  snooze,
  take,
  takeIds,
  task,
  tasks,
  through
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

    scenario(driver, "names a breaker that is open, and the task that tries it", () =>
      Effect.gen(function*() {
        yield* beat("instance-1", 4, 0)
        const pass = Breaker.passOf("web", "a")
        const [first, next] = yield* add(through(pass), through(pass))
        const { settings } = Breaker.ruleOf("web", { failures: 1, openFor: "1 minute" })
        yield* BreakerRecords.change(
          pass,
          settings,
          (state, now) =>
            Breaker.failed(state, settings, 1, Breaker.lastOf("t", { tag: "Down", message: "No answer" }, now), now)
        )
        assert.deepStrictEqual(yield* take(), [])
        const open = yield* explain(next)
        assert.match(
          open.summary,
          /^The breaker "web" of the key "a" is open since \S+Z: one task tries it at \S+Z\. The last failure was Down: No answer\.$/
        )
        assert.deepStrictEqual(
          open.reasons.map(({ code }) =>
            code
          ),
          ["breaker_open"]
        )
        assert.isTrue(Option.isSome(open.mayStartAt))
        yield* driver.advance("61 seconds")
        assert.deepStrictEqual((yield* explain(next)).reasons.map(({ code }) => code), ["behind"])
        assert.lengthOf(yield* take(), 1)
        const tried = yield* explain(next)
        assert.include(tried.summary, `the task ${first} tries it now, and closes it if it succeeds.`)
        assert.deepInclude(tried.reasons[0], { code: "breaker_open", tries: first, until: null })
        assert.isTrue(Option.isNone(tried.mayStartAt))
        yield* BreakerRecords.change(pass, settings, () => null)
        assert.deepStrictEqual((yield* explain(next)).reasons.map(({ code }) => code), ["behind"])
        assert.lengthOf(yield* take(), 1)
      }))

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
          both.reasons.map(({ code }) => code),
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

    scenario(driver, "gives the code of each refusal of a claim, and no other, until a claim takes the task", () =>
      Effect.gen(function*() {
        yield* beat("a", 9, 0)
        const codes = (id: string) =>
          Effect.map(explain(id), ({ reasons }) =>
            reasons.map(({ code }) => code))
        const end = (id: string) => Effect.flatMap(record(id), ({ claim }) => settled(complete({ id, claim })))
        /** A claim refuses the task and an explanation says why; once that is over, a claim takes it, and nothing is said before. */
        const refused = Effect.fnUntraced(function*<E, R>(
          code: string,
          gate: Gate.Gated,
          close: Effect.Effect<unknown, E, R>,
          open: Effect.Effect<unknown, E, R>
        ) {
          yield* close
          const id = yield* addOne({ ...gate, queue: code })
          assert.deepStrictEqual(yield* takeIds({ queues: [code] }), [], code)
          assert.deepStrictEqual(yield* codes(id), [code])
          yield* open
          assert.deepStrictEqual(yield* codes(id), ["behind"], code)
          assert.deepStrictEqual(yield* takeIds({ queues: [code] }), [id], code)
          yield* end(id)
        })
        const plain = through()
        yield* refused("queue_paused", plain, pause("queue_paused", true), pause("queue_paused", false))
        yield* refused(
          "type_paused",
          plain,
          PausedQueues.types.pause("work", {}),
          PausedQueues.types.resume("work")
        )
        yield* refused(
          "key_paused",
          through("k=a"),
          PausedQueues.keys.pause("k=a", {}),
          PausedQueues.keys.resume("k=a")
        )
        yield* setLimit("c", { max: 1 })
        const first = yield* addOne({ ...through("c=a"), queue: "holder" })
        yield* takeIds({ queues: ["holder"] })
        yield* refused("limit_full", through("c=a"), Effect.void, end(first))
        yield* setLimit("r", { tokens: 1, perMs: hour, burst: 1 })
        yield* addOne({ ...through("r=a"), queue: "holder" })
        yield* takeIds({ queues: ["holder"] })
        yield* refused("rate_spent", through("r=a"), Effect.void, driver.advance("1 hour"))
        yield* beat("a", 9, 0)
        yield* setLimit("!o", { order: "block" })
        const head = yield* addOne({ ...through("!o=a"), queue: "holder" })
        yield* takeIds({ queues: ["holder"] })
        yield* refused("key_blocked", through("!o=a"), Effect.void, end(head))
        const later = yield* addOne({ delayMs: hour, queue: "not_due" })
        assert.deepStrictEqual(yield* takeIds({ queues: ["not_due"] }), [])
        assert.deepStrictEqual(yield* codes(later), ["not_due"])
        const unhandled = yield* addOne({ type: "other" })
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepStrictEqual(yield* codes(unhandled), ["no_handler"])
      }))
  })

/** What verdicts must say of queues. */
export const verdicts = (name: string, driver: Driver) =>
  describe(name, () => {
    const verdict = Effect.fnUntraced(function*(queue?: string) {
      const [tasks, records, instances] = [yield* TaskStore, yield* RecordStore, yield* InstanceStore]
      return yield* Verdict.make({ tasks, records, instances }).verdict(queue)
    })
    const codesOf = ({ causes }: Verdict.Verdict) => causes.map(({ code, tasks }) => [code, tasks])

    scenario(driver, "names the cause of the most waiting tasks first, and what would help", () =>
      Effect.gen(function*() {
        const empty = yield* verdict()
        assert.deepInclude(empty, { queue: null, causes: [], action: null, pending: 0 })
        assert.strictEqual(empty.summary, "No task waits; none runs. No instance is running.")
        yield* addAll([...tasks(3, { queue: "mail" }), ...tasks(2, { type: "other" }), ...tasks(1, { delayMs: hour })])
        const none = yield* verdict()
        assert.deepStrictEqual(codesOf(none), [["no_handler", 3], ["no_handler", 2]])
        assert.deepInclude(none, { pending: 5, scheduled: 1, action: "Start an instance: taskforge work" })
        yield* beat("a", 2, 0)
        yield* pause("mail", true)
        const paused = yield* verdict()
        assert.deepStrictEqual(codesOf(paused), [["queue_paused", 3], ["no_handler", 2]])
        assert.strictEqual(paused.action, "Resume it: taskforge resume mail")
        assert.include(paused.summary, `5 tasks wait; none runs, and 1 is due later. The queue "mail" is paused`)
        const ofDefault = yield* verdict("default")
        assert.deepStrictEqual(codesOf(ofDefault), [["no_handler", 2]])
        assert.deepInclude(ofDefault, { queue: "default", pending: 2, slots: 2, busy: 0 })
        yield* pause("mail", false)
        yield* beat("a", 2, 2)
        assert.deepStrictEqual(codesOf(yield* verdict("mail")), [["behind", 3]])
        yield* PausedQueues.types.pause("work", { reason: "The server moves" })
        assert.include((yield* verdict("mail")).summary, "The server moves")
        yield* PausedQueues.types.resume("work")
        yield* InstanceStore.use((store) =>
          store.leave("a")
        )
        yield* beat("b", 4, 1, ["mail"], [
          { queue: "mail", reserved: 0, max: 1, weight: 1, running: 1 },
          { queue: "*", reserved: 0, max: null, weight: 1, running: 0 }
        ])
        assert.deepStrictEqual(codesOf(yield* verdict("mail")), [["share_full", 3]])
      }))

    scenario(driver, "says that starts are late, of the newest that run and that wait", () =>
      Effect.gen(function*() {
        yield* beat("a", 5, 0)
        yield* addAll([...tasks(30, { startWithinMs: 1 }), ...tasks(2, { startWithinMs: hour }), ...tasks(1)])
        yield* driver.advance("2 seconds")
        yield* takeIds({ limit: 3 })
        const { starts, summary } = yield* verdict()
        // the three that run, and of the twenty that wait all but the plain one and two that have time
        assert.deepInclude(starts, { timed: 3 + 19, late: 3 + 17 })
        assert.isAtLeast(starts.maxLateMs, 1999)
        assert.match(summary, / Starts are late: 20 of the newest 22 that should start within a time, by up to \d/)
        assert.deepStrictEqual((yield* verdict("mail")).starts, { timed: 0, late: 0, maxLateMs: 0 })
      }))

    scenario(driver, "names the limit that keeps tasks waiting while slots are free, and how to raise it", () =>
      Effect.gen(function*() {
        yield* beat("a", 5, 1)
        yield* setLimit("tenant", { max: 1 })
        yield* addAll(tasks(40, through("tenant=a c")))
        yield* takeIds()
        const full = yield* verdict()
        assert.deepStrictEqual(codesOf(full), [["limit_full", 40]])
        assert.strictEqual(
          full.action,
          "Raise the limit, if what it protects bears it: taskforge limits set tenant --key 'a c' --max 2"
        )
        yield* setLimit("tenant", { max: 100 })
        assert.deepStrictEqual(codesOf(yield* verdict()), [])
        assert.include((yield* verdict()).summary, "They start as instances ask for work.")
        yield* driver.advance("1 minute")
        yield* beat("a", 5, 1)
        const unclaimed = yield* verdict()
        assert.deepStrictEqual(
          codesOf(unclaimed).map(([code]) =>
            code
          ),
          ["unclaimed"]
        )
        assert.include(unclaimed.action ?? "", "/health")
      }))

    scenario(driver, "says of a million of names no more than it may", () =>
      Effect.gen(function*() {
        yield* addAll(Array.from({ length: 300 }, (_, n) =>
          task({ type: `t${n}`, queue: `q${n}` })))
        yield* beat("a", 1, 0)
        const { causes, pending } = yield* verdict()
        assert.strictEqual(pending, 300)
        assert.lengthOf(causes, Verdict.maxCauses)
      }))
  })
