/** What scripts answer besides where tasks end that others depend on. */
import type { TaskFailure } from "../../domain/TaskRecord.ts"
import type { Aftermath } from "../Dependencies.ts"
import { namesOf } from "./Order.ts"
import { rowsOf } from "./Runner.ts"

/**
 * What has come of a script's writes: whether there is work, because a task waits for no other any more or what waited for a limit or for its
 * turn may start. Then of each that has ended because of another one its id, its line, the letter of its state, the number of its claims and
 * its failure.
 */
export type Outcome = readonly [released: number, ...dropped: ReadonlyArray<string>]

/** What a script answers whose last value may be that. */
export type Telling<Value> = ReadonlyArray<Value | Outcome>

/** Notes what has come of a script's writes, and answers the rest. */
export const told = <Value extends string | number>(
  aftermath: Aftermath,
  answer: Telling<Value>
): ReadonlyArray<Value> => {
  const last = answer.at(-1)
  if (!Array.isArray(last)) return answer as ReadonlyArray<Value>
  const [released, ...dropped] = last as unknown as Outcome
  if (Number(released) === 1) aftermath.release()
  for (const [id, line, letter, claims, failure] of rowsOf(dropped, 5)) {
    const [queue, type] = namesOf(line!)
    aftermath.drop({
      id: id!,
      queue,
      type,
      state: letter === "F" ? "failed" : "cancelled",
      claims: Number(claims),
      failure: JSON.parse(failure!) as TaskFailure
    })
  }
  return answer.slice(0, -1) as ReadonlyArray<Value>
}
