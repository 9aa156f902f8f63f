/**
 * Fails a test that awaits a result which cannot come, and says what the task waits for. The test engine runs nothing by
 * itself, so such a test would hang.
 */
import { Clock, DateTime, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { TaskQueue } from "../queue/TaskQueue.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import type { HandlerRegistry } from "../worker/HandlerRegistry.ts"

/** A result is awaited, and nothing lets the task run. Thrown as a defect: the test is at fault, not the code under test. */
export class ResultNeverComes extends Schema.TaggedError<ResultNeverComes>()("ResultNeverComes", {
  id: Schema.String,
  type: Schema.String,
  state: Schema.String,
  /** What the task waits for, and what the test can do. */
  reason: Schema.String
}) {
  override get message(): string {
    return `The result of task ${this.id} (${this.type}) cannot come: ${this.reason}`
  }
}

/** Whether the engine runs tasks now, and how often it has begun or ceased to. */
export interface Activity {
  readonly isOpen: boolean
  readonly turns: number
}

/**
 * How long the engine may be left alone while a result is awaited: another fiber of the test may be about to let it run. It
 * is real time, and less than tests are usually given.
 */
const patience = "2 seconds"

/** The queue as a test sees it. */
export const watch = (
  queue: TaskQueue["Service"],
  store: TaskStore["Service"],
  registry: HandlerRegistry["Service"],
  activity: Activity
): TaskQueue["Service"] => {
  const untilLeftAlone = Effect.gen(function*() {
    for (let seen = -1; activity.isOpen || activity.turns !== seen;) {
      seen = activity.turns
      yield* TestClock.withLive(Effect.sleep(patience))
    }
  })

  const reasonOf = Effect.fnUntraced(function*(id: string) {
    const task = yield* store.get(id)
    const now = yield* Clock.currentTimeMillis
    if (task === undefined) return { type: "", state: "removed", reason: "it was removed" }
    const { dueAt, state, type } = task
    const because = (reason: string) => ({ type, state, reason })
    if (registry.find(type) === undefined) return because("no handler of its type is in the test engine's layer")
    if ((yield* queue.paused).some(({ queue }) => queue === task.queue)) {
      return because(`its queue ${JSON.stringify(task.queue)} is paused`)
    }
    switch (state) {
      case "scheduled":
        return because(
          `it is scheduled for ${DateTime.formatIso(DateTime.makeUnsafe(dueAt))}, in ${
            dueAt - now
          } ms of the test's time; ` +
            "call advance on the test engine"
        )
      case "pending":
        return because("it is due, and the test engine runs nothing by itself; call drain or advance on it before")
      case "running":
        return because("it is running, and its handler waits for something else than the test's time; see what it does")
      default:
        return undefined
    }
  })

  /** Waits until it is certain that the result does not come. */
  const given = (id: string): Effect.Effect<never> =>
    Effect.gen(function*() {
      while (true) {
        yield* untilLeftAlone
        const why = yield* Effect.orDie(reasonOf(id))
        if (why !== undefined) return yield* Effect.die(new ResultNeverComes({ id, ...why }))
        // It has finished in the meantime
        yield* TestClock.withLive(Effect.sleep(patience))
      }
    })

  return { ...queue, outcome: (id) => Effect.raceFirst(queue.outcome(id), given(id)) }
}
