/** Groups of rows and figures over each: counts, sums, means, extremes. */
import { Schema } from "effect"
import { columnIndex, Unprocessable } from "./Columns.ts"
import { numberOf } from "./RowFilter.ts"

/** Groups kept at most, so that memory stays bounded. */
const maxGroups = 100_000

/** A figure over the rows of a group. Empty cells do not count, except in `count` without a column. */
const Figure = Schema.Struct({
  op: Schema.Literals(["count", "sum", "mean", "min", "max"]),
  /** Needed by all but `count`. */
  column: Schema.optionalKey(Schema.String)
}).check(
  Schema.makeFilter(({ column, op }) =>
    op === "count" || column !== undefined ? undefined : `Expected a column with op ${op}`
  )
)

/** What to compute: figures by name, for each group of rows that have the same cells in the columns `by`. */
export const Aggregate = Schema.Struct({
  by: Schema.Array(Schema.String).check(Schema.isMaxLength(16)),
  figures: Schema.Record(Schema.String, Figure)
})

export type Aggregate = typeof Aggregate.Type

/** Cells of the result: text for groups and integers beyond 2^53, else numbers for figures; null for one over nothing. */
export type Cell = string | number | null

interface Group {
  readonly keys: ReadonlyArray<string>
  readonly states: ReadonlyArray<State>
}

/** What is known of the numbers seen. */
interface State {
  count: number
  sum: number
  /** What adding to the sum has rounded away (Kahan), so that a million rows of 0.1 are 100000. */
  lost: number
  /** The exact sum as long as only integers were seen: `whole`, and `beyond` what a `number` can hold. */
  integers: { whole: number; beyond: bigint } | undefined
  min: number | bigint
  max: number | bigint
}

/** Takes rows and gives the groups, in the order in which they were first seen. */
export class Aggregation {
  readonly columns: ReadonlyArray<string>
  private readonly groups = new Map<string, Group>()
  private readonly by: ReadonlyArray<number>
  private readonly figures: ReadonlyArray<{
    readonly name: string
    readonly op: string
    readonly index: number | undefined
    readonly column: string | undefined
  }>

  constructor({ by, figures }: Aggregate, columns: ReadonlyArray<string>) {
    this.by = by.map((column) => columnIndex(columns, column))
    this.figures = Object.entries(figures).map(([name, { column, op }]) => ({
      name,
      op,
      column,
      index: column === undefined ? undefined : columnIndex(columns, column)
    }))
    this.columns = [...by, ...this.figures.map(({ name }) => name)]
  }

  /** Counts a row in. Answers what is wrong with it, if it has text where a number is needed. */
  add(cells: ReadonlyArray<string>): string | undefined {
    for (const { column, index, op } of this.figures) {
      if (index === undefined || op === "count") continue
      const cell = cells[index]!
      if (cell !== "" && numberOf(cell) === undefined) return `${JSON.stringify(column)} is not a number: ${clip(cell)}`
    }
    const { states } = this.groupOf(cells)
    for (let figure = 0; figure < this.figures.length; figure++) {
      const { index, op } = this.figures[figure]!
      const state = states[figure]!
      if (index === undefined) state.count++
      else if (op === "count") state.count += cells[index] === "" ? 0 : 1
      else count(state, numberOf(cells[index]!))
    }
    return undefined
  }

  *rows(): IterableIterator<ReadonlyArray<Cell>> {
    for (const { keys, states } of this.groups.values()) {
      yield [...keys, ...this.figures.map(({ op }, figure) => figureOf(op, states[figure]!))]
    }
  }

  private groupOf(cells: ReadonlyArray<string>): Group {
    const keys = this.by.map((index) => cells[index]!)
    const key = keys.length === 1 ? keys[0]! : JSON.stringify(keys)
    const known = this.groups.get(key)
    if (known !== undefined) return known
    if (this.groups.size === maxGroups) {
      throw new Unprocessable({ reason: `There are more than ${maxGroups} groups; group by something coarser` })
    }
    const group = { keys: keys.map(own), states: this.figures.map(noNumbers) }
    this.groups.set(own(key), group)
    return group
  }
}

/** The state before any. */
const noNumbers = (): State => ({
  count: 0,
  sum: 0,
  lost: 0,
  integers: { whole: 0, beyond: 0n },
  min: Infinity,
  max: -Infinity
})

/** Counts a number in. */
const count = (state: State, value: number | bigint | undefined): void => {
  if (value === undefined) return
  state.count++
  addExactly(state, value)
  const added = Number(value) - state.lost
  const sum = state.sum + added
  state.lost = sum - state.sum - added
  state.sum = sum
  if (value < state.min) state.min = value
  if (value > state.max) state.max = value
}

const addExactly = (state: State, value: number | bigint): void => {
  const { integers } = state
  if (integers === undefined) return
  if (typeof value === "bigint") {
    integers.beyond += value
    return
  }
  if (!Number.isSafeInteger(value)) {
    state.integers = undefined
    return
  }
  const whole = integers.whole + value
  if (Number.isSafeInteger(whole)) integers.whole = whole
  else {
    integers.beyond += BigInt(integers.whole)
    integers.whole = value
  }
}

/** The figure over what was counted in. */
const figureOf = (op: string, { count, integers, max, min, sum }: State): number | string | null => {
  if (op === "count") return count
  if (count === 0) return null
  switch (op) {
    case "sum":
      return integers === undefined ? sum : cellOf(BigInt(integers.whole) + integers.beyond)
    case "mean":
      return sum / count
    default:
      return cellOf(op === "min" ? min : max)
  }
}

/** An integer that a `number` would round is text, digit for digit. */
export const cellOf = (value: number | bigint): number | string =>
  typeof value === "number" ? value : Number.isSafeInteger(Number(value)) ? Number(value) : String(value)

/** A copy: a slice would keep the whole chunk of the file that it was cut from. */
const own = (text: string): string => Buffer.from(text).toString()

const clip = (cell: string): string => JSON.stringify(cell.slice(0, 40))

const columnFigures = ["sum", "mean", "min", "max"] as const

/**
 * Figures over each column: takes rows and gives a row for each of their columns, with the number of its filled cells, and
 * with sum, mean and extremes where all of them are numbers.
 */
export class ColumnFigures {
  readonly columns: ReadonlyArray<string> = ["column", "count", ...columnFigures]
  private readonly names: ReadonlyArray<string>
  private readonly filled: Array<number>
  private readonly states: ReadonlyArray<State>

  constructor(columns: ReadonlyArray<string>) {
    this.names = columns
    this.filled = columns.map(() => 0)
    this.states = columns.map(noNumbers)
  }

  /** Counts a row in. Any cell will do: a column with text has no figures but its count. */
  add(cells: ReadonlyArray<string>): undefined {
    for (let column = 0; column < cells.length; column++) {
      const cell = cells[column]!
      if (cell === "") continue
      this.filled[column]!++
      count(this.states[column]!, numberOf(cell))
    }
  }

  *rows(): IterableIterator<ReadonlyArray<Cell>> {
    for (const [column, name] of this.names.entries()) {
      const [state, filled] = [this.states[column]!, this.filled[column]!]
      const isNumeric = filled > 0 && state.count === filled
      yield [name, filled, ...columnFigures.map((op) => isNumeric ? figureOf(op, state) : null)]
    }
  }
}
