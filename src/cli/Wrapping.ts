/** Help in lines that fit a terminal. It imports nothing, because help is shown before anything else is loaded: see `HelpPages`. */

/** Text in lines of at most `width` cells, as far as its words allow; they go on below where their text began. */
export const wrapped = (text: string, width: number, widthOf: (text: string) => number): string =>
  text.split("\n").flatMap((line) => widthOf(line) <= width ? [line] : wrapLine(line, width, widthOf)).join("\n")

const wrapLine = (line: string, width: number, widthOf: (text: string) => number): ReadonlyArray<string> => {
  const [, head = "", rest = line] = /^(\s*\S.*?\s{2,})(\S.*)$/.exec(line) ?? /^(\s*)(.*)$/.exec(line) ?? []
  const indent = " ".repeat(Math.min(widthOf(head), Math.floor(width / 2)))
  const lines: Array<string> = []
  let current = head
  let isEmpty = true
  for (const word of rest.split(" ")) {
    const longer = isEmpty ? current + word : `${current} ${word}`
    if (!isEmpty && widthOf(longer) > width) {
      lines.push(current)
      current = indent + word
    } else current = longer
    isEmpty = false
  }
  return [...lines, current]
}
