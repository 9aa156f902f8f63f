import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type ClaimRef, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addOne,
  again,
  cancel,
  complete,
  counts,
  everySettlement,
  everything,
  extend,
  fail,
  minute,
  record,
  refOf,
  release,
  rerun,
  rescue,
  retention,
  running,
  second,
  settle,
  settled,
  snooze,
  take,
  takeOne
} from "./fixtures.ts"

/** Ways in which an attempt stops being the task's current one without having been settled itself. */
const lostBy = (driver: Driver): Record<string, (lost: ClaimRef) => Effect.Effect<unknown, unknown, TaskStore>> => {
  const expire = Effect.andThen(driver.advance("10 seconds"), rescue())
  const passOn = Effect.andThen(expire, takeOne({ instance: "heir" }))
  return {
    "was rescued": () => expire,
    "was rescued and claimed again": () => passOn,
    "was rescued and claimed again, with a cancel requested": ({ id }) => Effect.andThen(passOn, cancel(id)),
    "was followed by one that retries": () => Effect.flatMap(passOn, (heir) => settled(again(heir, minute))),
    "was followed by one that snoozes": () => Effect.flatMap(passOn, (heir) => settled(snooze(heir))),
    "was followed by one that was released": () => Effect.flatMap(passOn, (heir) => settled(release(heir))),
    "was followed by one that completed": () => Effect.flatMap(passOn, (heir) => settled(complete(heir, "1"))),
    "was followed by one that failed": () => Effect.flatMap(passOn, (heir) => settled(fail(heir))),
    "was followed by one that failed, and was rerun": ({ id }) =>
      Effect.flatMap(passOn, (heir) => Effect.andThen(settled(fail(heir)), rerun(id))),
    "was rescued and cancelled": ({ id }) => Effect.andThen(expire, cancel(id)),
    "was asked to stop and then rescued": ({ id }) => Effect.andThen(cancel(id), expire),
    "was rescued, cancelled and retried by an operator": ({ id }) =>
      Effect.andThen(Effect.andThen(expire, cancel(id)), rerun(id))
  }
}

/** Nothing that an attempt can send may have any effect. */
const changesNothing = Effect.fnUntraced(function*(ref: ClaimRef, answer: "stale" | "already" = "stale") {
  const store = yield* TaskStore
  const before = { tasks: yield* everything, counts: yield* counts }
  for (const settlement of everySettlement(ref)) {
    assert.strictEqual(yield* settle(settlement), answer, settlement._tag)
    assert.deepStrictEqual({ tasks: yield* everything, counts: yield* counts }, before, settlement._tag)
  }
  assert.strictEqual(yield* extend(ref, minute), "lost")
  assert.deepStrictEqual({ tasks: yield* everything, counts: yield* counts }, before, "extend")
  yield* store.report([{ ...refOf(ref), progress: 0.9 }])
  assert.deepStrictEqual({ tasks: yield* everything, counts: yield* counts }, before, "report")
})

