/**
 * What is kept of a declared error besides its message: its details, encoded by its schema. They have a bound. Longer
 * texts in them are cut, which most schemas still decode; where that does not help, they are left out.
 */
import { Exit, type Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as JsonText from "../domain/JsonText.ts"
import type { TaskFailure } from "../domain/TaskRecord.ts"
import * as Thrown from "../domain/Thrown.ts"

/** Characters that each text in the details keeps, tried in turn until all fit. */
const lengths = [65_536, 8192, 1024, 128]

/** What is kept, and what is to be said of it where that is not all. */
interface Kept extends Pick<TaskFailure, "error"> {
  readonly note?: string
}

/** The details as a part of a failure; none where even cut ones would be too large. */
export const of = (error: Schema.Json): Kept => {
  if (fits(error)) return { error }
  const bytes = Buffer.byteLength(JSON.stringify(error))
  const large =
    `Its details have ${bytes} bytes of JSON, and ${Bounds.maxDetailBytes} are kept at most, which no setting changes`
  for (const length of lengths) {
    const shorter = withTexts(error, length)
    if (fits(shorter)) return { error: shorter, note: `(${large}: texts of more than ${length} characters are cut)` }
  }
  return { note: `(${large}: they are left out)` }
}

const fits = (error: Schema.Json): boolean => Exit.isSuccess(JsonText.encode(error, Bounds.maxDetailBytes))

/** The same with every text cut. It has a bounded depth, because it was encoded before. */
const withTexts = (json: Schema.Json, length: number): Schema.Json => {
  if (typeof json === "string") return Thrown.cut(json, length)
  if (typeof json !== "object" || json === null) return json
  if (Array.isArray(json)) return json.map((item) => withTexts(item, length))
  return Object.fromEntries(
    Object.entries(json as Schema.JsonObject).map(([name, value]) => [name, withTexts(value, length)])
  )
}
