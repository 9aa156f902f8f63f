/**
 * Workflows: two activities with a sleep between them, each with a compensation, then a child and a deferred that somebody completes. What
 * an activity gives is a number that no other run of an activity gives.
 */
import { Effect, Layer, Option, Schema } from "effect"
import { Activity, DurableClock, DurableDeferred, Workflow, WorkflowEngine } from "effect/workflow"
import type { SeededRandom } from "../../src/testing/Simulation.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import type { Action, Step } from "./Scenario.ts"
import type { Witness } from "./Witness.ts"

/** Fails an execution, for good. */
class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

/** What a client asks for. */
const payload = {
  key: Schema.String,
  ms: Schema.Int,
  restMs: Schema.Int,
  /** The activity whose first run ends its process. */
  kills: Schema.NullOr(Schema.String),
  hasChild: Schema.Boolean,
  waits: Schema.Boolean,
  fails: Schema.Boolean
}

/** See above. */
export const Order = Workflow.make("Order", {
  payload,
  success: Schema.Struct({ a: Schema.Int, b: Schema.Int, c: Schema.NullOr(Schema.Int), by: Schema.NullOr(Schema.Int) }),
  error: Refused,
  idempotencyKey: ({ key }) => key
})

/** What an order waits for. */
const Part = Workflow.make("Part", {
  payload: { key: Schema.String, ms: Schema.Int, restMs: Schema.Int },
  success: Schema.Int,
  idempotencyKey: ({ key }) => key
})

/** What somebody completes. */
export const Approval = DurableDeferred.make("approval", { success: Schema.Int })

/** The id of the child of an execution. */
export const childOf = (id: string): string => `${id}.part`

/** What it asks for. */
export interface ExecuteStep {
  readonly do: "execute"
  readonly id: string
  readonly plan: Omit<typeof Order.payloadSchema.Type, "key">
}

/** Executes workflows, and does something about executions. */
export type ExecutionStep =
  | ExecuteStep
  | { readonly do: "approve"; readonly id: string; readonly by: number }
  | { readonly do: "interrupt"; readonly id: string }

/** The workflows, as one process runs them. */
export const layer = ({ attempts, die, now, process, witness }: {
  readonly witness: Witness
  readonly process: string
  readonly now: () => number
  readonly attempts: Map<string, number>
  readonly die: () => void
}): Layer.Layer<never, never, WorkflowEngine.WorkflowEngine> => {
  const act = (name: string, ms: number, kills = false) =>
    Activity.make({
      name,
      success: Schema.Int,
      execute: Effect.gen(function*() {
        const { claim, id } = Option.getOrThrow(yield* Effect.serviceOption(TaskContext))
        const value = (attempts.get("activities") ?? 0) + 1
        attempts.set("activities", value)
        const before = attempts.get(`${name} of ${id}`) ?? 0
        attempts.set(`${name} of ${id}`, before + 1)
        witness.saw({ _tag: "Acted", at: now(), process, id, claim, step: `${name}/1`, value })
        if (kills && before === 0) die()
        yield* Effect.sleep(ms)
        return value
      })
    })

  const order = Order.toLayer(Effect.fnUntraced(function*({ fails, hasChild, kills, ms, restMs, waits }, id) {
    const a = yield* Order.withCompensation(act("a", ms, kills === "a"), () => Effect.asVoid(act("undo a", ms)))
    if (restMs > 0) yield* DurableClock.sleep({ name: "rest", duration: restMs, inMemoryThreshold: 0 })
    const b = yield* Order.withCompensation(act("b", ms, kills === "b"), () => Effect.asVoid(act("undo b", ms)))
    const engine = yield* WorkflowEngine.WorkflowEngine
    const c = hasChild
      ? yield* engine.execute(Part, { executionId: childOf(id), payload: { key: id, ms, restMs } })
      : null
    const by = waits ? yield* DurableDeferred.await(Approval) : null
    if (fails) return yield* new Refused()
    return { a, b, c, by }
  }))

  const part = Part.toLayer(Effect.fnUntraced(function*({ ms, restMs }) {
    const value = yield* act("c", ms)
    if (restMs > 0) yield* DurableClock.sleep({ name: "rest", duration: restMs, inMemoryThreshold: 0 })
    return value
  }))

  return Layer.merge(order, part)
}

/** In some of the seeds: executions, and who approves and interrupts them, too early, twice and never. */
export const drawExecutions = (
  random: SeededRandom,
  [probability, counts]: readonly [probability: number, counts: ReadonlyArray<number>],
  healsAt: number
): ReadonlyArray<Step> => {
  if (!random.chance(probability)) return []
  let begun = 0
  const action = (): Action => {
    const what = begun === 0
      ? "execute"
      : random.pick(["execute", "execute", "approve", "approve", "interrupt"] as const)
    if (what === "execute") {
      return {
        do: "execute",
        id: `w${begun++}`,
        plan: {
          ms: random.pick([0, 5, 100, 600]),
          restMs: random.pick([0, 1, 300, 1500]),
          kills: random.pick([null, null, "a", "b"]),
          hasChild: random.chance(0.5),
          waits: random.chance(0.5),
          fails: random.chance(0.35)
        }
      }
    }
    const id = `w${random.int(begun)}`
    return what === "approve" ? { do: "approve", id, by: random.pick([1, 2]) } : { do: "interrupt", id }
  }
  return Array.from({ length: random.pick(counts) }, () => random.int(healsAt + 1000))
    .sort((a, b) => a - b)
    .map((at): Step => ({ at, instance: random.int(3), action: action() }))
}
