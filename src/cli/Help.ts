/** Help that fits the terminal: lines are broken between words, and go on below where their text began. */
import { CliOutput } from "effect/cli"

/** The same text in lines of at most `width` cells, as far as its words allow. */
export const wrap = (text: string, width: number): string =>
  text.split("\n").flatMap((line) => CliOutput.displayWidth(line) <= width ? [line] : wrapLine(line, width)).join("\n")

const wrapLine = (line: string, width: number): ReadonlyArray<string> => {
  const [, head = "", rest = line] = /^(\s*\S.*?\s{2,})(\S.*)$/.exec(line) ?? /^(\s*)(.*)$/.exec(line) ?? []
  const indent = " ".repeat(Math.min(CliOutput.displayWidth(head), Math.floor(width / 2)))
  const lines: Array<string> = []
  let current = head
  let isEmpty = true
  for (const word of rest.split(" ")) {
    const longer = isEmpty ? current + word : `${current} ${word}`
    if (!isEmpty && CliOutput.displayWidth(longer) > width) {
      lines.push(current)
      current = indent + word
    } else current = longer
    isEmpty = false
  }
  return [...lines, current]
}
