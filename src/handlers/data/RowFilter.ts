/** Which rows to take: conditions that all have to hold. */
import { Schema } from "effect"
import { columnIndex } from "./Columns.ts"

/** A condition on a cell. Both sides are compared as numbers where both are, else as text. */
export const Condition = Schema.Struct({
  column: Schema.String,
  op: Schema.Literals([
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "contains",
    "starts_with",
    "ends_with",
    "in",
    "empty",
    "filled"
  ]),
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
  const tests = conditions.map((condition) => {
    const index = columnIndex(columns, condition.column)
    const test = testOf(condition)
    return (cells: ReadonlyArray<string>) => test(cells[index]!)
  })
  return (cells) => tests.every((test) => test(cells))
}

const testOf = ({ op, value, values = [] }: Condition): (cell: string) => boolean => {
  const text = String(value)
  const texts = new Set(values.map(String))
  switch (op) {
    case "eq":
      return (cell) => compare(cell, text) === 0
    case "ne":
      return (cell) => compare(cell, text) !== 0
    case "lt":
      return (cell) => compare(cell, text) < 0
    case "le":
      return (cell) => compare(cell, text) <= 0
    case "gt":
      return (cell) => compare(cell, text) > 0
    case "ge":
      return (cell) => compare(cell, text) >= 0
    case "contains":
      return (cell) => cell.includes(text)
    case "starts_with":
      return (cell) => cell.startsWith(text)
    case "ends_with":
      return (cell) => cell.endsWith(text)
    case "in":
      return (cell) => texts.has(cell)
    case "empty":
      return (cell) => cell === ""
    case "filled":
      return (cell) => cell !== ""
  }
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
