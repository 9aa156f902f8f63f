/** What to do with rows, in this order: filter, then aggregate or select, rename, sort, limit. */
import { Schema } from "effect"
import { Aggregate } from "./Aggregation.ts"
import { Condition } from "./RowFilter.ts"
import { SortKey } from "./RowSorter.ts"

/** The fields of a query in a payload; each may be left out. */
export const DataQuery = {
  /** Conditions that all have to hold. */
  filter: Schema.optionalKey(Schema.Array(Condition).check(Schema.isMaxLength(100))),
  /** Columns to keep, in this order. Not with `aggregate`, which names its columns itself. */
  select: Schema.optionalKey(Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(10_000))),
  aggregate: Schema.optionalKey(Aggregate),
  /** `aggregate` without an `aggregate` gives figures over each column. */
  operation: Schema.optionalKey(Schema.Literal("aggregate")),
  /** New names by old names. */
  rename: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  /** By the new names. */
  sort: Schema.optionalKey(Schema.Array(SortKey).check(Schema.isMaxLength(16))),
  limit: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
}

/** A query. */
export interface DataQuery extends Schema.Schema.Type<Schema.Struct<typeof DataQuery>> {}
