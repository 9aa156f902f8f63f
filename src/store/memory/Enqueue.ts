/**
 * Storing new tasks: groups, each entirely or not at all, with exact capacity, ids and keys.
 */
import { isDependent } from "../../domain/Dependencies.ts"
import type { NewTask } from "../../domain/TaskRecord.ts"
import { admit } from "../Admission.ts"
import { alone, type Besides, type Decided, refused } from "../Draft.ts"
import { type EnqueueAnswer, keyedForMs } from "../TaskStore.ts"
import type { Entry } from "./Lists.ts"
import type { Tasks } from "./Task.ts"

/** Decides about a whole group before anything is stored. */
export const decide = (
  tasks: Tasks,
  { capacity, maxBytes }: { readonly capacity: number; readonly maxBytes: number },
  group: ReadonlyArray<NewTask>,
  now: number,
  { ending, revisedOf }: Besides
): Decided => {
  const known = revisedOf === undefined ? tasks : {
    hasId: (id: string) => tasks.hasId(id),
    ownerOf: (type: string, key: string) => tasks.ownerOf(type, key),
    find: (id: string) => tasks.find(id),
    revisedOf
  }
  const admission = admit(group, known, now)
  if (admission._tag !== "Admitted") return refused(admission)
  const { fresh, losers, revised } = admission
  const unfinished = tasks.unfinishedCount - ending
  if (fresh.length > 0 && unfinished + fresh.length > capacity) return refused({ _tag: "Full", capacity, unfinished })
  let bytes = 0
  for (const { payload } of fresh) bytes += payload.length
  for (const { change } of revised) bytes += change.revised?.payload?.length ?? 0
  if (tasks.bytes + bytes > maxBytes && bytes > 0) {
    const storedBytes = tasks.bytes - tasks.finishedBytes
    // nothing is forgotten for a group that does not fit even so
    if (storedBytes + bytes > maxBytes) {
      return refused({ _tag: "Full", capacity, unfinished, size: { maxBytes, storedBytes, offeredBytes: bytes } })
    }
    makeRoom(tasks, maxBytes - bytes, now, new Set(fresh.flatMap(({ after = [] }) => after)))
  }
  return {
    answer: { _tag: "Accepted", tasks: admission.tasks, now },
    write: () => {
      for (const { id } of losers) tasks.loseKey(id)
      for (const { change, task } of revised) tasks.revise(task.id, change)
      for (const task of fresh) tasks.create(task, now)
      if (fresh.some(isDependent)) tasks.connect(fresh, now)
    }
  }
}

/** Stores a group, or says why not. */
export const enqueue = (
  tasks: Tasks,
  limits: Parameters<typeof decide>[1],
  group: ReadonlyArray<NewTask>,
  now: number
): EnqueueAnswer => {
  const { answer, write } = decide(tasks, limits, group, now, alone)
  write()
  return answer
}

/**
 * Forgets finished tasks, the oldest first and those with young keys last, until the others have so many bytes. Those with the
 * ids stay.
 */
const makeRoom = (tasks: Tasks, maxBytes: number, now: number, ids: ReadonlySet<string>): void => {
  const isKept = ({ id }: Entry): boolean => ids.has(id)
  while (tasks.bytes > maxBytes) {
    const entry = tasks.finished.oldest(now, keyedForMs, isKept) ?? tasks.finished.oldest(now, 0, isKept)
    if (entry === undefined) return
    tasks.remove(entry)
  }
}
