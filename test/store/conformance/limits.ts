import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Gates, PausedQueues, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  addOne,
  again,
  cancel,
  complete,
  fail,
  hour,
  idsOf,
  minute,
  passState,
  putRecord,
  record,
  release,
  request,
  rerun,
  rescue,
  retention,
  running,
  second,
  setLimit,
  settled,
  snooze,
  stateOf,
  stop,
  take,
  takeIds,
  tasks,
  through
} from "./fixtures.ts"

const claim = (fields: Parameters<typeof request>[0] = {}) => TaskStore.use((store) => store.claim(request(fields)))

const charge = (pass: string, amount: number) => TaskStore.use((store) => store.charge([{ pass, amount }]))

export const limits = (driver: Driver) =>
  describe("limits", () => {
    scenario(driver, "let no more tasks of a key run than they say, and those of others", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 2 })
        const acme = yield* addAll(tasks(4, through("tenant=acme")))
        const other = yield* addAll(tasks(1, through("tenant=other")))
        const free = yield* addOne()
        const first = yield* take()
        assert.deepStrictEqual(idsOf(first), [acme[0], acme[1], other[0], free])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(first[0]!))
        assert.deepStrictEqual(yield* takeIds(), [acme[2]])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(first[2]!))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(first[1]!))
        assert.deepStrictEqual(yield* takeIds(), [acme[3]])
      }))

    scenario(driver, "take the tasks of open gates in the order of work, whatever stands before them", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 1 })
        const full = yield* addAll(tasks(300, through("tenant=full")))
        const a = yield* addOne(through("tenant=a"))
        const plain = yield* addOne()
        const b = yield* addOne(through("tenant=b"))
        assert.deepStrictEqual(yield* takeIds({ limit: 3 }), [full[0], a, plain])
        assert.deepStrictEqual(yield* takeIds({ limit: 3 }), [b])
        const urgent = yield* addOne({ priority: 9, ...through("tenant=c") })
        const later = yield* addOne(through("tenant=d"))
        assert.deepStrictEqual(yield* takeIds(), [urgent, later])
      }))

    for (
      const [name, end] of Object.entries({
        complete,
        fail,
        again: (ref: Parameters<typeof again>[0]) =>
          again(ref, minute),
        snooze: (ref: Parameters<typeof snooze>[0]) =>
          snooze(ref, minute),
        stop
      })
    ) {
      scenario(driver, `have room again after the end of an attempt: ${name}`, () =>
        Effect.gen(function*() {
          yield* setLimit("tenant", { max: 1 })
          const [, next] = yield* add(through("tenant=a"), through("tenant=a"))
          const [held] = yield* take()
          assert.deepStrictEqual(yield* takeIds(), [])
          yield* settled(end(held!))
          assert.deepStrictEqual(yield* takeIds(), [next])
          assert.strictEqual((yield* passState("tenant=a")).running, 1)
        }))
    }

    scenario(driver, "count a task that was released or rescued, and runs again, once", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 1 })
        const [id, other] = yield* add(through("tenant=a"), through("tenant=a"))
        const [held] = yield* take()
        yield* settled(release(held!))
        const [retaken] = yield* take({ leaseForMs: second })
        assert.strictEqual(retaken!.id, id)
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.strictEqual((yield* rescue()).length, 1)
        // a crashed task is due again behind what was due before
        assert.deepStrictEqual(yield* takeIds(), [other])
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepInclude(yield* passState("tenant=a"), { running: 1, holders: [other] })
        assert.strictEqual(yield* stateOf(id), "pending")
      }))

    scenario(driver, "do not count what waits, was cancelled, or runs without the pass", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 1 })
        yield* running()
        const [a, b, c] = yield* add(through("tenant=a"), through("tenant=a"), through("tenant=a"))
        assert.strictEqual(yield* cancel(a), "cancelled")
        assert.deepStrictEqual(yield* takeIds(), [b])
        assert.strictEqual(yield* cancel(b), "requested")
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.strictEqual(yield* cancel(c), "cancelled")
        const last = yield* addOne(through("tenant=a"))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("1 second")
        yield* rerun(c)
        yield* settled(stop({ id: b, claim: (yield* record(b)).claim }))
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [last])
      }))

    scenario(driver, "are several of one task, and each of them must have room", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 2 })
        yield* setLimit("host", { max: 1 })
        const [ax, ay, bx, by, cz] = yield* add(
          through("tenant=a", "host=x"),
          through("tenant=a", "host=y"),
          through("tenant=b", "host=x"),
          through("tenant=b", "host=y"),
          through("tenant=c", "host=z")
        )
        const first = yield* take()
        assert.deepStrictEqual(idsOf(first), [ax, ay, cz])
        const again = yield* addOne(through("tenant=a", "host=z"))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(first[1]!))
        assert.deepStrictEqual(yield* takeIds(), [by])
        yield* settled(complete(first[2]!))
        assert.deepStrictEqual(yield* takeIds(), [again])
        yield* settled(complete(first[0]!))
        assert.deepStrictEqual(yield* takeIds(), [bx])
      }))

    scenario(driver, "are shared by queues and types that name them", () =>
      Effect.gen(function*() {
        yield* setLimit("smtp", { max: 1 })
        const [a, b, c] = yield* add(
          through("smtp="),
          { type: "other", ...through("smtp=") },
          { queue: "second", ...through("smtp=") }
        )
        const everywhere = { queues: undefined, types: ["work", "other"] }
        const [first] = yield* take(everywhere)
        assert.strictEqual(first!.id, a)
        assert.deepStrictEqual(yield* takeIds(everywhere), [])
        yield* settled(complete(first!))
        const second = yield* take({ types: ["other"] })
        assert.deepStrictEqual(idsOf(second), [b])
        assert.deepStrictEqual(yield* takeIds(everywhere), [])
        yield* settled(complete(second[0]!))
        assert.deepStrictEqual(yield* takeIds({ types: ["other"] }), [])
        assert.deepStrictEqual(yield* takeIds({ queues: ["second"] }), [c])
      }))

    scenario(driver, "are changed, given to one key, lifted and taken away while tasks wait", () =>
      Effect.gen(function*() {
        const ids = yield* addAll(tasks(8, through("tenant=a")))
        const others = yield* addAll(tasks(2, through("tenant=b")))
        yield* setLimit("tenant", { max: 1 })
        assert.deepStrictEqual(yield* takeIds(), [ids[0], others[0]])
        yield* setLimit("tenant=a", { max: 3 })
        assert.deepStrictEqual(yield* takeIds(), [ids[1], ids[2]])
        yield* setLimit("tenant=a", { max: 0 })
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* setLimit("tenant=a", { max: 4 })
        assert.deepStrictEqual(yield* takeIds(), [ids[3]])
        yield* setLimit("tenant=a", null)
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* setLimit("tenant=a", { lifted: true })
        assert.deepStrictEqual(yield* takeIds({ limit: 2 }), [ids[4], ids[5]])
        yield* setLimit("tenant=a", null)
        yield* setLimit("tenant", null)
        assert.deepStrictEqual(yield* takeIds(), [ids[6], ids[7], others[1]])
      }))

    scenario(driver, "are the same for several claimers at once", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 3 })
        yield* add(...Array.from({ length: 120 }, (_, index) =>
          through(`tenant=${index % 4}`)))
        const answers = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, index) =>
            `instance-${index}`),
          (instance) =>
            take({ instance, limit: 5 }),
          { concurrency: "unbounded" }
        )
        const taken = answers.flat()
        assert.strictEqual(new Set(idsOf(taken)).size, taken.length)
        for (let key = 0; key < 4; key++) {
          const { running } = yield* passState(`tenant=${key}`)
          assert.isAtMost(running, 3)
          assert.strictEqual(
            taken.filter(({ gate }) =>
              gate === `["tenant=${key}"]`
            ).length,
            running
          )
        }
        yield* take({ limit: 1000 })
        for (let key = 0; key < 4; key++) assert.strictEqual((yield* passState(`tenant=${key}`)).running, 3)
      }))

    scenario(driver, "take names and keys as they are written", () =>
      Effect.gen(function*() {
        const keys = [
          "",
          "=",
          "a=b",
          "\"",
          "\\",
          "a\",\"b",
          "[",
          "é",
          "日本",
          "😀",
          " ",
          "\n",
          "%",
          "'",
          "ac\u0301",
          "á"
        ]
        yield* setLimit("l", { max: 1 })
        for (const key of keys) yield* add(through(`l=${key}`), through(`l=${key}`))
        const taken = yield* take()
        assert.deepStrictEqual(taken.map(({ gate }) => gate), keys.map((key) => JSON.stringify([`l=${key}`])))
        assert.deepStrictEqual(yield* takeIds(), [])
        for (const one of taken) {
          yield* settled(complete(one))
          assert.deepStrictEqual((yield* take()).map(({ gate }) => gate), [one.gate])
        }
      }))

    scenario(driver, "refuse nothing that a repeated claim has", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 1 })
        const [a] = yield* add(through("tenant=a"), through("tenant=a"))
        const asked = request()
        const store = yield* TaskStore
        const once = yield* store.claim(asked)
        assert.deepStrictEqual(idsOf(once.tasks), [a])
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, once.tasks)
        assert.strictEqual((yield* passState("tenant=a")).running, 1)
      }))

    scenario(driver, "of a rate let a burst start, then one task each time that a token has come", () =>
      Effect.gen(function*() {
        yield* setLimit("host", { tokens: 1, perMs: minute, burst: 2 })
        const ids = yield* addAll(tasks(5, through("host=x")))
        const other = yield* addOne(through("host=y"))
        const first = yield* claim()
        assert.deepStrictEqual(idsOf(first.tasks), [ids[0], ids[1], other])
        const refused = yield* claim()
        assert.deepStrictEqual(refused.tasks, [])
        assert.isNotNull(refused.nextDueAt)
        assert.isAtMost(refused.nextDueAt! - refused.now, minute)
        assert.isAbove(refused.nextDueAt! - refused.now, minute / 2)
        for (const one of first.tasks) {
          yield* settled(complete(one))
        }
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* takeIds(), [ids[2]])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("10 minutes")
        assert.deepStrictEqual(yield* takeIds(), [ids[3], ids[4]])
      }))

    scenario(
      driver,
      "of a rate take what a task costs, and of one that costs more than a burst wait until the bucket is full",
      () =>
        Effect.gen(function*() {
          yield* setLimit("tokens", { tokens: 10, perMs: minute, burst: 10 })
          const [six, seven, one, huge, last] = yield* add(
            through(["tokens=k", 6]),
            through(["tokens=k", 7]),
            through("tokens=k"),
            through(["tokens=k", 25]),
            through("tokens=k")
          )
          // the line goes in its order: what is cheaper does not overtake
          assert.deepStrictEqual(yield* takeIds(), [six])
          yield* driver.advance("20 seconds")
          assert.deepStrictEqual(yield* takeIds(), [seven])
          yield* driver.advance("10 seconds")
          assert.deepStrictEqual(yield* takeIds(), [one])
          yield* driver.advance("50 seconds")
          assert.deepStrictEqual(yield* takeIds(), [])
          yield* driver.advance("15 seconds")
          assert.deepStrictEqual(yield* takeIds(), [huge])
          yield* driver.advance("80 seconds")
          assert.deepStrictEqual(yield* takeIds(), [])
          yield* driver.advance("30 seconds")
          assert.deepStrictEqual(yield* takeIds(), [last])
        })
    )

    scenario(driver, "of a rate keep a line where its first task stands, though a later one came while it waited", () =>
      Effect.gen(function*() {
        yield* setLimit("host", { tokens: 1, perMs: minute, burst: 1 })
        const [first, next] = yield* add(through("host=x"), through("host=x"))
        assert.deepStrictEqual(yield* takeIds(), [first])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("1 second")
        const plain = yield* addOne(through("other=y"))
        const later = yield* addOne({ priority: 0, ...through("host=x") })
        yield* driver.advance("2 minutes")
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [next])
        assert.deepStrictEqual(yield* takeIds(), [plain])
        yield* driver.advance("2 minutes")
        assert.deepStrictEqual(yield* takeIds(), [later])
      }))

    scenario(driver, "of a rate are charged what was really used", () =>
      Effect.gen(function*() {
        yield* setLimit("tokens", { tokens: 10, perMs: minute, burst: 10 })
        const [a, b, c] = yield* add(
          through(["tokens=k", 5]),
          through(["tokens=k", 5]),
          through(["tokens=k", 5])
        )
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [a])
        yield* charge("tokens=k", 10)
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* charge("tokens=k", -10)
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [b])
        yield* charge("tokens=k", 5)
        yield* charge("unknown=k", 5)
        yield* driver.advance("30 seconds")
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("35 seconds")
        assert.deepStrictEqual(yield* takeIds(), [c])
        const { bucket } = yield* passState("tokens=k")
        assert.isNotNull(bucket)
        assert.isBelow(bucket!.level, 6)
      }))

    scenario(driver, "of a rate may be charged more than it ever gives, and claims go on with what is open", () =>
      Effect.gen(function*() {
        yield* setLimit("tokens", { tokens: 1, perMs: 3650 * 24 * hour, burst: 1 })
        yield* setLimit("drops", { tokens: 0.000_001, perMs: 3650 * 24 * hour, burst: 1e9 })
        yield* add(through("tokens=a"), through(["drops=a", 1e9]))
        assert.lengthOf(yield* take(), 2)
        yield* charge("tokens=a", 1e9)
        const [a, drop] = yield* add(through("tokens=a"), through(["drops=a", 1e9]))
        const free = yield* addOne()
        assert.deepStrictEqual(yield* takeIds(), [free])
        yield* driver.advance("1 hour")
        const again = yield* addOne(through("tokens=b"))
        const { nextDueAt, now, tasks: taken } = yield* claim()
        assert.deepStrictEqual(idsOf(taken), [again])
        // nothing to look at again soon, and no time that was rounded into the past
        assert.isTrue(nextDueAt === null || nextDueAt > now + hour)
        yield* setLimit("tokens=a", { lifted: true })
        yield* setLimit("drops", null)
        assert.sameMembers([...yield* takeIds()], [a, drop])
      }))

    scenario(driver, "of a rate whose numbers no store could compute with limit nothing", () =>
      Effect.gen(function*() {
        for (const tokens of [0, 1e-300, 1e300]) {
          yield* setLimit(`tokens=${tokens}`, { tokens, perMs: 1000, burst: 1 })
        }
        for (const burst of [0, 1e-300, 1e300]) {
          yield* setLimit(`burst=${burst}`, { tokens: 1, perMs: 1000, burst })
        }
        for (const perMs of [0, 1e-300, 1e300]) {
          yield* setLimit(`per=${perMs}`, { tokens: 1, perMs, burst: 1 })
        }
        const passes = ["tokens", "burst", "per"].flatMap((name) =>
          [0, 1e-300, 1e300].map((of) =>
            `${name}=${of}`
          )
        )
        const ids = yield* addAll([...passes, ...passes].map((pass) =>
          through(pass)
        ))
        assert.deepStrictEqual(yield* takeIds(), ids)
      }))

    scenario(driver, "of a rate and of how many run hold together", () =>
      Effect.gen(function*() {
        yield* setLimit("host", { tokens: 2, perMs: minute, burst: 2 })
        yield* setLimit("tenant", { max: 1 })
        const ids = yield* addAll(tasks(4, through("tenant=a", "host=x")))
        const [first] = yield* take()
        assert.strictEqual(first!.id, ids[0])
        // a refused task takes no token
        for (let times = 0; times < 5; times++) {
          assert.deepStrictEqual(yield* takeIds(), [])
        }
        yield* settled(complete(first!))
        const [next] = yield* take()
        assert.strictEqual(next!.id, ids[1])
        yield* settled(complete(next!))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* takeIds(), [ids[2]])
      }))

    scenario(
      driver,
      "forget the buckets of keys that are full again",
      () =>
        Effect.gen(function*() {
          const prune = TaskStore.use((store) =>
            store.prune(retention(), 100)
          )
          // in the order of names and in that of time, more that are not full come first than are looked at together
          const slow = 1100
          yield* setLimit("slow", { tokens: 1, perMs: hour, burst: 1 })
          yield* setLimit("tenant", { tokens: 1, perMs: minute, burst: 2 })
          // few at a time: a plain store judges all that wait for each that it begins
          for (let first = 0; first < slow; first += 100) {
            yield* addAll(Array.from({ length: 100 }, (_, index) =>
              through(`slow=${first + index}`)))
            assert.strictEqual((yield* take()).length, 100)
          }
          yield* add(through("tenant=a"), through("tenant=b"), through("tenant=b"))
          assert.strictEqual((yield* take()).length, 3)
          yield* driver.advance("70 seconds")
          for (let time = 0; time < 4; time++) {
            yield* prune
          }
          assert.isNull((yield* passState("tenant=a")).bucket)
          assert.strictEqual((yield* passState("tenant=b")).bucket?.level, 0)
          assert.strictEqual((yield* passState("slow=0")).bucket?.level, 0)
          yield* addAll(tasks(4, through("tenant=a")))
          assert.strictEqual((yield* take()).length, 2)
        }),
      { capacity: 2000 }
    )

    scenario(driver, "of a rate go on when the clock was set back, and give no token twice", () =>
      Effect.gen(function*() {
        const prune = TaskStore.use((store) =>
          store.prune(retention(), 100)
        )
        yield* driver.advance("1 day")
        yield* setLimit("host", { tokens: 1, perMs: minute, burst: 1 })
        const [a, b, c] = yield* addAll(tasks(3, { runAt: 0, ...through("host=x") }))
        assert.deepStrictEqual(yield* takeIds(), [a])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance(-6 * hour)
        yield* prune
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("30 seconds")
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("40 seconds")
        const { nextDueAt, now, tasks: started } = yield* claim()
        assert.deepStrictEqual(idsOf(started), [b])
        assert.isAtMost(nextDueAt === null ? now : nextDueAt - now, minute)
        yield* driver.advance("70 seconds")
        assert.deepStrictEqual(yield* takeIds(), [c])
      }))

    scenario(driver, "open a paused key and type again", () =>
      Effect.gen(function*() {
        const [a, b, other, plain] = yield* add(
          through("tenant=a"),
          through("tenant=b"),
          { type: "other", ...through("tenant=b") },
          { type: "other" }
        )
        const types = ["work", "other"]
        yield* putRecord(Gates.pausedKeyKind, "tenant=b", {})
        yield* putRecord(Gates.pausedTypeKind, "other", {})
        assert.deepStrictEqual(yield* takeIds({ types }), [a])
        yield* putRecord(Gates.pausedKeyKind, "tenant=b", null)
        assert.deepStrictEqual(yield* takeIds({ types }), [b])
        yield* putRecord(Gates.pausedTypeKind, "other", null)
        assert.deepStrictEqual(yield* takeIds({ types }), [other, plain])
      }))

    scenario(driver, "open behind a paused queue that is resumed", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 1 })
        const [a, b] = yield* add({ queue: "a", ...through("tenant=a") }, { queue: "b", ...through("tenant=a") })
        yield* PausedQueues.pause("a")
        const queues = ["a", "b"]
        const [first] = yield* take({ queues })
        assert.strictEqual(first!.id, b)
        yield* PausedQueues.resume("a")
        assert.deepStrictEqual(yield* takeIds({ queues }), [])
        yield* settled(complete(first!))
        assert.deepStrictEqual(yield* takeIds({ queues }), [a])
      }))

    scenario(driver, "hold for tasks that become due, and for many in turn", () =>
      Effect.gen(function*() {
        yield* setLimit("tenant", { max: 1 })
        const ids = yield* add(
          ...Array.from({ length: 30 }, (_, index) => ({ delayMs: second * (index % 3), ...through("tenant=a") }))
        )
        yield* driver.advance("1 minute")
        const seen: Array<string> = []
        for (let taken = yield* take(); taken.length > 0; taken = yield* take()) {
          assert.strictEqual(taken.length, 1)
          seen.push(taken[0]!.id)
          yield* settled(complete(taken[0]!))
        }
        assert.sameMembers(seen, [...ids])
        assert.deepInclude(yield* passState("tenant=a"), { running: 0, holders: [], bucket: null, holder: null })
      }))

    scenario(driver, "show gate and costs in what is stored and claimed", () =>
      Effect.gen(function*() {
        const gate = through("tenant=a", ["tokens=k", 2.5])
        const id = yield* addOne(gate)
        assert.deepInclude(yield* record(id), gate)
        const [claimed] = yield* take()
        assert.deepInclude(claimed, gate)
        assert.deepInclude(yield* record(id), gate)
      }))
  })
