/**
 * Random graphs of tasks that depend on each other, on a store and on the memory store: both give the same answers, and the same can be seen
 * after each operation. Few ids, so that tasks meet, are removed and come again.
 */
import { assert, describe } from "@effect/vitest"
import { Arbitrary, Clock, Effect, Layer, Schema } from "effect"
import { MemoryStore } from "taskforge"
import { type ClaimRef, type NewTask, type Settlement, TaskStore } from "taskforge/store"
import type { Driver } from "../conformance/driver.ts"
import { anyTime, retention, task } from "../conformance/fixtures.ts"
import { check, type Step } from "../model/check.ts"

const ids = ["t0", "t1", "t2", "t3", "t4", "t5"] as const
const someIds = Schema.Array(Schema.Literals(ids)).check(Schema.isMinLength(1), Schema.isMaxLength(3))

const Member = Schema.Struct({
  id: Schema.Literals(ids),
  after: Schema.Array(Schema.Literals(ids)).check(Schema.isMaxLength(3)),
  onFailure: Schema.Literals(["fail", "cancel", "run"]),
  delayMs: Schema.Literals([0, 0, 1000]),
  expiresInMs: Schema.NullOr(Schema.Literals([2000]))
})

const Operation = Schema.Union([
  Schema.Struct({
    do: Schema.Literal("enqueue"),
    group: Schema.Array(Member).check(Schema.isMinLength(1), Schema.isMaxLength(4))
  }),
  Schema.Struct({
    do: Schema.Literal("enqueue"),
    group: Schema.Array(Member).check(Schema.isMinLength(1), Schema.isMaxLength(4))
  }),
  Schema.Struct({ do: Schema.Literal("claim"), limit: Schema.Literals([1, 5]) }),
  Schema.Struct({ do: Schema.Literal("claim"), limit: Schema.Literals([1, 5]) }),
  Schema.Struct({
    do: Schema.Literal("settle"),
    ends: Schema.Array(Schema.Struct({
      attempt: Schema.Literals([0, 1, 2]),
      as: Schema.Literals(["Complete", "Complete", "Fail", "Retry", "Cancel", "Release"])
    })).check(Schema.isMinLength(1), Schema.isMaxLength(3))
  }),
  Schema.Struct({ do: Schema.Literals(["cancel", "rerun", "rerun", "remove"]), ids: someIds }),
  Schema.Struct({ do: Schema.Literal("reopen"), id: Schema.Literals(ids), completed: Schema.Boolean }),
  Schema.Struct({ do: Schema.Literal("reopen"), id: Schema.Literals(ids), completed: Schema.Boolean }),
  Schema.Struct({ do: Schema.Literals(["expire", "rescue", "tell", "prune"]) }),
  Schema.Struct({ do: Schema.Literal("reschedule"), id: Schema.Literals(ids), delayMs: Schema.Literals([0, 1000]) }),
  Schema.Struct({ do: Schema.Literal("advance"), ms: Schema.Literals([1, 1000, 6000]) })
])

type Operation = typeof Operation.Type

const sequences: Arbitrary.Arbitrary<Array<Operation>> = Arbitrary.array(Arbitrary.schema(Operation), {
  minLength: 1,
  maxLength: 60
})

const failure = { kind: "error", tag: "Refused", message: "it was refused" } as const

const settlementOf = (as: string, ref: ClaimRef): Settlement.Settlement => {
  switch (as) {
    case "Complete":
      return { _tag: as, ...ref, result: "1" }
    case "Fail":
      return { _tag: as, ...ref, failure }
    case "Retry":
      return { _tag: as, ...ref, failure, delayMs: 1000 }
    default:
      return { _tag: as as "Cancel" | "Release", ...ref }
  }
}

/** Does an operation to one store, and answers all that can be told of it. */
const act = (operation: Exclude<Operation, { readonly do: "advance" }>, refs: Array<ClaimRef>, nonce: number) =>
  Effect.gen(function*(): Effect.fn.Return<unknown, unknown, TaskStore> {
    const store = yield* TaskStore
    switch (operation.do) {
      case "enqueue":
        return yield* store.enqueue([
          operation.group.map(({ after, ...given }): NewTask =>
            task(after.length === 0 ? { ...given, onFailure: undefined } : { ...given, after })
          )
        ])
      case "claim": {
        const answer = yield* store.claim({
          instance: "w",
          nonce,
          types: ["work"],
          limit: operation.limit,
          leaseForMs: 5000
        })
        refs.unshift(...answer.tasks.map(({ claim, id }) => ({ id, claim })))
        return [
          answer.tasks.map(({ id, attempt, dueAt }) => ({ id, attempt, dueAt })),
          (answer.expired ?? []).map(({ id }) => id).sort()
        ]
      }
      case "settle":
        return yield* store.settle(
          operation.ends.flatMap(({ as, attempt }) =>
            refs[attempt] === undefined ? [] : [settlementOf(as, refs[attempt])]
          )
            .filter(({ id }, index, all) => all.findIndex((other) => other.id === id) === index)
        )
      case "cancel":
        return yield* store.cancel([...new Set(operation.ids)])
      case "rerun":
        return yield* store.rerun([...new Set(operation.ids)])
      case "reopen":
        return yield* store.reopen([operation.id], { completed: operation.completed })
      case "remove":
        return yield* store.remove([...new Set(operation.ids)])
      case "expire":
        return (yield* store.expire(10)).map(({ id }) => id).sort()
      case "rescue":
        return (yield* store.rescue({ limit: 10, ...anyTime })).rescued.map(({ id, state }) => `${id} ${state}`).sort()
      case "tell":
        return yield* store.tell
      case "prune":
        return yield* store.prune(retention({ finishedForMs: 3000, failedForMs: 3000 }), 100)
      case "reschedule": {
        const { delayMs, id } = operation
        return yield* store.reschedule([{ id, type: "work", queue: "default", delayMs }])
      }
    }
  })

