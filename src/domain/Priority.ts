/**
 * How urgent a task is: an integer from 0 to 9, larger is more urgent.
 */
import { Schema, SchemaTransformation } from "effect"
import { type Bound, maxPriority } from "./Bounds.ts"

/** The names that may stand for a number. `critical` and `urgent` are the same. */
export const names = { low: 0, normal: 1, high: 2, critical: 3, urgent: 3 } as const

/** A named priority. */
export type PriorityName = keyof typeof names

/** What callers may pass: a name, or any integer from 0 to 9. */
export type PriorityInput = PriorityName | number

/** The priority of a task that names none. */
export const normal = names.normal

/** What is accepted of a priority. */
export const bound: Bound<PriorityInput> = {
  expected: `an integer from 0 to ${maxPriority}, or one of ${Object.keys(names).join(", ")}`,
  accepts: (input) =>
    typeof input === "number"
      ? Number.isInteger(input) && input >= 0 && input <= maxPriority
      : Object.hasOwn(names, input)
}

/** A stored priority: an integer from 0 to 9. */
const Priority = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: maxPriority }))

/** The names that may stand for a number. */
export const PriorityName = Schema.Literals(["low", "normal", "high", "critical", "urgent"])

/** Reads a name or a number and always writes the number. */
export const PriorityFromInput = Schema.Union([
  Priority,
  PriorityName.pipe(
    Schema.decodeTo(
      Schema.Int,
      SchemaTransformation.transform<number, PriorityName>({ decode: (name) => names[name], encode: nameOf })
    )
  )
])

/** The number for a name or number; names are looked up, numbers pass through. */
export const toNumber = (input: PriorityInput): number => typeof input === "number" ? input : names[input]

/** The name people read: `critical` for 3 and above. */
export function nameOf(priority: number): PriorityName {
  return priority <= 0 ? "low" : priority === 1 ? "normal" : priority === 2 ? "high" : "critical"
}
