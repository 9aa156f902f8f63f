/** Rows as text: CSV, a JSON array with an object per line, or one JSON object per line. */
import type { Cell } from "./Aggregation.ts"
import { numberOf } from "./RowFilter.ts"

/** How rows are written. */
export type Format = "csv" | "json" | "jsonl"

/** What becomes of texts in CSV that a spreadsheet would take for a formula: they stay, or get a `'` in front. */
export type Formulas = "keep" | "escape"

/** Gives text for the head, for each row, and for the end. */
export interface RowWriter {
  readonly head: string
  readonly row: (cells: ReadonlyArray<Cell>, index: number) => string
  readonly end: (rows: number) => string
}

/** A writer of rows with these columns. */
export const make = (format: Format, columns: ReadonlyArray<string>, formulas: Formulas = "keep"): RowWriter => {
  const json = (cells: ReadonlyArray<Cell>) => JSON.stringify(objectOf(columns, cells))
  switch (format) {
    case "csv": {
      const row = formulas === "keep" ? csvLine : (cells: ReadonlyArray<Cell>) => csvLine(cells.map(withoutFormula))
      return { head: row(columns), row, end: () => "" }
    }
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

/**
 * Spreadsheets run what begins so, also by its wide forms; a number is no formula. In some countries they split cells at
 * semicolons, whatever is in quotes, so what follows a separator inside a cell begins a cell too.
 */
const withoutFormula = (cell: Cell): Cell =>
  typeof cell === "string" ? cell.split(/(?<=[;\t\r\n])/).map(asText).join("") : cell

const asText = (part: string): string =>
  /^[=+\-@\t\r\n＝＋－＠]/.test(part) && numberOf(part.replace(/;$/, "")) === undefined ? `'${part}` : part

const csvLine = (cells: ReadonlyArray<Cell>): string => `${cells.map(csvCell).join(",")}\n`

const csvCell = (cell: Cell): string => {
  const text = cell === null ? "" : String(cell)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
}
