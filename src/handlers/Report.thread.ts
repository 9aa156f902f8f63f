/** The work of `report`: groups and their figures, the largest first. */
import { Effect } from "effect"
import type { SQLOutputValue } from "node:sqlite"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import { cellOf } from "./data/Aggregation.ts"
import { Unprocessable } from "./data/Columns.ts"
import { runQuery } from "./data/DataQuery.ts"
import { compareNumbers } from "./data/RowFilter.ts"
import * as SqliteFile from "./data/SqliteFile.ts"
import { ReportWork } from "./Report.ts"
import { numberOf } from "./ReportPage.ts"

/** Groups in a report at most. */
const maxGroups = 1000

type Payload = (typeof ReportWork)["payload"]["Type"]
type Found = (typeof ReportWork)["success"]["Type"]

export const handler = ThreadHandler.make(ReportWork, (payload) =>
  Effect.try({
    try: () => sorted("csv" in payload.source ? fromCsv(payload, payload.source) : fromSqlite(payload, payload.source)),
    catch: (thrown) =>
      thrown instanceof Unprocessable
        ? thrown
        : new Unprocessable({ reason: thrown instanceof Error ? thrown.message : String(thrown) })
  }))

type Group = Found["groups"][number]

/** Stops at the first group too many: there may be as many as rows. */
const add = (groups: Array<Group>, group: Group): void => {
  if (groups.push(group) > maxGroups) {
    throw new Unprocessable({ reason: `There are more than ${maxGroups} groups, too many for a page` })
  }
}

const sorted = (found: Found): Found => ({
  ...found,
  groups: found.groups.toSorted((one, other) => compareNumbers(numberOf(other.value), numberOf(one.value)))
})

const fromCsv = (
  { column, group_by, op }: Payload,
  { csv, filter, options, scratch }: Extract<Payload["source"], { readonly csv: string }>
): Found => {
  const groups: Array<Group> = []
  const figure = column === null ? { op } : { op, column }
  const query = runQuery(
    { path: csv, options, scratch },
    { filter, aggregate: { by: [group_by], figures: { value: figure, rows: { op: "count" } } }, rename: {} },
    {
      columns: () => {},
      row: ([name, value, rows]) => add(groups, { name: String(name), value: value ?? null, rows: Number(rows) }),
      bad: () => {}
    }
  )
  for (;;) {
    const { done, value } = query.next()
    if (done === true) return { groups, rows: value.rowsIn, bad_rows: value.badRows }
  }
}

const fromSqlite = (
  { column, group_by, op }: Payload,
  { database: path, table }: Extract<Payload["source"], { readonly database: string }>
): Found => {
  const database = SqliteFile.open(path)
  try {
    const figure = column === null ? "COUNT(*)" : `${op === "mean" ? "AVG" : op.toUpperCase()}(${quoted(column)})`
    const name = quoted(group_by)
    const found = database.prepare(
      `SELECT ${name} AS name, ${figure} AS value, COUNT(*) AS rows FROM ${quoted(table)} GROUP BY ${name}`
    )
    found.setReadBigInts(true)
    const groups: Array<Group> = []
    for (const { name, rows, value } of found.iterate()) {
      add(groups, { name: String(name ?? ""), value: figureOf(value), rows: Number(rows) })
    }
    return { groups, rows: groups.reduce((sum, { rows }) => sum + rows, 0), bad_rows: 0 }
  } finally {
    database.close()
  }
}

/** What SQLite computed. The least of several texts is a text, for which a page has no bar. */
const figureOf = (value: SQLOutputValue | undefined): string | number | null => {
  if (value === null || value === undefined) return null
  if (typeof value === "bigint") return cellOf(value)
  if (typeof value === "number" && Number.isFinite(value)) return value
  throw new Unprocessable({ reason: `A figure is not a number: ${JSON.stringify(String(value).slice(0, 40))}` })
}

/** A name that is a name whatever it contains. */
const quoted = (name: string): string => {
  if (name.includes("\0")) throw new Unprocessable({ reason: "A name cannot contain NUL" })
  return `"${name.replaceAll("\"", "\"\"")}"`
}
