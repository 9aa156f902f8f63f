/** What backups need of a file. */
import { Effect } from "effect"
import type { DatabaseSync } from "node:sqlite"
import type { StoreError } from "../../domain/Errors.ts"
import { type Archive, decideAdopt } from "../Archive.ts"
import { prepare } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"
import type { Tasks } from "./Task.ts"
import type { Writer } from "./Writer.ts"

/** Prepares the operations. */
export const make = (
  database: DatabaseSync,
  { read, write }: Writer,
  tasks: Tasks,
  dependencies: Dependencies,
  readOnly: boolean
): Archive => {
  // each is looked up behind the one before, so it costs as much as there are kinds
  const nextKind = prepare<[kind: string | null]>(database, "SELECT min(kind) FROM record WHERE kind > ?")
  const facts = prepare(
    database,
    "UPDATE task SET created_at = ?, started_at = ?, claims = ?, claim = ?, worker = ?, progress = ? WHERE id = ?"
  )
  const hold = prepare(
    database,
    "INSERT OR REPLACE INTO holder (pass, seq) SELECT ?, seq FROM task WHERE id = ?"
  )
  const date = prepare(database, "UPDATE record SET written_at = ? WHERE kind = ? AND id = ?")
  const look = prepare(database, "SELECT 1 FROM tally")
  return {
    kinds: read("list kinds of records", () => {
      const kinds: Array<string> = []
      for (let kind = nextKind.get("")![0]; kind !== null; kind = nextKind.get(kind)![0]) kinds.push(kind)
      return kinds
    }),
    // a connection that only reads has its own; one that writes too would have its writes in it
    ...readOnly
      ? {
        snapshot: <A, E, R>(reads: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
          Effect.acquireUseRelease(
            read("read a snapshot", () => {
              database.exec("BEGIN")
              look.get()
            }),
            () => reads,
            () => Effect.ignore(read("read a snapshot", () => database.exec("ROLLBACK")))
          )
      }
      : {},
    adopt: (formers) =>
      write("adopt", (transaction) => {
        for (const former of formers) {
          const { claim, claims, createdAt, holds, id, instance, progress, startedAt } = former
          facts.run(createdAt, startedAt, claims, claim, instance, progress, id)
          tasks.change(transaction, id, undefined, (task, now) => decideAdopt(task, former, now))
          for (const pass of holds) hold.run(pass, id)
          // the next one finds what its end has told
          dependencies.tell(transaction, tasks)
        }
      }, "takes"),
    claimBeyond: (claim) => write("adopt", ({ tally }) => tally.claimBeyond(claim)),
    date: (kind, records) =>
      write("date records", () => {
        for (const { id, writtenAt } of records) date.run(writtenAt, kind, id)
      })
  }
}
