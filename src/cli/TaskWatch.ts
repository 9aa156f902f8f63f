/** Following tasks: a line for everything that happens to them, until all have finished. */
import { Clock, Effect } from "effect"
import { isFinished } from "../domain/TaskState.ts"
import type { TaskJson } from "../http/api/TaskJson.ts"
import * as Awaiting from "./Awaiting.ts"
import { make as makePaint, mark, plain } from "./Paint.ts"
import * as Screen from "./Screen.ts"
import * as Table from "./Table.ts"
import * as Target from "./Target.ts"
import * as TaskText from "./TaskText.ts"
import * as Words from "./Words.ts"

/** Between two looks. */
const interval = "250 millis"

/** Follows tasks; fails unless all of them completed. */
export const follow = Effect.fnUntraced(function*(ids: ReadonlyArray<string>, json: boolean) {
  const { api, patient, problem } = yield* Target.Target
  const startedAt = yield* Clock.currentTimeMillis
  const seen = new Map<string, string>()
  const done: Array<TaskJson> = []
  let left = [...new Set(ids)]
  while (left.length > 0) {
    const still: Array<string> = []
    for (const id of left) {
      const task: TaskJson = yield* Effect.mapError(patient(api.tasks.get({ params: { id } })), problem)
      const what = JSON.stringify([task.status, task.failures, task.progress, task.attempts, task.cancel_requested])
      if (seen.get(id) !== what) yield* json ? Screen.json(task) : line(task, startedAt, ids.length > 1)
      seen.set(id, what)
      if (isFinished(task.status)) done.push(task)
      else still.push(id)
    }
    left = still
    if (left.length > 0) yield* Effect.sleep(interval)
  }
  yield* Awaiting.allCompleted(done)
})

const line = Effect.fnUntraced(function*(task: TaskJson, startedAt: number, several: boolean) {
  const screen = yield* Screen.Screen
  const paint = makePaint(screen)
  const now = yield* Clock.currentTimeMillis
  const parts = [
    paint.dim(`+${Words.precise(now - startedAt)}`.padStart(8)),
    ...(several ? [paint.dim(plain(task.id))] : []),
    paint.state(task.status, `${mark[task.status]} ${task.status.padEnd(9)}`),
    plain(task.type),
    ...(task.status === "scheduled" ? [paint.dim(Words.relative(Date.parse(task.due_at), now))] : []),
    TaskText.detail(task, paint)
  ]
  yield* Screen.line(Table.fit(parts.filter((part) => part !== "").join("  "), yield* screen.columns))
})
