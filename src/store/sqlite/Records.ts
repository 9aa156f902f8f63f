/** Records in the file. */
import { Effect } from "effect"
import type { DatabaseSync } from "node:sqlite"
import type { NewTask } from "../../domain/TaskRecord.ts"
import * as Atomically from "../Atomically.ts"
import type { Besides, Decided } from "../Draft.ts"
import * as Gates from "../Gates.ts"
import * as RecordDriver from "../RecordDriver.ts"
import type { Due, RecordStore, StoredRecord } from "../RecordStore.ts"
import { prepare } from "./Database.ts"
import type { Tasks } from "./Task.ts"
import type { Transaction, Writer } from "./Writer.ts"

const columns = "id, version, document, due_at, written_at"

/** What is done to tasks in the same transaction. */
interface TaskSteps {
  readonly tasks: Tasks
  readonly decideGroup: (transaction: Transaction, group: ReadonlyArray<NewTask>, besides: Besides) => Decided
  /** Tells what has ended. */
  readonly tell: (transaction: Transaction) => void
}

/** Prepares the operations. */
export const make = (
  database: DatabaseSync,
  { read, write }: Writer,
  { decideGroup, tasks, tell }: TaskSteps
): RecordStore["Service"] => {
  const byId = prepare<RecordDriver.Row>(database, `SELECT ${columns} FROM record WHERE kind = ? AND id = ?`)
  const versionOf = prepare<[version: number]>(database, "SELECT version FROM record WHERE kind = ? AND id = ?")
  const store = prepare(
    database,
    `INSERT INTO record (kind, id, version, document, due_at, wake_at, written_at) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, document = excluded.document,
        due_at = excluded.due_at, wake_at = excluded.wake_at, written_at = excluded.written_at`
  )
  const remove = prepare(database, "DELETE FROM record WHERE kind = ? AND id = ?")
  const lastVersion = prepare<[value: number]>(database, "SELECT value FROM setting WHERE name = 'record_version'")
  const saveVersion = prepare(database, "INSERT OR REPLACE INTO setting (name, value) VALUES ('record_version', ?)")
  const listBehind = (comparison: string) =>
    prepare<RecordDriver.Row>(
      database,
      `SELECT ${columns} FROM record WHERE kind = ? AND id ${comparison} ? AND id < ? ORDER BY id LIMIT ?`
    )
  const listFrom = listBehind(">=")
  const listAfter = listBehind(">")
  const due = prepare<RecordDriver.Row>(
    database,
    `SELECT ${columns} FROM record WHERE kind = ? AND wake_at <= ? ORDER BY wake_at, id LIMIT ?`
  )
  const nextWake = prepare<[wakeAt: number | null]>(
    database,
    "SELECT min(wake_at) FROM record WHERE kind = ? AND wake_at > ?"
  )
  const lease = prepare(database, "UPDATE record SET version = ?, wake_at = ? WHERE kind = ? AND id = ?")

  const takeVersion = (time: number): number => {
    const version = RecordDriver.nextVersion(lastVersion.get()?.[0] ?? 0, time)
    saveVersion.run(version)
    return version
  }

  const find = (kind: string, id: string): StoredRecord | undefined => {
    const row = byId.get(kind, id)
    return row === undefined ? undefined : RecordDriver.recordOf(row)
  }

  /** Writes records whatever their versions are, and answers the new one. */
  const put = ({ lanes, now: time }: Transaction, changes: ReadonlyArray<RecordDriver.PackedChange>): number => {
    const version = takeVersion(time)
    for (const change of changes) {
      const { document, id, kind } = change
      const dueAt = RecordDriver.dueAtOf(change, time)
      if (document === null) remove.run(kind, id)
      else store.run(kind, id, version, document, dueAt, dueAt, time)
      if (Gates.kinds.has(kind)) lanes.ruleChanged(kind, id, document)
    }
    return version
  }

  const look = (kind: string, limit: number, time: number): Due => ({
    records: due.all(kind, time, limit).map(RecordDriver.recordOf),
    now: time,
    nextDueAt: nextWake.get(kind, time)![0]
  })

  const take = (kind: string, limit: number, leaseForMs: number, time: number): Due => {
    const found = due.all(kind, time, limit)
    if (found.length === 0) return look(kind, limit, time)
    const version = takeVersion(time)
    for (const [id] of found) lease.run(version, time + leaseForMs, kind, id)
    const records = found.map((row) => ({ ...RecordDriver.recordOf(row), version }))
    return { records, now: time, nextDueAt: nextWake.get(kind, time)![0] }
  }

  return RecordDriver.make({
    get: (kind, ids) => read("read records", () => ids.flatMap((id) => find(kind, id) ?? [])),
    put: (changes) =>
      write(
        "put records",
        (transaction): RecordDriver.PutAnswer =>
          RecordDriver.conflictOf(changes, (kind, id) => versionOf.get(kind, id)?.[0]) ??
            { version: put(transaction, changes) },
        changes.every(({ document }) => document === null) ? "frees" : "neither"
      ),
    list: (kind, { from, inclusive, until }, limit) =>
      read(
        "list records",
        () => (inclusive ? listFrom : listAfter).all(kind, from, until, limit).map(RecordDriver.recordOf)
      ),
    due: (kind, limit, leaseForMs) =>
      leaseForMs === undefined
        ? read("find due records", (now) => look(kind, limit, now))
        : write("take records", (transaction) => take(kind, limit, leaseForMs, transaction.now)),
    atomically: Atomically.make((parts) =>
      Effect.flatMap(
        write("write together", (transaction) => {
          const outcome = Atomically.inOneStep(parts, transaction.now, {
            recordOf: find,
            find: tasks.find,
            enqueue: (group, besides) => decideGroup(transaction, group, besides),
            put: (changes) => put(transaction, changes),
            apply: (task, decision) => tasks.apply(transaction, task, decision)
          })
          tell(transaction)
          return outcome
        }, parts.tasks.length === 0 ? "neither" : "takes"),
        (outcome) => Atomically.answer(parts, outcome)
      )
    )
  })
}
