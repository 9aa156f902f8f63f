/** The setting of levels by module. */
import { Effect, Result, Schema, SchemaGetter, SchemaIssue } from "effect"
import type { Levels } from "../domain/LogLevels.ts"
import * as LogLevelText from "../domain/LogLevelText.ts"
import * as LogModule from "../domain/LogModule.ts"

const read = (text: string): Result.Result<Levels, string> =>
  Result.flatMap(LogLevelText.parse(text), (levels) =>
    LogModule.others in levels
      ? Result.fail(`${LogModule.others} is what LOG_LEVEL sets: name modules here`)
      : Result.succeed(levels))

/** What is wrong with a text, if something is. */
export const problemOf = (text: string): string | undefined => Result.getOrUndefined(Result.flip(read(text)))

/** Levels by module. */
export const schema = Schema.String.pipe(Schema.decodeTo(
  Schema.declare((value): value is Levels => typeof value === "object" && value !== null),
  {
    decode: SchemaGetter.transformEffect((text: string) =>
      Result.match(read(text), {
        onFailure: (message) => Effect.fail(new SchemaIssue.InvalidValue({ message })),
        onSuccess: Effect.succeed
      })
    ),
    encode: SchemaGetter.transform(LogLevelText.format)
  }
))
