import { assert, describe, it } from "@effect/vitest"
import { CsvParser, maxRowLength } from "../../../src/handlers/data/CsvParser.ts"

/** What comes out, whatever pieces the text comes in: that must not matter. */
const parse = (text: string, delimiter = ",") => {
  const inPieces = (size: number) => {
    const rows: Array<readonly [line: number, ...cells: ReadonlyArray<string>]> = []
    const bad: Array<readonly [line: number, reason: string]> = []
    const parser = new CsvParser(delimiter, {
      row: (cells, line) => rows.push([line, ...cells]),
      bad: (line, reason) => bad.push([line, reason])
    })
    for (let at = 0; at < text.length; at += size) parser.push(text.slice(at, at + size))
    parser.end()
    return { rows, bad }
  }
  const whole = inPieces(text.length + 1)
  if (text.length < 1000) {
    for (let size = 1; size < text.length; size++) assert.deepStrictEqual(inPieces(size), whole, `pieces of ${size}`)
  }
  return whole
}

describe("CSV", () => {
  it("has a row per line, empty lines aside", () => {
    assert.deepStrictEqual(parse("a,b\n1,2\n\n3,\n").rows, [[1, "a", "b"], [2, "1", "2"], [4, "3", ""]])
    assert.deepStrictEqual(parse("a,b\r\n1,2\r\n\r\n3,4").rows, [[1, "a", "b"], [2, "1", "2"], [4, "3", "4"]])
    assert.deepStrictEqual(parse("a;b\n1;2", ";").rows, [[1, "a", "b"], [2, "1", "2"]])
    assert.deepStrictEqual(parse(""), { rows: [], bad: [] })
  })

  it("has quotes around what contains delimiters, quotes and line ends", () => {
    const { bad, rows } = parse("\"a,1\",\"say \"\"hi\"\"\"\n\"two\nlines\",\"\"\r\nlast,\"x\"\r\n\"\"\"\",y")
    assert.deepStrictEqual(bad, [])
    assert.deepStrictEqual(rows, [
      [1, "a,1", "say \"hi\""],
      [2, "two\nlines", ""],
      [4, "last", "x"],
      [5, "\"", "y"]
    ])
  })

  it("keeps a row with bad quotes aside, and none of the others", () => {
    const { bad, rows } = parse("a,b\n\"x\"y,2\n3,4\nin\"side,5\n6,7\n\"open,8\n9,10\n")
    assert.deepStrictEqual(rows, [[1, "a", "b"], [3, "3", "4"], [5, "6", "7"], [7, "9", "10"]])
    assert.deepStrictEqual(bad, [
      [2, "text behind a closing quote"],
      [4, "a quote inside an unquoted cell"],
      [6, "a quote that is never closed"]
    ])
  })

  it("keeps a row without end aside, quoted or not", () => {
    for (const giant of ["x".repeat(3 * maxRowLength), `"${"x".repeat(3 * maxRowLength)}`]) {
      const parser: Array<number> = []
      const bad: Array<number> = []
      let most = 0
      const reader = new CsvParser(",", { row: (_, line) => parser.push(line), bad: (line) => bad.push(line) })
      const text = `a,b\n1,2\n${giant},2\n3,4\n`
      for (let at = 0; at < text.length; at += 65_536) {
        reader.push(text.slice(at, at + 65_536))
        most = Math.max(most, (reader as unknown as { readonly rest: string }).rest.length)
      }
      reader.end()
      assert.deepStrictEqual(parser, [1, 2, 4])
      assert.deepStrictEqual(bad, [3])
      assert.isBelow(most, maxRowLength + 131_072)
    }
  })
})
