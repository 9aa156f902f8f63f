/**
 * `report` turns a CSV file or a table in SQLite into an HTML page that any browser can open: a figure per group, as a chart
 * and as a table, in one file without scripts. Without a source it reports on the folder for tasks: bytes by kind of
 * file.
 */
import { DateTime, Effect, Schema } from "effect"
import { writeFile } from "node:fs/promises"
import { extname } from "node:path"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { onThread } from "../threads/onThread.ts"
import { moduleBeside } from "../threads/ThreadModule.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { Unprocessable } from "./data/Columns.ts"
import { CsvOptions } from "./data/CsvFile.ts"
import { Condition } from "./data/RowFilter.ts"
import * as AtomicFile from "./files/AtomicFile.ts"
import * as FileTree from "./files/FileTree.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"
import * as Scratch from "./files/Scratch.ts"
import { page, type ReportData } from "./ReportPage.ts"

const Op = Schema.Literals(["count", "sum", "mean", "min", "max"])

/** The task type `report`. */
export const Report = Task.make("report", {
  description: "Turns a CSV file or a SQLite table into an HTML page with a chart and a table",
  payload: Schema.Struct({
    /** A CSV file. */
    csv: Schema.optionalKey(PathText),
    csv_options: withDefault(CsvOptions, {}),
    /** Or a SQLite file, and the table or view in it. */
    database: Schema.optionalKey(PathText),
    table: Schema.optionalKey(Schema.String),
    /** Rows to count in; only for CSV. */
    filter: withDefault(Schema.Array(Condition), []),
    group_by: Schema.optionalKey(Schema.String),
    /** What to compute per group; all but `count` need a column. */
    op: withDefault(Op, "count"),
    column: Schema.optionalKey(Schema.String),
    title: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))),
    output: withDefault(PathText, "reports/report.html")
  }).check(
    Schema.makeFilter((payload) => {
      const hasSource = payload.csv !== undefined || payload.database !== undefined
      return payload.csv !== undefined && payload.database !== undefined
        ? "Expected csv or database, not both"
        : payload.database !== undefined && payload.table === undefined
        ? "Expected a table of the database"
        : hasSource && payload.group_by === undefined
        ? "Expected a column as group_by"
        : hasSource && payload.op !== "count" && payload.column === undefined
        ? `Expected a column with op ${payload.op}`
        : undefined
    })
  ),
  success: Schema.Struct({
    output: Schema.String,
    groups: Schema.Int,
    rows: Schema.Int,
    bad_rows: Schema.Int
  }),
  error: Schema.Union([PathRefused, Unprocessable]),
  retry: { byTag: { PathRefused: false, Unprocessable: false } }
})

/** An integer beyond 2^53 is text. */
const Figure = Schema.NullOr(Schema.Union([Schema.Finite, Schema.String.check(Schema.isPattern(/^-?\d+$/))]))

/** What the process does: groups and their figures, from real paths. */
export const ReportWork = Task.make("report", {
  payload: {
    source: Schema.Union([
      Schema.Struct({
        csv: Schema.String,
        options: CsvOptions,
        filter: Schema.Array(Condition),
        scratch: Schema.String
      }),
      Schema.Struct({ database: Schema.String, table: Schema.String })
    ]),
    group_by: Schema.String,
    op: Op,
    column: Schema.NullOr(Schema.String)
  },
  success: Schema.Struct({
    groups: Schema.Array(Schema.Struct({ name: Schema.String, value: Figure, rows: Schema.Int })),
    rows: Schema.Int,
    bad_rows: Schema.Int
  }),
  error: Unprocessable
})

const work = onThread(ReportWork, moduleBeside(import.meta.url, "Report.thread"), { isolation: "process" })

/** Runs `report`. */
export const ReportLive = Report.toLayer(Effect.fnUntraced(function*(payload) {
  const folders = yield* Folders
  const context = yield* TaskContext
  const collected = yield* collect(payload)
  const target = yield* folders.target(payload.output)
  const html = page({ ...collected, title: payload.title ?? collected.title, at: yield* DateTime.nowAsDate })
  yield* AtomicFile.write(target, context, (part) => Effect.promise(() => writeFile(part, html)))
  const { badRows, groups, rows } = collected
  return { output: folders.display(target), groups: groups.length, rows, bad_rows: badRows }
}, Effect.scoped))

type Payload = (typeof Report)["payload"]["Type"]

type Collected = Omit<ReportData, "at">

const collect = Effect.fnUntraced(function*(payload: Payload) {
  const { column = null, csv, csv_options, database, filter, group_by, op, table } = payload
  if (group_by === undefined || (csv === undefined && database === undefined)) return yield* filesByKind
  const folders = yield* Folders
  const scratch = yield* Scratch.make(yield* TaskContext)
  const path = yield* folders.existing(csv ?? database!)
  const { bad_rows, groups, rows } = yield* work({
    source: csv === undefined
      ? { database: path, table: table! }
      : { csv: path, options: csv_options, filter, scratch },
    group_by,
    op,
    column
  })
  const unit = column === null ? "rows" : `${op} of ${column}`
  return {
    groups,
    rows,
    badRows: bad_rows,
    unit,
    title: `${unit[0]!.toUpperCase()}${unit.slice(1)} by ${group_by}`,
    source: csv === undefined ? `${database}, table ${table}` : csv
  } satisfies Collected
})

/** The report that needs no source. */
const filesByKind = Effect.gen(function*() {
  const home = yield* Folders.use((folders) => folders.existing("."))
  const kinds = new Map<string, { name: string; value: number; rows: number }>()
  for (const { path, size } of yield* FileTree.list(home)) {
    const name = extname(path).toLowerCase() || "no extension"
    const kind = kinds.get(name) ?? { name, value: 0, rows: 0 }
    kinds.set(name, { name, value: kind.value + size, rows: kind.rows + 1 })
  }
  const groups = [...kinds.values()].toSorted((one, other) => other.value - one.value)
  return {
    groups,
    rows: groups.reduce((sum, { rows }) => sum + rows, 0),
    badRows: 0,
    title: "Files by kind",
    unit: "bytes",
    source: "the folder for tasks"
  } satisfies Collected
})
