import { assert, describe, it } from "@effect/vitest"
import * as TaskState from "../../src/domain/TaskState.ts"

/** The diagram of the design, move by move. */
const chart: ReadonlyArray<readonly [TaskState.TaskState, TaskState.TaskState]> = [
  ["scheduled", "pending"],
  ["scheduled", "cancelled"],
  ["pending", "running"],
  ["pending", "cancelled"],
  ["running", "completed"],
  ["running", "failed"],
  ["running", "cancelled"],
  ["running", "pending"],
  ["running", "scheduled"],
  ["scheduled", "expired"],
  ["pending", "expired"],
  ["running", "expired"],
  ["expired", "pending"],
  ["failed", "pending"],
  ["cancelled", "pending"],
  ["scheduled", "failed"],
  ["failed", "scheduled"],
  ["cancelled", "scheduled"],
  ["expired", "scheduled"],
  ["completed", "pending"],
  ["completed", "scheduled"],
  ["pending", "scheduled"]
]

describe("TaskState", () => {
  it("has the moves of the chart and no others", () => {
    const moves = TaskState.all.flatMap((from) =>
      TaskState.all.filter((to) => TaskState.canMove(from, to)).map((to) => `${from} to ${to}`)
    )
    assert.sameMembers(moves, chart.map(([from, to]) => `${from} to ${to}`))
  })

  it("counts exactly the states without a way on by themselves as finished", () => {
    assert.deepStrictEqual([...TaskState.finished], ["completed", "failed", "cancelled", "expired"])
    for (const state of TaskState.all) {
      assert.strictEqual(
        TaskState.isFinished(state),
        (TaskState.finished as ReadonlyArray<TaskState.TaskState>).includes(state)
      )
    }
  })

  it("can reach every state from a new task, and an end from every state", () => {
    const reachable = (from: TaskState.TaskState): ReadonlySet<TaskState.TaskState> => {
      const seen = new Set([from])
      for (const state of seen) for (const to of TaskState.all) if (TaskState.canMove(state, to)) seen.add(to)
      return seen
    }
    assert.strictEqual(reachable("scheduled").size, TaskState.all.length)
    for (const state of TaskState.all) assert.isTrue([...reachable(state)].some(TaskState.isFinished))
  })
})
