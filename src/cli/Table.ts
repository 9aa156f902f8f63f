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
): ReadonlyArray<string> => {
  const widths = columns.map(({ head }, index) =>
    Math.max(CliOutput.displayWidth(head), ...rows.map((row) => CliOutput.displayWidth(row[index] ?? "")))
  )
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
  return [head(lineOf(columns.map(({ head }) => head))), ...rows.map(lineOf)]
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
