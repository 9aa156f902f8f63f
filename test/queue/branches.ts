/** What must hold of branches and graphs of tasks on every store. */
import { assert, describe } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import * as Branches from "../../src/queue/Branches.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { type Driver, scenario } from "../store/conformance/driver.ts"
import {
  add,
  addAll,
  addGroup,
  addOne,
  complete,
  counts,
  everything,
  fail,
  record,
  settled,
  stateOf,
  take,
  takeIds,
  takeOne
} from "../store/conformance/fixtures.ts"

const branches = Effect.map(TaskStore, Branches.make)

/** A call that has to fail because too much is connected. */
const tooLarge = <A>(call: Effect.Effect<A, Branches.BranchChangeError>) =>
  Effect.map(Effect.flip(call), (error) => assert.strictEqual(error._tag, "BranchTooLarge", String(error)))

const none = { cancelled: 0, requested: 0, finished: 0, unknown: 0, own: 0 }
const nothing = {
  rerun: 0,
  waiting: 0,
  running: 0,
  completed: 0,
  recent: 0,
  blocked: 0,
  blockedBy: [],
  superseded: 0,
  unknown: 0,
  own: 0
}

/**
 * ```text
 * up ─► top ─► left ──► bottom ─► last
 *          └─► right ─►┘
 * side ───────────────►┘
 * ```
 */
const graph = add(
  { id: "up" },
  { id: "side" },
  { id: "top", after: ["up"] },
  { id: "left", after: ["top"] },
  { id: "right", after: ["top"], onFailure: "run" },
  { id: "bottom", after: ["left", "right", "side"], onFailure: "cancel" },
  { id: "last", after: ["bottom"], onFailure: "run" },
  { id: "alone" }
)

const ids = ["up", "side", "top", "left", "right", "bottom", "last", "alone"] as const
const states = Effect.map(
  Effect.forEach(ids, stateOf),
  (found) => Object.fromEntries(ids.map((id, index) => [id, found[index]!]))
)

/** Completes what there is, until there is no more; answers the ids in the order in which they ran. */
const drain = Effect.gen(function*() {
  const store = yield* TaskStore
  const ran: Array<string> = []
  for (let rounds = 0; rounds < 1000; rounds++) {
    const claimed = yield* take()
    if (claimed.length === 0 && !(yield* store.tell)) return ran
    ran.push(...claimed.map(({ id }) => id))
    yield* store.settle(claimed.map((ref) => complete(ref)))
  }
  return assert.fail("There is always more to run")
})

/** A store that fails after some writes, as for a process that ends then. */
const failingAfter = (store: TaskStore["Service"], writes: number): TaskStore["Service"] => {
  let left = writes
  const write = <A>(effect: Effect.Effect<A, StoreError>) =>
    Effect.suspend(() => left-- > 0 ? effect : Effect.fail(new StoreError({ operation: "rerun", reason: "It ended" })))
  return {
    ...store,
    cancel: (refs) => write(store.cancel(refs)),
    reopen: (ids, options) => write(store.reopen(ids, options))
  }
}