export const fencing = (driver: Driver) =>
  describe("fencing", () => {
    for (const [how, lose] of Object.entries(lostBy(driver))) {
      scenario(driver, `lets an attempt change nothing that ${how}`, () =>
        Effect.gen(function*() {
          const lost = yield* running({}, { leaseForMs: second })
          yield* lose(lost)
          yield* changesNothing(lost)
        }))
    }

    scenario(driver, "lets a quarantined task's last attempt change nothing", () =>
      Effect.gen(function*() {
        const lost = yield* running({}, { leaseForMs: second })
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual((yield* rescue()).map(({ state }) => state), ["failed"])
        yield* changesNothing(lost)
      }), { maxCrashes: 0 })

    for (
      const [how, end] of [
        ["completed", complete],
        ["failed", fail],
        ["was retried", again],
        ["was snoozed", snooze],
        ["was released", release]
      ] as const
    ) {
      scenario(driver, `answers already and changes nothing when the attempt ${how} before`, () =>
        Effect.gen(function*() {
          const first = yield* running()
          yield* settled(end(first))
          yield* changesNothing(first, "already")
        }))
    }

    scenario(driver, "answers stale to a settled attempt once a later one has settled too", () =>
      Effect.gen(function*() {
        const first = yield* running()
        yield* settled(again(first))
        const second = yield* takeOne()
        yield* changesNothing(first, "already")
        yield* settled(again(second))
        yield* changesNothing(first, "stale")
      }))

    scenario(driver, "ignores claim numbers that were never given out", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        for (const claim of [claimed.claim + 1, claimed.claim + 1000, -1, 2 ** 40]) {
          yield* changesNothing({ id: claimed.id, claim })
        }
        assert.strictEqual(yield* settle(complete(claimed)), "applied")
      }))

    scenario(driver, "answers stale to claim number zero, which nobody was given", () =>
      Effect.gen(function*() {
        const [waiting] = yield* add({ delayMs: minute })
        yield* changesNothing({ id: waiting!, claim: 0 })
        const claimed = yield* running()
        yield* changesNothing({ id: claimed.id, claim: 0 })
      }))

    scenario(driver, "answers stale for tasks that are not stored, or not any more", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* changesNothing({ id: "unknown", claim: 1 })
        const claimed = yield* running()
        yield* settled(complete(claimed))
        yield* store.remove([claimed.id])
        yield* changesNothing(claimed)
      }))

    scenario(driver, "does not take a new task for the removed one whose id it bears", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running()
        yield* settled(complete(claimed))
        yield* store.remove([claimed.id])
        yield* add({ id: claimed.id })
        yield* changesNothing(claimed)
      }))

    scenario(driver, "never mistakes an attempt at a removed task for one at the task that bears its id now", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const lost = yield* running({}, { leaseForMs: second })
        yield* driver.advance("10 seconds")
        yield* rescue()
        yield* cancel(lost.id)
        yield* store.remove([lost.id])
        yield* running({ id: lost.id }, { instance: "heir" })
        yield* changesNothing(lost)
      }))

    scenario(driver, "tells each settlement of a call its own answer, in order", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({}, {}, {})
        const [a, b, c] = yield* take()
        yield* settled(complete(a!))
        const answers = yield* store.settle([
          complete(a!),
          complete(b!),
          complete({ id: c!.id, claim: b!.claim }),
          fail(b!),
          complete({ id: "unknown", claim: c!.claim }),
          again(c!)
        ])
        assert.deepStrictEqual(answers, ["already", "applied", "stale", "already", "stale", "applied"])
        assert.deepStrictEqual(yield* store.settle([]), [])
      }))

    scenario(driver, "never gives a claim number twice, whatever becomes of the task", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const seen: Array<number> = []
        const next = Effect.map(takeOne({ leaseForMs: second }), (claimed) => {
          if (seen.length > 0) {
            assert.isAbove(claimed.claim, seen.at(-1)!)
          }
          seen.push(claimed.claim)
          return claimed
        })
        const id = yield* addOne()
        yield* settled(again(yield* next))
        yield* settled(snooze(yield* next))
        yield* settled(release(yield* next))
        yield* next
        yield* driver.advance("10 seconds")
        yield* rescue()
        yield* settled(fail(yield* next))
        yield* rerun(id)
        yield* settled(complete(yield* next))
        yield* store.remove([id])
        yield* addOne({ id })
        yield* settled(complete(yield* next))
        assert.strictEqual((yield* record(id)).claims, 1)
        yield* driver.advance("1 hour")
        assert.strictEqual(yield* store.prune(retention({ maxFinished: 0 }), 10), 1)
        yield* addOne()
        yield* next
        assert.strictEqual(seen.length, 8)
      }))

    scenario(driver, "looks at several attempts of one task in the order of the call", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const first = yield* running()
        yield* settled(again(first))
        const second = yield* takeOne()
        assert.deepStrictEqual(
          yield* store.settle([again(first), complete(second), again(first), fail(second)]),
          ["already", "applied", "stale", "already"]
        )
        assert.deepInclude(yield* record(first.id), { state: "completed", failures: 1 })
      }))
  })
