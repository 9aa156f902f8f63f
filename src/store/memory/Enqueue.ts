/**
 * Storing new tasks: groups, each entirely or not at all, with exact capacity, ids and keys.
 */
import type { NewTask } from "../../domain/TaskRecord.ts"
import { admit } from "../Admission.ts"
import { type EnqueueAnswer, keyedForMs } from "../TaskStore.ts"
import type { Tasks } from "./Task.ts"

/** Decides about a whole group before anything is stored. So many tasks are about to finish. */
export const enqueue = (
  tasks: Tasks,
  { capacity, maxBytes }: { readonly capacity: number; readonly maxBytes: number },
  group: ReadonlyArray<NewTask>,
  now: number,
  ending: number = 0
): EnqueueAnswer => {
  const admission = admit(group, tasks)
  if (admission._tag === "Conflict") return admission
  const { fresh } = admission
  const unfinished = tasks.unfinishedCount - ending
  if (fresh.length > 0 && unfinished + fresh.length > capacity) return { _tag: "Full", capacity, unfinished }
  let bytes = 0
  for (const { payload } of fresh) bytes += payload.length
  if (tasks.bytes + bytes > maxBytes && fresh.length > 0) {
    const storedBytes = tasks.bytes - tasks.finishedBytes
    // nothing is forgotten for a group that does not fit even so
    if (storedBytes + bytes > maxBytes) {
      return { _tag: "Full", capacity, unfinished, size: { maxBytes, storedBytes, offeredBytes: bytes } }
    }
    makeRoom(tasks, maxBytes - bytes, now)
  }
  for (const task of fresh) tasks.create(task, now)
  return { _tag: "Accepted", tasks: admission.tasks, now }
}

/** Forgets finished tasks, the oldest first and those with young keys last, until the others have so many bytes. */
const makeRoom = (tasks: Tasks, maxBytes: number, now: number): void => {
  while (tasks.bytes > maxBytes) {
    const entry = tasks.finished.oldest(now, keyedForMs) ?? tasks.finished.oldest(now, 0)
    if (entry === undefined) return
    tasks.remove(entry)
  }
}