export const actsOnBranches = (name: string, driver: Driver, options: { readonly seeds: number }) =>
  describe(name, () => {
    scenario(driver, "are a task and all that depend on it, or all that are connected", () =>
      Effect.gen(function*() {
        yield* graph
        const { size } = yield* branches
        assert.deepStrictEqual(yield* size("top"), { members: 5, own: 0, isComplete: true })
        assert.deepStrictEqual(yield* size("last"), { members: 1, own: 0, isComplete: true })
        assert.deepStrictEqual(yield* size("last", { scope: "graph" }), { members: 7, own: 0, isComplete: true })
        assert.deepStrictEqual(yield* size("alone", { scope: "graph" }), { members: 1, own: 0, isComplete: true })
      }))

    scenario(driver, "are refused for ids that are not there and options that are none", () =>
      Effect.gen(function*() {
        const { cancel, rerun, size } = yield* branches
        for (const id of ["none", "", "\u0000", "x".repeat(1000), "\ud800"]) {
          for (const asked of [size(id), cancel(id), rerun(id)]) {
            assert.deepInclude(yield* Effect.flip(asked as Effect.Effect<unknown, unknown>), {
              _tag: "TaskNotFound",
              id
            })
          }
        }
        yield* addOne({ id: "a" })
        for (const asked of [size("a", { scope: "all" as never }), cancel("a", { scope: 1 as never })]) {
          assert.include(yield* Effect.flip(asked as Effect.Effect<unknown, unknown>), {
            _tag: "InvalidOption",
            option: "scope"
          })
        }
        const invalid = yield* Effect.flip(rerun("a", { completed: "yes" as never }))
        assert.include(invalid, { _tag: "InvalidOption", option: "completed" })
        assert.include(yield* Effect.flip(rerun("a", { deep: true } as never)), {
          _tag: "InvalidOption",
          option: "deep"
        })
      }))

    scenario(
      driver,
      "are cancelled without that one of them starts, or fails, because of it",
      () =>
        Effect.gen(function*() {
          yield* graph
          const { cancel } = yield* branches
          assert.deepStrictEqual(yield* cancel("top"), { ...none, members: 5, cancelled: 5 })
          assert.deepStrictEqual(yield* states, {
            up: "pending",
            side: "pending",
            top: "cancelled",
            left: "cancelled",
            right: "cancelled",
            bottom: "cancelled",
            last: "cancelled",
            alone: "pending"
          })
          assert.deepStrictEqual(yield* cancel("top"), { ...none, members: 5, finished: 5 })
          assert.deepStrictEqual(yield* cancel("up", { scope: "graph" }), {
            ...none,
            members: 7,
            cancelled: 2,
            finished: 5
          })
          assert.deepStrictEqual(yield* takeIds(), ["alone"])
        })
    )

    scenario(driver, "are cancelled also where some run, and then nothing goes on", () =>
      Effect.gen(function*() {
        yield* add({ id: "a" }, { id: "b", after: ["a"] }, { id: "c", after: ["b"], onFailure: "run" })
        const attempt = yield* takeOne()
        const { cancel } = yield* branches
        assert.deepStrictEqual(yield* cancel("a"), { ...none, members: 3, requested: 1, cancelled: 2 })
        yield* settled({ _tag: "Cancel", id: attempt.id, claim: attempt.claim })
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepInclude(yield* counts, { cancelled: 3, scheduled: 0, pending: 0 })
      }))

    scenario(driver, "run again from the top, each task after those before it", () =>
      Effect.gen(function*() {
        yield* graph
        const { cancel, rerun } = yield* branches
        yield* cancel("top", { scope: "graph" })
        assert.deepStrictEqual(
          yield* rerun("top"),
          // what is to run all the same does
          { ...nothing, members: 5, blocked: 3, blockedBy: ["up", "top", "left"], rerun: 2 }
        )
        assert.deepStrictEqual(yield* rerun("up", { scope: "graph" }), {
          ...nothing,
          members: 7,
          rerun: 5,
          waiting: 2
        })
        assert.deepInclude(yield* counts, { pending: 3, scheduled: 5 })
        const ran = yield* drain
        assert.lengthOf(ran, 8)
        const place = (id: string) => ran.indexOf(id)
        for (
          const [before, after] of [["up", "top"], ["top", "left"], ["top", "right"], ["side", "bottom"], [
            "right",
            "bottom"
          ], [
            "left",
            "bottom"
          ], ["bottom", "last"]] as const
        ) assert.isBelow(place(before), place(after))
        assert.deepStrictEqual(yield* rerun("up"), { ...nothing, members: 6, completed: 6 })
        assert.deepInclude(yield* rerun("top", { completed: true }), { members: 5, rerun: 5 })
        const again = yield* drain
        assert.sameMembers(again, ["top", "left", "right", "bottom", "last"])
        assert.strictEqual(again[0], "top")
      }))

    scenario(
      driver,
      "leave what runs, what is left of an earlier call, and what ended since",
      () =>
        Effect.gen(function*() {
          yield* add({ id: "a" }, { id: "b", after: ["a"] }, { id: "c", after: ["b"] }, { id: "d", after: ["c"] })
          yield* settled(complete(yield* takeOne()))
          const attempt = yield* takeOne()
          const { rerun } = yield* branches
          assert.deepInclude(yield* rerun("a", { completed: true }), { members: 4, rerun: 1, running: 1, waiting: 2 })
          yield* settled(fail(attempt))
          const { completedAt } = yield* record("b")
          const endedBefore = DateTime.makeUnsafe(completedAt!)
          assert.deepInclude(yield* rerun("a", { endedBefore }), { waiting: 1, recent: 3 })
          assert.deepInclude(yield* rerun("a"), { waiting: 1, rerun: 3 })
          assert.deepStrictEqual(yield* drain, ["a", "b", "c", "d"])
        })
    )

    scenario(driver, "are not touched where they are larger than what one call changes", () =>
      Effect.gen(function*() {
        yield* graph
        const store = yield* TaskStore
        // top, left, right, bottom and last, and five edges between them
        for (const bound of [{ maxMembers: 4, maxEdges: 100 }, { maxMembers: 100, maxEdges: 4 }]) {
          const { cancel, rerun, size } = Branches.make(store, bound)
          yield* tooLarge(cancel("top"))
          yield* tooLarge(rerun("top", { completed: true }))
          yield* tooLarge(cancel("last", { scope: "graph" }))
          assert.deepInclude(yield* size("top"), { members: 5 })
          assert.deepInclude(yield* counts, { pending: 3, scheduled: 5, cancelled: 0 })
        }
        const { cancel, rerun } = Branches.make(store, { maxMembers: 5, maxEdges: 5 })
        assert.deepInclude(yield* cancel("top"), { members: 5, cancelled: 5 })
        assert.deepInclude(yield* rerun("top"), { members: 5, rerun: 5 })
      }))

    scenario(driver, "are counted as far as a size looks: no more edges than it says", () =>
      Effect.gen(function*() {
        const tops = yield* addAll(Array.from({ length: 400 }, () => ({})))
        yield* addAll(Array.from({ length: 400 }, () => ({ after: tops })))
        const { size } = yield* branches
        assert.deepInclude(yield* size(tops[0]!, { scope: "graph" }), { isComplete: false })
      }), { capacity: 10_000 })

    scenario(
      driver,
      "leave the engine's own tasks of batches alone, and what they alone connect",
      () =>
        Effect.gen(function*() {
          yield* add({ id: "one" }, { id: "other" })
          yield* add(
            { id: "part", type: "taskforge.batch", after: ["one", "other"], onFailure: "run" },
            { id: "next", after: ["one"] },
            { id: "behind", after: ["part"] }
          )
          const { cancel, size } = yield* branches
          assert.deepStrictEqual(yield* size("one", { scope: "graph" }), { members: 2, own: 1, isComplete: true })
          assert.deepStrictEqual(yield* size("part"), { members: 0, own: 1, isComplete: true })
          assert.deepInclude(yield* cancel("one"), { members: 2, cancelled: 2, own: 1 })
          assert.strictEqual(yield* stateOf("part"), "scheduled")
          assert.strictEqual(yield* stateOf("other"), "pending")
        })
    )

    scenario(driver, "may have any ids", () =>
      Effect.gen(function*() {
        const odd = ["a b", "=x", "*1;2;3", "{\"id\":1}", "ключ/🗝", "%00", "'; --", "a\\u0001b", "#id#", "…".repeat(80)]
        yield* addGroup(odd.map((id, index) => ({ id, after: index === 0 ? [] : odd.slice(0, index) })))
        const { cancel, rerun } = yield* branches
        assert.deepStrictEqual(yield* cancel(odd[0]!), { ...none, members: odd.length, cancelled: odd.length })
        const done = yield* rerun(odd.at(-1)!)
        assert.deepInclude(done, { members: 1, blocked: 1 })
        assert.include(odd, done.blockedBy[0])
        assert.deepInclude(yield* rerun(odd.at(-1)!, { scope: "graph" }), { members: odd.length, rerun: odd.length })
        assert.deepStrictEqual(yield* drain, odd)
      }))

    scenario(
      driver,
      "may be cancelled and run again by several at once, while tasks run",
      () =>
        Effect.gen(function*() {
          const levels = 6
          const nameOf = (level: number, place: number) => `${level}-${place}`
          yield* addGroup(Array.from({ length: levels * 10 }, (_, index) => {
            const [level, place] = [Math.floor(index / 10), index % 10]
            return {
              id: nameOf(level, place),
              after: level === 0 ? [] : [nameOf(level - 1, place), nameOf(level - 1, (place + 1) % 10)]
            }
          }))
          const store = yield* TaskStore
          const operators = Array.from({ length: 4 }, () => Branches.make(store))
          const work = Effect.gen(function*() {
            const claimed = yield* take({ limit: 5 })
            yield* store.settle(claimed.map((ref, index) => index === 0 ? fail(ref) : complete(ref)))
            yield* store.tell
          })
          for (let round = 0; round < 3; round++) {
            yield* Effect.all([
              ...operators.map(({ cancel, rerun }, index) =>
                index % 2 === 0
                  ? cancel(nameOf(1, round))
                  : rerun(nameOf(0, round), { scope: "graph", completed: index === 1 })
              ),
              work,
              work
            ], { concurrency: "unbounded" })
          }
          yield* drain
          yield* operators[0]!.rerun(nameOf(0, 0), { scope: "graph" })
          yield* drain
          assert.deepInclude(yield* counts, { completed: 60, pending: 0, scheduled: 0, running: 0 })
        })
    )

    scenario(driver, "may be wide and deep", () =>
      Effect.gen(function*() {
        yield* addOne({ id: "top" })
        const wide = yield* addAll(Array.from({ length: 2300 }, () => ({ after: ["top"] })))
        yield* addGroup(Array.from({ length: 60 }, (_, index) => ({
          id: `link-${index}`,
          after: index === 0 ? wide : [`link-${index - 1}`]
        })))
        const { cancel, rerun, size } = yield* branches
        assert.deepInclude(yield* size("link-59", { scope: "graph" }), { members: 2361 })
        assert.deepInclude(yield* cancel("top"), { members: 2361, cancelled: 2361 })
        assert.deepInclude(yield* rerun("top"), { members: 2361, rerun: 2361 })
        assert.deepInclude(yield* record("link-0"), { state: "scheduled", waitsFor: 2300 })
        assert.deepInclude(yield* counts, { pending: 1, scheduled: 2360 })
      }), { capacity: 10_000 })

    for (let seed = 1; seed <= options.seeds; seed++) {
      scenario(
        driver,
        `keep their order whatever happens, and wait for nothing in the end (${seed})`,
        () => anything(seed)
      )
    }
  })

