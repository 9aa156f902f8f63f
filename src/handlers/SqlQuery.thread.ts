/** The work of `sql_query`. */
import { Effect } from "effect"
import { constants, DatabaseSync, type SQLOutputValue } from "node:sqlite"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import * as SqliteFile from "./data/SqliteFile.ts"
import { QueryRefused, SqlWork } from "./SqlQuery.ts"

/** Characters of a result at most: it is stored with its task. */
const maxCharacters = 1024 * 1024

/** All that a statement may do. What is missing here could open or write other files. */
const allowed = new Set([
  constants.SQLITE_SELECT,
  constants.SQLITE_READ,
  constants.SQLITE_FUNCTION,
  constants.SQLITE_RECURSIVE
])

export const handler = ThreadHandler.make(SqlWork, ({ database, max_rows, params, sql }) =>
  Effect.try({
    try: () => query(database, sql, params, max_rows),
    catch: (thrown) => new QueryRefused({ reason: thrown instanceof Error ? thrown.message : String(thrown) })
  }))

/** Only later versions of `node:sqlite` ask whether a statement may do what it does. */
const canBound = "setAuthorizer" in DatabaseSync.prototype

type Value = string | number | null

const query = (
  path: string,
  sql: string,
  params: ReadonlyArray<Value> | Readonly<Record<string, Value>>,
  maxRows: number
) => {
  if (!canBound) {
    throw new Error(
      "sql_query needs Node 24.10 or later, which can bound what a statement reads; " +
        `this is ${process.versions.node}`
    )
  }
  const database = SqliteFile.open(path)
  try {
    database.setAuthorizer((action) => allowed.has(action) ? constants.SQLITE_OK : constants.SQLITE_DENY)
    const statement = database.prepare(sql)
    // SQLite reads one statement and leaves the rest
    if (!isBlank(sql.slice(statement.sourceSQL.length))) throw new Error("Expected one statement, and there is another")
    statement.setReadBigInts(true)
    statement.setReturnArrays(true)
    const columns = statement.columns().map(({ name }) => name)
    if (columns.length === 0) throw new Error("The statement asks for nothing")
    const found = isList(params) ? statement.iterate(...params) : statement.iterate({ ...params })
    const rows: Array<ReadonlyArray<Value>> = []
    let characters = 0
    for (const row of found as unknown as Iterable<ReadonlyArray<SQLOutputValue>>) {
      const values = row.map(valueOf)
      characters += JSON.stringify(values).length
      if (rows.length === maxRows || characters > maxCharacters) return { columns, rows, truncated: true }
      rows.push(values)
    }
    return { columns, rows, truncated: false }
  } finally {
    database.close()
  }
}

/** Whether a text holds nothing but white space, semicolons and comments. */
const isBlank = (text: string): boolean =>
  text.replace(/--[^\n]*|\/\*[^]*?(?:\*\/|$)/g, "").replace(/[\s;]+/g, "") === ""

const isList = (params: object): params is ReadonlyArray<Value> => Array.isArray(params)

const valueOf = (value: SQLOutputValue): Value =>
  typeof value === "bigint"
    ? Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
    : value instanceof Uint8Array
    ? Buffer.from(value).toString("base64")
    : typeof value === "number" && !Number.isFinite(value)
    ? String(value)
    : value
