/** Figures over each column of a file: how many cells are filled, and sum, mean and extremes where all are numbers. */
import { type Cell, count, figureOf, noNumbers, type State } from "./Aggregation.ts"
import { numberOf } from "./RowFilter.ts"

const figures = ["sum", "mean", "min", "max"] as const

/** Takes rows and gives a row for each of their columns. */
export class ColumnFigures {
  readonly columns: ReadonlyArray<string> = ["column", "count", ...figures]
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
      yield [name, filled, ...figures.map((op) => isNumeric ? figureOf(op, state) : null)]
    }
  }
}
