/**
 * Sorts more rows than fit into memory: sorted runs go to files, which are merged in the end. Everything is synchronous,
 * as it runs in a thread of its own. Rows that compare equal keep their order.
 */
import { Schema } from "effect"
import { rmSync } from "node:fs"
import { join } from "node:path"
import type { Cell } from "./Aggregation.ts"
import { columnIndex } from "./Columns.ts"
import { chunksOf, TextFile } from "./FileChunks.ts"
import { compareNumbers, numberOf } from "./RowFilter.ts"

/** A column to sort by: numbers first, by value, then everything else, by code units. */
export const SortKey = Schema.Struct({
  column: Schema.String,
  order: Schema.optionalKey(Schema.Literals(["asc", "desc"]))
})

export type SortKey = typeof SortKey.Type

/** Characters of rows kept in memory at most. */
const maxInMemory = 16 * 1024 * 1024

/** Files merged at a time. */
const maxRuns = 64

type Row = ReadonlyArray<Cell>

/** Takes rows and gives them back in order. */
export class RowSorter {
  private readonly order: (left: Row, right: Row) => number
  private readonly folder: string
  private rows: Array<Row> = []
  private size = 0
  private runs: Array<string> = []
  private files = 0

  constructor(keys: ReadonlyArray<SortKey>, columns: ReadonlyArray<string>, folder: string) {
    this.order = orderBy(keys.map(({ column, order }) => ({ index: columnIndex(columns, column), order })))
    this.folder = folder
  }

  add(row: Row): void {
    this.rows.push(row)
    for (const cell of row) this.size += 16 + (typeof cell === "string" ? cell.length : 0)
    if (this.size > maxInMemory) this.spill()
  }

  *sorted(): IterableIterator<Row> {
    this.rows.sort(this.order)
    if (this.runs.length === 0) return yield* this.rows
    this.spill()
    yield* this.merged()
  }

  private spill(): void {
    this.rows.sort(this.order)
    this.runs.push(this.write(this.rows))
    this.rows = []
    this.size = 0
    if (this.runs.length === maxRuns) {
      const one = this.write(this.merged())
      for (const run of this.runs) rmSync(run)
      this.runs = [one]
    }
  }

  private write(rows: Iterable<Row>): string {
    const path = join(this.folder, `run-${this.files++}`)
    const file = new TextFile(path, "wx")
    for (const row of rows) file.write(`${JSON.stringify(row)}\n`)
    file.close()
    return path
  }

  /** The smallest head of all runs again and again, the earlier run first where heads are equal. */
  private *merged(): IterableIterator<Row> {
    const heads = this.runs.map(readRows).flatMap((rows) => {
      const { done, value } = rows.next()
      return done === true ? [] : [{ rows, row: value }]
    })
    while (heads.length > 0) {
      let least = 0
      for (let index = 1; index < heads.length; index++) {
        if (this.order(heads[index]!.row, heads[least]!.row) < 0) least = index
      }
      const head = heads[least]!
      yield head.row
      const { done, value } = head.rows.next()
      if (done === true) heads.splice(least, 1)
      else head.row = value
    }
  }
}

const orderBy =
  (keys: ReadonlyArray<{ readonly index: number; readonly order: "asc" | "desc" | undefined }>) =>
  (left: Row, right: Row): number => {
    for (const { index, order } of keys) {
      const difference = compareCells(left[index]!, right[index]!)
      if (difference !== 0) return order === "desc" ? -difference : difference
    }
    return 0
  }

const compareCells = (left: Cell, right: Cell): number => {
  const [a, b] = [valueOf(left), valueOf(right)]
  if (typeof a !== "string") return typeof b === "string" ? -1 : compareNumbers(a, b)
  return typeof b !== "string" ? 1 : a < b ? -1 : a > b ? 1 : 0
}

const valueOf = (cell: Cell): number | bigint | string => typeof cell === "string" ? numberOf(cell) ?? cell : cell ?? ""

function* readRows(path: string): IterableIterator<Row> {
  const decoder = new TextDecoder()
  let rest = ""
  for (const { chunk } of chunksOf(path)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop()!
    for (const line of lines) yield JSON.parse(line) as Row
  }
}
