/**
 * Runs scripts: one round trip each, by hash, loaded again where the server does not know them, with a limit to the
 * time that a caller waits.
 */
import { Effect } from "effect"
import * as Redis from "effect/persistence/Redis"
import type { StoreError } from "../../domain/Errors.ts"
import type { Refusals } from "../WriteHealth.ts"
import * as Failure from "./Failure.ts"

/** A script, and what Redis answers to it. */
export type Script<Answer> = Redis.Script<{
  readonly params: readonly [keys: ReadonlyArray<string>, args: ReadonlyArray<string>]
  readonly result: Answer
}>

/** Declares a script. */
export const script = <Answer>(lua: string): Script<Answer> =>
  Redis.script(
    (keys: ReadonlyArray<string>, args: ReadonlyArray<string>) => [...keys, ...args],
    { lua, numberOfKeys: (keys) => keys.length }
  ).withReturnType<Answer>()

/** Arguments of one script at most: they pass over the stack of this process, which has an end. */
export const maxArguments = 60_000

/** Characters of one script's arguments at most: the client joins them to one text, which has a limit. */
const maxSize = 128 * 1024 * 1024

/** Why these arguments cannot be sent, if they cannot. The client would find out too late, when it has begun. */
const refusalOf = (operation: string, args: ReadonlyArray<string>): StoreError | undefined => {
  if (args.length > maxArguments) return Failure.tooLarge(operation)
  let size = 0
  for (const arg of args) {
    if (typeof arg !== "string") return Failure.notText(operation)
    size += arg.length
  }
  return size > maxSize ? Failure.tooLarge(operation) : undefined
}

/** Runs a script on one deployment's keys. `operation` names it in errors. */
export type Runner = <Answer>(
  operation: string,
  script: Script<Answer>,
  args: ReadonlyArray<string>
) => Effect.Effect<Answer, StoreError>

/**
 * The runner of the deployment whose keys are derived from these: its root, and in tests the clock's key. It waits no
 * longer than that for an answer.
 */
export const make = (
  redis: Redis.Redis["Service"],
  keys: ReadonlyArray<string>,
  answerWithinMs: number,
  refusals?: Refusals
): Runner =>
(operation, script, args) => {
  const refusal = refusalOf(operation, args)
  return refusal !== undefined ? Effect.fail(refusal) : redis.eval(script)(keys, args).pipe(
    Effect.mapError((error) => {
      const failure = Failure.storeError(operation, error)
      refusals?.note(failure)
      return failure
    }),
    Effect.timeoutOrElse({
      duration: answerWithinMs,
      orElse: () => Effect.fail(Failure.noAnswer(operation, answerWithinMs))
    })
  )
}
