/** Rows in columns that fit the terminal. */
import { CliOutput } from "effect/cli"

/** A column: its head, and how much it gives when there is not enough room. */
export interface Column {
  readonly head: string
  /** Cells may be cut to this width; without it they never are. */
  readonly shrinksTo?: number
  readonly align?: "left" | "right"
}

const gap = "  "

/** Lines of at most `width` cells: the heads, then the rows. Columns shrink from the last one on. */
export const format = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  width: number,
  head: (text: string) => string
): ReadonlyArray<string> => inPages(columns, head)(rows, width)

/** A table that comes in pages: its heads come once, and no column is narrower on a later page. */
export const inPages = (
  columns: ReadonlyArray<Column>,
  head: (text: string) => string
): (rows: ReadonlyArray<ReadonlyArray<string>>, width: number) => ReadonlyArray<string> => {
  const needed = columns.map(({ head }) => CliOutput.displayWidth(head))
  let heads: ReadonlyArray<ReadonlyArray<string>> = [columns.map(({ head }) => head)]
  return (rows, width) => {
    for (const [index, one] of needed.entries()) {
      needed[index] = rows.reduce((most, row) => Math.max(most, CliOutput.displayWidth(row[index] ?? "")), one)
    }
    const widths = [...needed]
    let excess = widths.reduce((sum, one) => sum + one, gap.length * (columns.length - 1)) - width
    for (let index = columns.length - 1; index >= 0 && excess > 0; index--) {
      const least = columns[index]!.shrinksTo
      if (least === undefined) continue
      const given = Math.min(excess, Math.max(0, widths[index]! - least))
      widths[index]! -= given
      excess -= given
    }
    const lineOf = (cells: ReadonlyArray<string>) =>
      cells.map((cell, index) => {
        const cut = fit(cell, widths[index]!)
        const space = " ".repeat(Math.max(0, widths[index]! - CliOutput.displayWidth(cut)))
        return columns[index]!.align === "right" ? space + cut : index === cells.length - 1 ? cut : cut + space
      }).join(gap).trimEnd()
    const lines = [...heads.map(lineOf).map(head), ...rows.map(lineOf)]
    heads = []
    return lines
  }
}

const reset = "\u001b[0m"
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** The text cut to a width, ending with an ellipsis if something is missing; escape sequences take no room. */
export const fit = (text: string, width: number): string => {
  if (CliOutput.displayWidth(text) <= width) return text
  let out = ""
  let used = 0
  for (const part of text.split(/(\p{Control}\[[0-9;]*m)/u)) {
    if (part.startsWith("\u001b[")) {
      out += part
      continue
    }
    for (const { segment } of segmenter.segment(part)) {
      const cells = CliOutput.displayWidth(segment)
      if (used + cells > width - 1) return `${out}…${text.includes("\u001b[") ? reset : ""}`
      out += segment
      used += cells
    }
  }
  return out
}
