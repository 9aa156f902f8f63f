/**
 * Storing new tasks: groups, each entirely or not at all, with exact capacity, ids and keys.
 */
import type { DatabaseSync } from "node:sqlite"
import { isDependent } from "../../domain/Dependencies.ts"
import * as Rank from "../../domain/Rank.ts"
import { typeOf } from "../../domain/StoredType.ts"
import { dueAtOf, expiresAtOf, type NewTask, onFailureOf, startByOf } from "../../domain/TaskRecord.ts"
import { holdOf } from "../../domain/Uniqueness.ts"
import { admit, writtenBytes } from "../Admission.ts"
import { alone, type Besides, type Decided, type Known, refused } from "../Draft.ts"
import { stateCode } from "../TaskRow.ts"
import type { EnqueueAnswer } from "../TaskStore.ts"
import { prepare, type Value } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"
import { typeName } from "./Migrations.ts"
import type { Tasks } from "./Task.ts"
import type { Transaction } from "./Writer.ts"

/** Rows per statement where a group is large: 8 store 350 k tasks/s, 1 stores 235 k, 64 no more than 8, one `json_each` 115 k. */
const rowsAtOnce = 8

const columns =
  "seq, id, type, queue, payload, priority, key, max_retries, timeout_ms, state, created_at, due_at, rank, gate, costs, " +
  "key_hold, expires_at, start_within, start_by, together"
const columnCount = columns.split(", ").length

