/**
 * CSV as RFC 4180 has it, from chunks of text to rows, in constant memory. A row that cannot be read is kept aside with
 * its line, and reading goes on with the next line, so that one bad quote never costs the rest of a file.
 */

/** Takes what was read. */
export interface CsvListener {
  /** A row, and the line that it begins on, from 1. */
  readonly row: (cells: Array<string>, line: number) => void
  readonly bad: (line: number, reason: string) => void
}

/** Characters of one row at most. */
export const maxRowLength = 1024 * 1024

/** Reads one file: `push` each chunk, then `end`. */
export class CsvParser {
  private readonly delimiter: string
  private readonly listener: CsvListener
  private rest = ""
  private line = 1
  /** The rest of a row that was too long is being passed over. */
  private skipping = false

  constructor(delimiter: string, listener: CsvListener) {
    this.delimiter = delimiter
    this.listener = listener
  }

  push(text: string): void {
    this.read(this.rest + text, false)
  }

  end(): void {
    if (this.rest !== "") this.read(this.rest, true)
  }

  private read(text: string, isEnd: boolean): void {
    let position = 0
    let quote = text.indexOf("\"")
    for (;;) {
      const lineEnd = text.indexOf("\n", position)
      if (lineEnd < 0 && !isEnd) {
        if (this.skipping) position = text.length
        break
      }
      const end = lineEnd < 0 ? text.length : lineEnd
      if (position >= text.length) break
      if (quote >= 0 && quote < position) quote = text.indexOf("\"", position)
      if (this.skipping) {
        this.skipping = false
        this.line++
        position = end + 1
      } else if (quote < 0 || quote > end) {
        this.emitPlain(text, position, end)
        position = end + 1
      } else {
        const next = this.readQuoted(text, position, end, isEnd)
        if (next === undefined) break
        position = next
      }
    }
    this.rest = text.slice(position)
    if (this.rest.length > maxRowLength && !isEnd) this.giveUpRow()
  }

  /** A line without quotes. */
  private emitPlain(text: string, start: number, end: number): void {
    const line = this.line++
    const last = text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end
    if (last <= start) return
    if (last - start > maxRowLength) return this.listener.bad(line, tooLong)
    this.listener.row(text.slice(start, last).split(this.delimiter), line)
  }

  /** A row with quotes, which may go on over lines. Gives where the next row begins, or nothing without its end. */
  private readQuoted(text: string, start: number, lineEnd: number, isEnd: boolean): number | undefined {
    const { delimiter } = this
    const cells: Array<string> = []
    let position = start
    for (;;) {
      if (text[position] !== "\"") {
        const end = endOfCell(text, position, delimiter)
        if (text.slice(position, end).includes("\"")) return this.reject(lineEnd, "a quote inside an unquoted cell")
        cells.push(text.slice(position, end))
        position = end
      } else {
        let cell = ""
        for (let from = position + 1;;) {
          const close = text.indexOf("\"", from)
          if (close < 0 || (close + 1 === text.length && !isEnd)) {
            if (isEnd) return this.reject(lineEnd, "a quote that is never closed")
            return text.length - start > maxRowLength ? this.reject(lineEnd, tooLong) : undefined
          }
          cell += text.slice(from, close)
          if (text[close + 1] === "\"") {
            cell += "\""
            from = close + 2
          } else {
            position = close + 1
            break
          }
        }
        cells.push(cell)
      }
      const after = text[position]
      if (after === delimiter) position++
      else if (after === undefined && !isEnd) return undefined
      else if (after === undefined || after === "\n" || text.startsWith("\r\n", position)) break
      else if (after === "\r" && position + 1 === text.length && !isEnd) return undefined
      else return this.reject(lineEnd, "text behind a closing quote")
    }
    if (position - start > maxRowLength) return this.reject(lineEnd, tooLong)
    const line = this.line
    const end = text[position] === "\r" ? position + 1 : position
    this.line += linesIn(text, start, end) + 1
    this.listener.row(cells, line)
    return end + 1
  }

  /** Keeps the row's first line aside; reading goes on behind it. */
  private reject(lineEnd: number, reason: string): number {
    this.listener.bad(this.line++, reason)
    return lineEnd + 1
  }

  private giveUpRow(): void {
    this.listener.bad(this.line, tooLong)
    this.rest = ""
    this.skipping = true
  }
}

const carriageReturn = 13
const tooLong = `a row of more than ${maxRowLength} characters`

/** Where an unquoted cell ends. */
const endOfCell = (text: string, start: number, delimiter: string): number => {
  for (let position = start; position < text.length; position++) {
    const character = text[position]
    if (character === delimiter || character === "\n") return position
    if (character === "\r" && (text[position + 1] === "\n" || position + 1 === text.length)) return position
  }
  return text.length
}

const linesIn = (text: string, start: number, end: number): number => {
  let lines = 0
  for (let at = text.indexOf("\n", start); at >= 0 && at < end; at = text.indexOf("\n", at + 1)) lines++
  return lines
}