/** Random graphs, in which tasks end in all ways and parts run again, also where a call ends in the middle. */
const anything = Effect.fnUntraced(function*(seed: number) {
  const store = yield* TaskStore
  const random = numbersFrom(seed)
  const pick = <A>(all: ReadonlyArray<A>): A => all[random(all.length)]!
  const amount = 4 + random(10)
  const names = Array.from({ length: amount }, (_, index) => `t${index}`)
  const policies = ["fail", "fail", "cancel", "run"] as const
  const tasks = new Map(names.map((id, index) => {
    const after = [...new Set(Array.from({ length: random(3) }, () => names[random(index)]!))].filter(() => index > 0)
    return [id, { id, after, ...after.length === 0 ? {} : { onFailure: pick(policies) } }]
  }))
  yield* addGroup([...tasks.values()])

  /** Claims some, each of which has to be one that may run. */
  const claim = Effect.fnUntraced(function*(limit: number) {
    const before = new Map((yield* everything).map(({ id, state }) => [id, state]))
    const claimed = yield* take({ limit })
    for (const { id } of claimed) {
      const { after, onFailure } = tasks.get(id)!
      if (onFailure === "run") continue
      for (const other of after) {
        assert.strictEqual(before.get(other), "completed", `${id} starts, ${other} has not been completed`)
      }
    }
    return claimed
  })

  for (let step = 0; step < 12; step++) {
    const { cancel, rerun } = Branches.make(random(3) === 0 ? failingAfter(store, random(3)) : store)
    const scope = pick(["branch", "graph"] as const)
    switch (random(4)) {
      case 0:
        yield* Effect.ignore(cancel(pick(names), { scope }))
        break
      case 1:
        yield* Effect.ignore(rerun(pick(names), { scope }))
        break
      case 2:
        // all of it, because what was due starts until its turn comes
        yield* Branches.make(store).rerun(pick(names), { scope, completed: true })
        break
      default:
        for (const attempt of yield* claim(1 + random(4))) {
          yield* settled(random(3) === 0 ? fail(attempt) : complete(attempt))
        }
    }
    while (yield* store.tell);
  }
  // what is left can be finished: nothing waits for what does not come
  for (let round = 0; round < amount; round++) {
    for (const attempt of yield* claim(100)) yield* settled(complete(attempt))
  }
  const waiting = (yield* everything).filter(({ state }) => state === "scheduled" || state === "pending")
  assert.deepStrictEqual(waiting.map(({ id }) => id), [])
  const { rerun } = Branches.make(store)
  for (const id of names) yield* rerun(id, { scope: "graph" })
  yield* drain
  assert.deepInclude(yield* counts, { completed: amount })
})

/** Numbers below a bound that follow from a seed. */
const numbersFrom = (seed: number) => {
  let state = seed * 2_654_435_761 % 4_294_967_296
  return (bound: number): number => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296
    return Math.floor(state / 4_294_967_296 * bound)
  }
}
