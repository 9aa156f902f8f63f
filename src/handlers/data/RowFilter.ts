/** Which rows to take: conditions that all have to hold. */
import { Schema } from "effect"
import { columnIndex } from "./Columns.ts"

type Test = (cell: string, text: string, texts: ReadonlySet<string>) => boolean

/** What a condition may ask of a cell: with the text of its value, or the texts of its values. */
const tests = {
  eq: (cell, text) => compare(cell, text) === 0,
  ne: (cell, text) => compare(cell, text) !== 0,
  lt: (cell, text) => compare(cell, text) < 0,
  le: (cell, text) => compare(cell, text) <= 0,
  gt: (cell, text) => compare(cell, text) > 0,
  ge: (cell, text) => compare(cell, text) >= 0,
  contains: (cell, text) => cell.includes(text),
  starts_with: (cell, text) => cell.startsWith(text),
  ends_with: (cell, text) => cell.endsWith(text),
  in: (cell, _, texts) => texts.has(cell),
  empty: (cell) => cell === "",
  filled: (cell) => cell !== ""
} satisfies Record<string, Test>

/** A condition on a cell. Both sides are compared as numbers where both are, else as text. */
export const Condition = Schema.Struct({
  column: Schema.String,
  op: Schema.Literals(Object.keys(tests) as Array<keyof typeof tests>),
  value: Schema.optionalKey(Schema.Union([Schema.String, Schema.Finite])),
  /** For `in`. */
  values: Schema.optionalKey(Schema.Array(Schema.Union([Schema.String, Schema.Finite])).check(Schema.isMaxLength(1000)))
}).check(
  Schema.makeFilter(({ op, value, values }) =>
    op === "in"
      ? values === undefined ? "Expected values with op in" : undefined
      : op === "empty" || op === "filled" || value !== undefined
      ? undefined
      : `Expected a value with op ${op}`
  )
)

export type Condition = typeof Condition.Type

/** A test of rows with these columns. */
export const compile = (
  conditions: ReadonlyArray<Condition>,
  columns: ReadonlyArray<string>
): (cells: ReadonlyArray<string>) => boolean => {
  const taken = conditions.map(({ column, op, value, values = [] }) => {
    const index = columnIndex(columns, column)
    const test: Test = tests[op]
    const text = String(value)
    const texts = new Set(values.map(String))
    return (cells: ReadonlyArray<string>) => test(cells[index]!, text, texts)
  })
  return (cells) => taken.every((takes) => takes(cells))
}

/** Negative, zero or positive: as numbers where both are, else by code units. */
const compare = (left: string, right: string): number => {
  const [a, b] = [numberOf(left), numberOf(right)]
  return a !== undefined && b !== undefined ? compareNumbers(a, b) : left < right ? -1 : left > right ? 1 : 0
}

/** Negative, zero or positive. JavaScript compares a `bigint` with a `number` exactly. */
export const compareNumbers = (left: number | bigint, right: number | bigint): number =>
  left < right ? -1 : left > right ? 1 : 0

/** The number that a cell holds: a `bigint` where it is an integer beyond 2^53, which a `number` would round. */
export const numberOf = (cell: string): number | bigint | undefined => {
  if (cell === "" || cell.trim() === "") return undefined
  const number = Number(cell)
  if (!Number.isFinite(number)) return undefined
  return Math.abs(number) > Number.MAX_SAFE_INTEGER ? exactly(cell) ?? number : number
}

/** The integer that is written in digits; one with an exponent is a double as it is. */
const exactly = (cell: string): bigint | undefined => {
  const [, sign, digits] = /^\s*([+-]?)(\d+|0[xob][\da-f]+)(?:\.0*)?\s*$/i.exec(cell) ?? []
  return digits === undefined ? undefined : sign === "-" ? -BigInt(digits) : BigInt(digits)
}
