/** What to do with rows, in this order: filter, then aggregate or select, rename, sort, limit. */
import { Schema } from "effect"
import { Aggregate, Aggregation, type Cell, ColumnFigures } from "./Aggregation.ts"
import { columnIndex, Unprocessable } from "./Columns.ts"
import { type CsvOptions, readCsv } from "./CsvFile.ts"
import * as RowFilter from "./RowFilter.ts"
import { Condition } from "./RowFilter.ts"
import { RowSorter, SortKey } from "./RowSorter.ts"

/** The fields of a query in a payload; each may be left out. */
export const DataQuery = {
  /** Conditions that all have to hold. */
  filter: Schema.optionalKey(Schema.Array(Condition).check(Schema.isMaxLength(100))),
  /** Columns to keep, in this order. Not with `aggregate`, which names its columns itself. */
  select: Schema.optionalKey(Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(10_000))),
  aggregate: Schema.optionalKey(Aggregate),
  /** `aggregate` without an `aggregate` gives figures over each column. */
  operation: Schema.optionalKey(Schema.Literal("aggregate")),
  /** New names by old names. */
  rename: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  /** By the new names. */
  sort: Schema.optionalKey(Schema.Array(SortKey).check(Schema.isMaxLength(16))),
  limit: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
}

/** A query. */
export interface DataQuery extends Schema.Schema.Type<Schema.Struct<typeof DataQuery>> {}

/** Where the rows of a result go. */
export interface Destination {
  readonly columns: (columns: ReadonlyArray<string>) => void
  readonly row: (cells: ReadonlyArray<Cell>) => void
  readonly bad: (line: number, reason: string) => void
}

/** How many rows there were. */
export interface Tally {
  readonly rowsIn: number
  readonly badRows: number
  readonly rowsOut: number
}

/**
 * Runs a query over a CSV file and yields now and then how far it is. What has to wait for the last row, groups and
 * rows to be sorted, is bounded: groups by their number, rows by files in `scratch`.
 *
 * Throws `Unprocessable` when the query does not go with the columns. Synchronous: it is for threads.
 */
export function* runQuery(
  source: { readonly path: string; readonly options: CsvOptions; readonly scratch: string },
  query: DataQuery,
  destination: Destination
): Generator<number, Tally> {
  const tally = { rowsIn: 0, badRows: 0, rowsOut: 0 }
  const put = (cells: ReadonlyArray<Cell>) => {
    if (tally.rowsOut >= (query.limit ?? Infinity)) return
    tally.rowsOut++
    destination.row(cells)
  }
  let plan: Plan | undefined
  yield* readCsv(source.path, source.options, {
    columns: (columns) => {
      plan = planOf(query, columns, source.scratch, put)
      destination.columns(plan.columns)
    },
    row: (cells) => {
      const wrong = plan!.add(cells)
      if (wrong === undefined) tally.rowsIn++
      return wrong
    },
    bad: (line, reason) => {
      tally.rowsIn++
      tally.badRows++
      destination.bad(line, reason)
    }
  })
  if (plan === undefined) throw new Unprocessable({ reason: "There is not even a head with the names of columns" })
  plan.finish()
  return tally
}

interface Plan {
  readonly columns: ReadonlyArray<string>
  readonly add: (cells: ReadonlyArray<string>) => string | undefined
  readonly finish: () => void
}

const planOf = (
  { aggregate, filter = [], operation, rename = {}, select, sort = [] }: DataQuery,
  columns: ReadonlyArray<string>,
  scratch: string,
  put: (cells: ReadonlyArray<Cell>) => void
): Plan => {
  const isWanted = RowFilter.compile(filter, columns)
  const aggregation = aggregate !== undefined
    ? new Aggregation(aggregate, columns)
    : operation === undefined
    ? undefined
    : new ColumnFigures(columns)
  const selected = select?.map((column) => columnIndex(columns, column))
  const names = renamed(aggregation?.columns ?? select ?? columns, rename)
  const sorter = sort.length === 0 ? undefined : new RowSorter(sort, names, scratch)
  const pass = sorter === undefined ? put : (cells: ReadonlyArray<Cell>) => sorter.add(cells)
  return {
    columns: names,
    add: (cells) => {
      if (!isWanted(cells)) return undefined
      if (aggregation !== undefined) return aggregation.add(cells)
      pass(selected === undefined ? cells : selected.map((index) => cells[index]!))
      return undefined
    },
    finish: () => {
      if (aggregation !== undefined) { for (const cells of aggregation.rows()) pass(cells) }
      if (sorter !== undefined) { for (const cells of sorter.sorted()) put(cells) }
    }
  }
}

const renamed = (
  columns: ReadonlyArray<string>,
  rename: Readonly<Record<string, string>>
): ReadonlyArray<string> => {
  for (const column of Object.keys(rename)) columnIndex(columns, column)
  // A column may be named like what every object inherits
  const names = columns.map((column) => Object.hasOwn(rename, column) ? rename[column]! : column)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Unprocessable({ reason: `The result names ${JSON.stringify(twice)} twice` })
  return names
}
