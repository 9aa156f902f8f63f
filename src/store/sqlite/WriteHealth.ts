/**
 * Whether the file takes writes: it is where it was, its tables are there, and there is room on its disk.
 */
import { Effect } from "effect"
import type { DatabaseSync } from "node:sqlite"
import type { Refusals, WriteHealth } from "../WriteHealth.ts"
import * as Failure from "./Failure.ts"
import type { FileIdentity } from "./FileIdentity.ts"
import type { Reserve } from "./Reserve.ts"
import { prepare } from "./Statement.ts"
import type { Writer } from "./Writer.ts"

/** Watches an open database. */
export const make = (
  database: DatabaseSync,
  path: string,
  writer: Writer,
  refusals: Refusals,
  reserve: Reserve,
  findMissing: FileIdentity
): WriteHealth => {
  const names = prepare<[name: string]>(
    database,
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
  )
  const tables = names.all().map(([name]) => name)
  // Prepared when needed: where a table is gone, that is what fails
  const touch = () => {
    database.exec(`SELECT 1 FROM ${tables.join(", ")} WHERE false`)
    database.exec("UPDATE setting SET value = value")
  }

  const look = Effect.sync(() => {
    const missing = findMissing()
    writer.refuse(missing)
    if (missing === undefined) return undefined
    const error = Failure.moved("write", missing)
    if (refusals.current === undefined) refusals.note(error)
    return error
  })

  const probe = Effect.gen(function*() {
    const moved = yield* look
    if (moved !== undefined) return yield* moved
    if (refusals.current === undefined) {
      if (reserve.isSpent()) writer.makeRoom()
      else reserve.restore()
      return
    }
    if (!(writer.makeRoom() && reserve.hasSpare())) return yield* Failure.full("write", path)
    yield* writer.write("write", touch)
    refusals.end()
  })

  return {
    refusal: Effect.map(look, () => refusals.current),
    probe
  }
}
