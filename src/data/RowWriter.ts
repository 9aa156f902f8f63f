/** Rows as text: CSV, a JSON array with an object per line, or one JSON object per line. */
import type { Cell } from "./Aggregation.ts"

/** How rows are written. */
export type Format = "csv" | "json" | "jsonl"

/** Gives text for the head, for each row, and for the end. */
export interface RowWriter {
  readonly head: string
  readonly row: (cells: ReadonlyArray<Cell>, index: number) => string
  readonly end: (rows: number) => string
}

/** A writer of rows with these columns. */
export const make = (format: Format, columns: ReadonlyArray<string>): RowWriter => {
  const json = (cells: ReadonlyArray<Cell>) => JSON.stringify(objectOf(columns, cells))
  switch (format) {
    case "csv":
      return { head: csvLine(columns), row: csvLine, end: () => "" }
    case "json":
      return {
        head: "[",
        row: (cells, index) => `${index === 0 ? "\n" : ",\n"}${json(cells)}`,
        end: (rows) => rows === 0 ? "]\n" : "\n]\n"
      }
    case "jsonl":
      return { head: "", row: (cells) => `${json(cells)}\n`, end: () => "" }
  }
}

/** A row as an object. */
export const objectOf = (columns: ReadonlyArray<string>, cells: ReadonlyArray<Cell>): Record<string, Cell> =>
  Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? null]))

const csvLine = (cells: ReadonlyArray<Cell>): string => `${cells.map(csvCell).join(",")}\n`

const csvCell = (cell: Cell): string => {
  const text = cell === null ? "" : String(cell)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
}
