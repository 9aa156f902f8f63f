/**
 * Prepared statements with typed rows. Rows are arrays: objects cost a third more per row.
 */
import type { DatabaseSync } from "node:sqlite"

/** What the driver stores: SQLite's integers and reals are numbers here, below 2^53. */
export type Value = string | number | null

/** A prepared statement whose rows are tuples of columns. */
export interface Statement<Row extends ReadonlyArray<Value>> {
  /** The first row. */
  get(...values: ReadonlyArray<Value>): Row | undefined
  /** Every row. */
  all(...values: ReadonlyArray<Value>): Array<Row>
  /** Runs it for its effect. */
  run(...values: ReadonlyArray<Value>): { readonly changes: number | bigint }
}

/** Prepares a statement once; the row type is the caller's knowledge of its columns. */
export const prepare = <Row extends ReadonlyArray<Value> = readonly []>(
  database: DatabaseSync,
  sql: string
): Statement<Row> => {
  const statement = database.prepare(sql)
  statement.setReturnArrays(true)
  // node:sqlite types rows as records, which they are not once arrays are asked for
  return statement as unknown as Statement<Row>
}