/** Prepares the operation. */
export const make = (
  database: DatabaseSync,
  tasks: Tasks,
  dependencies: Dependencies,
  capacity: number,
  maxBytes: number | undefined,
  headStartMs: number
) => {
  // a known id is no error: the task is there already
  const insert = (rows: number, more: ReadonlyArray<string> = []) => {
    const row = `(${Array(columnCount + more.length).fill("?").join(", ")})`
    return prepare(
      database,
      `INSERT INTO task (${[columns, ...more].join(", ")}) VALUES ${
        Array(rows).fill(row).join(", ")
      } ON CONFLICT (id) DO NOTHING`
    )
  }
  const plain = { one: insert(1), many: insert(rowsAtOnce) }
  // statements of their own, so that others cost what they did
  const marked = { one: insert(1, ["trace", "tags"]), many: insert(rowsAtOnce, ["trace", "tags"]) }
  // those that depend on others come one by one: each has edges to write, which cost more
  const insertDependent = insert(1, ["trace", "tags", "on_failure", "dependencies", "waits_for"])
  const byId = prepare<[seq: number]>(database, "SELECT seq FROM task WHERE id = ?")
  const byKey = prepare<[id: string, payload: string, hold: string | null]>(
    database,
    `SELECT id, payload, key_hold FROM task WHERE ${typeName} = ? AND key = ? AND key_lost = 0`
  )

  // a transaction sees what it has written and removed itself
  const used = prepare<[bytes: number]>(
    database,
    `SELECT (page_count - freelist_count) * page_size
      FROM pragma_page_count, pragma_freelist_count, pragma_page_size`
  )

  /** What keeps tasks from being written because of their bytes. */
  const beyondSize = (writes: Parameters<typeof writtenBytes>[0]) => {
    if (maxBytes === undefined || writes.fresh.length + writes.revised.length === 0) return undefined
    const size = { maxBytes, storedBytes: used.get()![0], offeredBytes: writtenBytes(writes) }
    return size.storedBytes + size.offeredBytes > maxBytes ? size : undefined
  }

  /** Inserts tasks; answers for each whether it was new. */
  const store = ({ lanes, now, tally }: Transaction, tasks: ReadonlyArray<NewTask>): ReadonlyArray<boolean> => {
    const isNew: Array<boolean> = []
    let scheduled = 0
    let pending = 0
    const hasDependents = tasks.some(isDependent)
    const isMarked = hasDependents || tasks.some(({ tags, trace }) => trace !== undefined || tags !== undefined)
    for (let start = 0; start < tasks.length;) {
      const rows = !hasDependents && tasks.length - start >= rowsAtOnce ? rowsAtOnce : 1
      const values: Array<Value> = []
      const seqs: Array<number> = []
      const joins: Array<boolean> = []
      for (let i = start; i < start + rows; i++) {
        const seq = tally.nextSeq()
        seqs.push(seq)
        const { gate, queue, type } = tasks[i]!
        const isJoint = gate !== null && lanes.joins(queue, type, gate) && isPending(tasks[i]!, now)
        joins.push(isJoint)
        pushRow(values, tasks[i]!, seq, now, headStartMs, isJoint)
        if (isMarked) values.push(tasks[i]!.trace ?? null, tasks[i]!.tags ?? null)
      }
      const isWaiting = hasDependents && isDependent(tasks[start]!)
      if (isWaiting) values.push(onFailureOf(tasks[start]!), tasks[start]!.after!.length, tasks[start]!.after!.length)
      const inserts = isMarked ? marked : plain
      const { changes } = (isWaiting ? insertDependent : rows === 1 ? inserts.one : inserts.many).run(...values)
      for (let i = 0; i < rows; i++) {
        const task = tasks[start + i]!
        // only where some were known, each is asked which sequence number its id has
        const stored = changes === rows || byId.get(task.id)?.[0] === seqs[i]
        isNew.push(stored)
        if (!stored) continue
        const dueAt = dueAtOf(task, now)
        const waits = !isPending(task, now)
        if (waits || task.expiresInMs !== null) lanes.upcoming.forget()
        if (waits) scheduled++
        else {
          pending++
          lanes.note(task.queue, task.type, task.gate, rankOf(task, dueAt, now, headStartMs), seqs[i]!, joins[i]!)
        }
      }
      start += rows
    }
    if (scheduled > 0) tally.create("scheduled", scheduled)
    if (pending > 0) tally.create("pending", pending)
    return isNew
  }

  const known: Known = {
    hasId: (id) => byId.get(id) !== undefined,
    ownerOf: (type, key) => {
      const row = byKey.get(typeOf(type), key)
      return row === undefined ? undefined : { id: row[0], payload: row[1], hold: row[2] }
    },
    find: tasks.find
  }

  /** Decides about a group before any of it is stored. */
  const decideGroup = (transaction: Transaction, group: ReadonlyArray<NewTask>, besides: Besides): Decided => {
    const unfinished = transaction.tally.unfinished - besides.ending
    const { revisedOf } = besides
    const admission = admit(group, revisedOf === undefined ? known : { ...known, revisedOf }, transaction.now)
    if (admission._tag !== "Admitted") return refused(admission)
    const { fresh, losers, revised } = admission
    if (fresh.length > 0 && unfinished + fresh.length > capacity) return refused({ _tag: "Full", capacity, unfinished })
    const size = beyondSize(admission)
    if (size !== undefined) return refused({ _tag: "Full", capacity, unfinished, size })
    return {
      answer: { _tag: "Accepted", tasks: admission.tasks, now: transaction.now },
      write: () => {
        for (const task of losers) tasks.loseKey(task)
        for (const { change, task } of revised) tasks.change(transaction, task.id, undefined, () => [undefined, change])
        store(transaction, fresh)
        if (fresh.some(isDependent)) dependencies.connect(transaction, tasks, fresh)
      }
    }
  }

  const enqueueGroup = (transaction: Transaction, group: ReadonlyArray<NewTask>): EnqueueAnswer => {
    const { answer, write } = decideGroup(transaction, group, alone)
    write()
    return answer
  }

  const enqueue = (
    transaction: Transaction,
    groups: ReadonlyArray<ReadonlyArray<NewTask>>
  ): ReadonlyArray<EnqueueAnswer> => {
    const all = groups.length === 1 ? groups[0]! : groups.flat()
    // with keys or dependencies, or without room if all were new, each group is looked at by itself
    if (
      transaction.tally.unfinished + all.length > capacity ||
      all.some((task) => task.key !== null || isDependent(task)) ||
      beyondSize({ fresh: all, revised: [] }) !== undefined
    ) {
      return groups.map((group) => enqueueGroup(transaction, group))
    }
    // otherwise all are inserted together, which finds the known ids by itself
    const isNew = store(transaction, all)
    let next = 0
    return groups.map((group) => ({
      _tag: "Accepted",
      tasks: group.map(({ id }) => ({ id, duplicate: !isNew[next++]! })),
      now: transaction.now
    }))
  }

  return { enqueue, decideGroup }
}

const pushRow = (
  values: Array<Value>,
  task: NewTask,
  seq: number,
  now: number,
  headStartMs: number,
  isJoint: boolean
): void => {
  const dueAt = dueAtOf(task, now)
  values.push(
    seq,
    task.id,
    task.type,
    task.queue,
    task.payload,
    task.priority,
    task.key,
    task.maxRetries,
    task.timeoutMs,
    isPending(task, now) ? stateCode.pending : stateCode.scheduled,
    now,
    dueAt,
    rankOf(task, dueAt, now, headStartMs),
    task.gate ?? "",
    task.costs,
    holdOf(task.unique),
    expiresAtOf(task, now),
    task.startWithinMs,
    startByOf(task, now),
    isJoint ? 1 : 0
  )
}

/** Whether a new task may start now. */
const isPending = (task: NewTask, now: number): boolean => dueAtOf(task, now) <= now && !isDependent(task)

const rankOf = (task: NewTask, dueAt: number, now: number, headStartMs: number): number =>
  task.gate === null && task.startWithinMs === null
    ? Rank.rank(dueAt, task.priority, headStartMs)
    : Rank.rankOf({ ...task, createdAt: now }, dueAt, headStartMs)