/** What can be seen of a store. */
const seen = Effect.gen(function*() {
  const store = yield* TaskStore
  const { tasks } = yield* store.list({ limit: 100 })
  const edges = yield* Effect.forEach(
    ids,
    (id) =>
      Effect.map(store.edges(id), (found) =>
        found === undefined ? undefined : {
          after: found.after.map(({ id }) => id),
          before: found.before.toSorted()
        })
  )
  const down = yield* store.links({ ids, towards: "dependents", limit: 100 })
  const up = yield* store.links({ ids, towards: "dependencies", limit: 100 })
  const { released, dropped, more } = store.consequences()
  return {
    tasks: tasks.map(({ claim: _, history: __, seq: ___, settledClaim: ____, ...rest }) => rest),
    edges,
    links: [down.links.map(({ id, of }) => `${of} ${id}`).toSorted(), up.links, down.next, up.next],
    counts: yield* store.counts,
    stranded: yield* store.stranded([], 10),
    after: { released, more, dropped: dropped.map(({ id, state }) => `${id} ${state}`).toSorted() }
  }
})

type Seen = Effect.Success<typeof seen>

/** What can be seen, whichever of several that end in one write is named as the reason. */
const whateverTheReason = ({ tasks, ...rest }: Seen) => ({
  ...rest,
  tasks: tasks.map(({ failure, ...task }) => ({ ...task, failure: failure?.kind === "dependency" ? "one" : failure }))
})

/** What must hold of each task in itself. */
const holds = ({ edges, tasks }: Seen): void => {
  const stateOf = new Map(tasks.map(({ id, state }) => [id, state]))
  for (const { id, state, waitsFor } of tasks) {
    if (waitsFor > 0) assert.strictEqual(state, "scheduled", `${id} waits for ${waitsFor}`)
    if (state !== "scheduled") continue
    const open = edges[ids.indexOf(id as typeof ids[number])]!.after.filter((other) => {
      const state = stateOf.get(other)
      return state === "scheduled" || state === "pending" || state === "running"
    })
    if (waitsFor > 0) assert.isAtLeast(open.length, 1, `${id} waits for ${waitsFor}, and none is open`)
  }
}

/** What must hold of tasks that were run again together: each waits for those among them that it depends on. */
const waitFor = (
  again: ReadonlyArray<string>,
  answers: ReadonlyArray<{ readonly _tag: string }>,
  { edges, tasks }: Seen
): void => {
  const rerun = again.filter((_, index) => answers[index]!._tag === "rerun")
  for (const id of rerun) {
    const before = edges[ids.indexOf(id as typeof ids[number])]!.after.filter((other) => rerun.includes(other))
    const { waitsFor } = tasks.find((task) => task.id === id)!
    assert.isAtLeast(waitsFor, before.length, `${id} runs again with ${before.join(", ")}, which it depends on`)
  }
}

/** Holds a driver, whose clock is its own, to the memory store with another one that shows the same. */
export const dependencyDifferential = (
  name: string,
  driver: Driver,
  options: {
    readonly runs: number
    /** Whether the store names another reason than the memory store where several that one depends on end in one write. */
    readonly namesAny?: boolean
  }
): void => {
  const comparable = options.namesAny === true ? whateverTheReason : (found: Seen) => found
  const settings = { capacity: 5, maxCrashes: 1 }
  const begin = Effect.gen(function*() {
    const store = yield* Layer.build(Layer.fresh(driver.layer(settings)))
    let now = yield* Clock.currentTimeMillis
    const clock: Clock.Clock = Object.assign(Object.create(yield* Clock.Clock) as Clock.Clock, {
      currentTimeMillisUnsafe: () => now,
      monotonicTimeNanosUnsafe: () => BigInt(now) * 1_000_000n
    })
    const memory = yield* Layer.build(
      Layer.provide(Layer.fresh(MemoryStore.layer(settings)), Layer.succeed(Clock.Clock, clock))
    )
    const refs: Array<ClaimRef> = []
    const others: Array<ClaimRef> = []
    let nonce = 0
    const step: Step<Operation> = (operation) =>
      Effect.gen(function*() {
        nonce++
        let answer: unknown
        if (operation.do === "advance") {
          now += operation.ms
          yield* driver.advance(operation.ms)
        } else {
          answer = yield* Effect.provideContext(act(operation, refs, nonce), store)
          const expected = yield* Effect.provideContext(act(operation, others, nonce), memory)
          assert.deepStrictEqual(answer, expected)
        }
        const found = yield* Effect.provideContext(seen, store)
        assert.deepStrictEqual(comparable(found), comparable(yield* Effect.provideContext(seen, memory)))
        holds(found)
        if (operation.do === "rerun") {
          waitFor([...new Set(operation.ids)], answer as ReadonlyArray<{ readonly _tag: string }>, found)
        }
      })
    return step
  })
  describe(`${name} knows the same of dependencies as the memory store`, () => {
    check(
      "whatever graphs there are and whatever becomes of their tasks",
      begin,
      { onceFailed: [], sequences },
      options
    )
  })
}
