/** A CSV file with a head, read chunk by chunk. Synchronous: it is for threads. */
import { Schema } from "effect"
import { Unprocessable } from "./Columns.ts"
import { CsvParser } from "./CsvParser.ts"
import { chunksOf } from "./FileChunks.ts"

/** How a file is to be read. */
export const CsvOptions = Schema.Struct({
  delimiter: Schema.optionalKey(
    Schema.String.check(Schema.isPattern(/^[^"\r\n]$/, { expected: "one character that is no quote and no line end" }))
  ),
  encoding: Schema.optionalKey(Schema.Literals(["utf-8", "latin1", "utf-16le"]))
})

export type CsvOptions = typeof CsvOptions.Type

/** Takes what was read. */
export interface RowListener {
  /** The head, before any row. */
  readonly columns: (columns: ReadonlyArray<string>) => void
  /** A row with a cell for each column. Answers what is wrong with it, if anything is. */
  readonly row: (cells: ReadonlyArray<string>) => string | undefined
  /** A row that is kept aside. */
  readonly bad: (line: number, reason: string) => void
}

/** Reads a file to its end, and yields after each chunk how much of it that was, from 0 to 1. */
export function* readCsv(path: string, options: CsvOptions, listener: RowListener): IterableIterator<number> {
  const decoder = new TextDecoder(options.encoding ?? "utf-8")
  const parser = new CsvParser(options.delimiter ?? ",", checked(listener))
  for (const { chunk, part } of chunksOf(path)) {
    parser.push(decoder.decode(chunk, { stream: true }))
    yield part
  }
  parser.push(decoder.decode())
  parser.end()
}

/** Bytes that are no text in the encoding become this character. */
const replacement = "\uFFFD"

const checked = (listener: RowListener) => {
  let columns: ReadonlyArray<string> | undefined
  return {
    bad: listener.bad,
    row: (cells: Array<string>, line: number) => {
      if (columns === undefined) {
        columns = headOf(cells)
        return listener.columns(columns)
      }
      const wrong = cells.length !== columns.length
        ? `${cells.length} cells instead of ${columns.length}`
        : cells.some((cell) => cell.includes(replacement))
        ? "bytes that are no text in this encoding"
        : listener.row(cells)
      if (wrong !== undefined) listener.bad(line, wrong)
    }
  }
}

const headOf = (cells: ReadonlyArray<string>): ReadonlyArray<string> => {
  const names = cells.map((cell) => Buffer.from(cell.trim()).toString())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    throw new Unprocessable({ reason: `The head names the column ${JSON.stringify(twice)} twice` })
  }
  return names
}
