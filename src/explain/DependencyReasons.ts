/** Which of the tasks that one depends on have not ended, and what a batch waits for. */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as BatchRecords from "../flow/BatchRecords.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** Why a task waits that depends on others. */
export interface DependencyReason {
  readonly code: "dependency_open"
  readonly text: string
  /** How many of the tasks that it depends on have not ended. */
  readonly open: number
  /** The ids of the first of them, ten at most. */
  readonly tasks: ReadonlyArray<string>
}

/** Tasks that are named. */
const maxNamed = 10

/** Tasks that are looked through for them: the first of very many may all have ended. */
const maxLooked = 10_000

/** Why it waits, where it does for others: a read of its dependencies and one of each thousand of their ends. */
export const dependencyReason = Effect.fnUntraced(function*(
  store: Pick<TaskStore["Service"], "edges" | "results">,
  { id, waitsFor }: TaskRecord
): Effect.fn.Return<DependencyReason | undefined, StoreError> {
  if (waitsFor === 0) return undefined
  const after = (yield* store.edges(id))?.after.slice(0, maxLooked) ?? []
  const tasks: Array<string> = []
  for (let start = 0; start < after.length && tasks.length < Math.min(waitsFor, maxNamed); start += Bounds.maxIds) {
    const ids = after.slice(start, start + Bounds.maxIds).map(({ id }) => id)
    const outcomes = yield* store.results(ids)
    tasks.push(...ids.filter((_, index) => outcomes[index] === undefined).slice(0, maxNamed - tasks.length))
  }
  const others = waitsFor - tasks.length
  const names = [...tasks.slice(0, 3), ...(tasks.length > 3 ? ["…"] : [])].join(", ")
  const text = tasks.length === 0
    ? `It depends on ${counted(waitsFor)} that may just have ended.`
    : `It waits until ${tasks.length === 1 && others === 0 ? "the task" : counted(waitsFor)} that it depends on ${
      waitsFor === 1 ? "has" : "have"
    } ended: ${names}.`
  return { code: "dependency_open", text, open: waitsFor, tasks }
})

const counted = (count: number): string => count === 1 ? "1 task" : `${count} tasks`

/** Why the end of a batch waits: it is open, or members have not ended. `undefined` for all other tasks. */
export const batchReason = Effect.fnUntraced(function*(
  { id, type }: Pick<TaskRecord, "id" | "type">
): Effect.fn.Return<DependencyReason | undefined, StoreError, RecordStore> {
  if (type !== BatchRecords.type || id !== BatchRecords.batchOf(id)) return undefined
  const known = yield* BatchRecords.read(id)
  if (known === undefined) return undefined
  const { ends, isSealed, members, openParts } = known.batch
  const ended = `${BatchRecords.countOf(ends)} of its ${members} members have been counted as ended`
  const text = isSealed
    ? `It is a batch and waits until its members have ended: ${ended}.`
    : `It is a batch that takes more members and waits until it is sealed: ${ended}.`
  return { code: "dependency_open", text, open: openParts, tasks: [] }
})
