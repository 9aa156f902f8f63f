/**
 * Does sequences of operations, each in a world of its own, until one fails: those that failed once, then random ones.
 * A failure prints the shortest sequence found, as it can be added to those, how it failed, and the command that replays
 * it as long as operations are drawn in the same way. `MODEL_RUNS` says how many; `npm run hunt` does others each time.
 */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Cause, Effect, type Scope } from "effect"
import { inspect } from "node:util"

/** Does one operation; fails where its answer, or what can be seen after it, is not as it should be. */
export type Step<Operation> = (operation: Operation) => Effect.Effect<void, unknown, Scope.Scope>

/** What is done: sequences that failed once, and those that are drawn. */
export interface Operations<Operation> {
  readonly onceFailed: ReadonlyArray<ReadonlyArray<Operation>>
  readonly sequences: Arbitrary.Arbitrary<Array<Operation>>
}

/** Defines the test. Each sequence begins its own world. */
export const check = <Operation extends { readonly do: string }>(
  name: string,
  begin: Effect.Effect<Step<Operation>, unknown, Scope.Scope>,
  { onceFailed, sequences }: Operations<Operation>,
  options: { readonly runs: number }
): void =>
  it.effect(name, ({ task }) =>
    Effect.gen(function*() {
      for (const operations of onceFailed) {
        yield* run(begin, operations).pipe(Effect.catch((error) => Effect.sync(() => fail(operations, error))))
      }
      let first: unknown
      const result = yield* Arbitrary.checkEffect(
        sequences,
        (operations) => Effect.tapError(run(begin, operations), (error) => Effect.sync(() => first ??= error)),
        {
          runs: Number(process.env["MODEL_RUNS"] ?? options.runs),
          // Sequences grow with it up to their own limit, which two thirds of the runs may reach.
          size: 240,
          maxShrinks: 3000,
          replay: process.env["MODEL_REPLAY"]
        }
      )
      if (result._tag === "Passed") return
      if (result._tag !== "Falsified") return assert.fail(Arbitrary.formatCheckFailure(result) ?? result._tag)
      fail(
        result.shrunkInput,
        result.failure._tag === "PropertyError" ? result.failure.error : "",
        `Before it was shortened, after ${result.runs} runs: ${first}`,
        `Replay: MODEL_REPLAY='${result.replay}' npx vitest run ${task.file.name} -t '${task.fullTestName}'`
      )
    }), 600_000)

const run = <Operation extends { readonly do: string }>(
  begin: Effect.Effect<Step<Operation>, unknown, Scope.Scope>,
  operations: ReadonlyArray<Operation>
) =>
  Effect.gen(function*() {
    const step = yield* begin
    for (const [index, operation] of operations.entries()) {
      yield* Effect.catchCause(
        Effect.suspend(() => step(operation)),
        (cause) => Effect.fail(`Step ${index + 1} (${operation.do}): ${Cause.pretty(cause)}`)
      )
    }
    return true
  }).pipe(Effect.scoped)

const fail = (operations: ReadonlyArray<unknown>, error: unknown, ...more: ReadonlyArray<string>): never =>
  assert.fail([
    "It fails for this sequence:",
    ...operations.map((operation, index) =>
      `/* ${index + 1} */ ${inspect(operation, { breakLength: Infinity, compact: true, depth: null })},`
    ),
    String(error),
    ...more
  ].join("\n"))
