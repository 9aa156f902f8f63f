import { Schema } from "effect"

/** What was asked for does not go with the data. */
export class Unprocessable extends Schema.TaggedError<Unprocessable>()("Unprocessable", {
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** Where a column is. */
export const columnIndex = (columns: ReadonlyArray<string>, column: string): number => {
  const index = columns.indexOf(column)
  if (index < 0) {
    throw new Unprocessable({
      reason: `There is no column ${JSON.stringify(column)}, only ${
        columns.map((name) => JSON.stringify(name)).join(", ")
      }`
        .slice(0, 1000)
    })
  }
  return index
}
