/** Exits as JSON. What they succeed and fail with has been encoded by its schema; defects and everything else about a cause are encoded here. */
import { Cause, Effect, Exit, Schema } from "effect"
import * as JsonText from "../domain/JsonText.ts"
import * as Thrown from "../domain/Thrown.ts"

const ReasonJson = Schema.Union([
  Schema.TaggedStruct("Fail", { error: Schema.Unknown }),
  Schema.TaggedStruct("Die", { defect: Schema.Unknown }),
  Schema.TaggedStruct("Interrupt", {})
])

/** A cause, as JSON. */
export const CauseJson = Schema.Array(ReasonJson)

/** See {@link CauseJson}. */
export type CauseJson = typeof CauseJson.Type

/** An exit, as JSON. */
export type ExitJson =
  | { readonly _tag: "Success"; readonly value: unknown }
  | { readonly _tag: "Failure"; readonly cause: CauseJson }

const encodeDefect = Schema.encodeUnknownExit(Schema.toCodecJson(Schema.Defect()))
const decodeDefect = Schema.decodeUnknownExit(Schema.toCodecJson(Schema.Defect()))

/** A defect may be anything, and may throw when it is looked at. */
const defectJson = (defect: unknown): unknown => {
  const encoded = JsonText.guarded(() => encodeDefect(defect))
  if (Exit.isSuccess(encoded)) return encoded.value ?? null
  const { message, tag: name } = Thrown.show(defect)
  return { name, message }
}

const defectOf = (json: unknown): unknown => {
  const decoded = JsonText.guarded(() => decodeDefect(json))
  return Exit.isSuccess(decoded) ? decoded.value : json
}

/** The JSON of a cause whose failures are encoded. */
export const ofCause = (cause: Cause.Cause<unknown>): CauseJson =>
  cause.reasons.map((reason) => {
    switch (reason._tag) {
      case "Fail":
        return { _tag: "Fail", error: reason.error ?? null }
      case "Die":
        return { _tag: "Die", defect: defectJson(reason.defect) }
      case "Interrupt":
        return { _tag: "Interrupt" }
    }
  })

/** The JSON of an exit whose values are encoded. */
export const ofExit = (exit: Exit.Exit<unknown, unknown>): ExitJson =>
  Exit.isSuccess(exit)
    ? { _tag: "Success", value: exit.value ?? null }
    : { _tag: "Failure", cause: ofCause(exit.cause) }

/** The cause of its JSON; failures stay encoded. */
export const toCause = (json: CauseJson, rawDefects = false): Cause.Cause<unknown> =>
  Cause.fromReasons(json.map((reason) => {
    switch (reason._tag) {
      case "Fail":
        return Cause.makeFailReason(reason.error)
      case "Die":
        return Cause.makeDieReason(rawDefects ? reason.defect : defectOf(reason.defect))
      case "Interrupt":
        return Cause.makeInterruptReason()
    }
  }))

/** The exit of its JSON; values stay encoded. With `rawDefects` defects do too. */
export const toExit = (json: ExitJson, rawDefects = false): Exit.Exit<unknown, unknown> =>
  json._tag === "Success" ? Exit.succeed(json.value) : Exit.failCause(toCause(json.cause, rawDefects))

/** An exit with its values encoded by their schemas, or the first issue. */
export const encoded = (
  exit: Exit.Exit<unknown, unknown>,
  encodeSuccess: (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>,
  encodeError: (error: unknown) => Effect.Effect<unknown, Schema.SchemaError>
): Effect.Effect<Exit.Exit<unknown, unknown>, Schema.SchemaError> =>
  Exit.isSuccess(exit)
    ? Effect.map(encodeSuccess(exit.value), Exit.succeed)
    : Effect.map(
      Effect.forEach(exit.cause.reasons, (reason): Effect.Effect<Cause.Reason<unknown>, Schema.SchemaError> =>
        reason._tag === "Fail"
          ? Effect.map(encodeError(reason.error), (error) =>
            Cause.makeFailReason(error))
          : Effect.succeed(reason)),
      (reasons) =>
        Exit.failCause(Cause.fromReasons(reasons))
    )
