import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type ClaimRef, TaskState, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  everySettlement,
  everything,
  hour,
  inState,
  pause,
  record,
  rescue,
  retention,
  stateOf,
  take,
  takeIds
} from "./fixtures.ts"

/** Everything that can be done to a stored task, by name. */
const operations = (driver: Driver, ref: ClaimRef) => {
  const { id } = ref
  const using = <A, E>(f: (store: TaskStore["Service"]) => Effect.Effect<A, E>) => TaskStore.use(f)
  return {
    "enqueue again": using((store) =>
      Effect.flatMap(
        everything,
        (tasks) =>
          store.enqueue([[{
            ...tasks[0]!,
            delayMs: 0,
            runAt: null,
            expiresInMs: null,
            onFailure: undefined,
            trace: undefined,
            tags: undefined
          }]])
      ).pipe(
        Effect.provideService(TaskStore, store)
      )
    ),
    claim: take(),
    "claim later": Effect.andThen(driver.advance("2 hours"), take()),
    extend: using((store) => store.extend([ref], hour)),
    report: using((store) => store.report([{ ...ref, progress: 1 }])),
    ...Object.fromEntries(
      everySettlement(ref).map((settlement) => [settlement._tag, using((store) => store.settle([settlement]))])
    ),
    rescue: rescue(),
    "rescue later": Effect.andThen(driver.advance("2 hours"), rescue()),
    expire: using((store) => store.expire(10)),
    "expire later": Effect.andThen(driver.advance("2 hours"), using((store) => store.expire(10))),
    cancel: using((store) => store.cancel([id])),
    rerun: using((store) => store.rerun([id])),
    pause: pause("default", true),
    prune: using((store) => store.prune(retention({ maxFinished: 0 }), 10)),
    remove: using((store) => store.remove([id]))
  }
}

export const transitions = (driver: Driver) =>
  describe("transition table", () => {
    for (const from of TaskState.all) {
      scenario(driver, `is followed by every operation on a ${from} task`, () =>
        Effect.gen(function*() {
          for (const name of Object.keys(operations(driver, { id: "", claim: 0 }))) {
            const step = Effect.gen(function*() {
              const id = yield* inState(from)
              assert.strictEqual(yield* stateOf(id), from)
              const { claim } = yield* record(id)
              yield* operations(driver, { id, claim })[name as keyof ReturnType<typeof operations>]
              const found = yield* TaskStore.use((store) => store.get(id))
              if (found === undefined) {
                assert.isTrue(TaskState.isFinished(from), `${name} removed a ${from} task`)
              } else if (found.state !== from) {
                const direct = TaskState.canMove(from, found.state)
                const promotedFirst = from === "scheduled" && found.state === "running" && name === "claim later"
                assert.isTrue(direct || promotedFirst, `${name} moved a ${from} task to ${found.state}`)
              }
            })
            yield* Effect.provide(step, driver.layer({}), { local: true })
          }
        }))
    }

    scenario(driver, "lets finished tasks rest: nobody can claim, settle, extend or rescue them", () =>
      Effect.gen(function*() {
        for (const state of TaskState.finished) {
          yield* inState(state)
        }
        const before = yield* everything
        yield* driver.advance("1 day")
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepStrictEqual(yield* rescue(), [])
        const store = yield* TaskStore
        for (const { claim, id } of before) {
          for (const settlement of everySettlement({ id, claim })) {
            assert.deepStrictEqual(yield* store.settle([settlement]), ["already"])
          }
          assert.deepStrictEqual(yield* store.extend([{ id, claim }], hour), ["lost"])
        }
        assert.deepStrictEqual(yield* everything, before)
      }))
  })
