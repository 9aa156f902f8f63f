/** How the end of a step becomes what is kept of it, and back. */
import { Cause, Effect, Exit, Schema } from "effect"
import * as JsonText from "../domain/JsonText.ts"
import { SignalTimedOut, StepRefused, StepUnfit } from "../domain/StepErrors.ts"
import type { PlainSchema } from "../domain/TaskDefinition.ts"
import * as StepRecords from "./StepRecords.ts"

/** The schemas of a step. */
export interface StepCodec<A, E> {
  /** What is kept of an end; nothing of one that is none, after which the step runs again. */
  readonly encode: (exit: Exit.Exit<unknown, unknown>) => StepRecords.End | undefined
  /** What the end gives, now and in every later attempt. */
  readonly decode: (id: string, step: string, end: StepRecords.End) => Effect.Effect<A, E>
}

const codecs = new WeakMap<PlainSchema, ReturnType<typeof compile>>()

const compile = (schema: PlainSchema) => {
  const json = Schema.toCodecJson(schema)
  return { encode: Schema.encodeUnknownExit(json), decode: Schema.decodeUnknownExit(json) }
}

/** Compiled once per schema. */
const codecOf = (schema: PlainSchema) => {
  let known = codecs.get(schema)
  if (known === undefined) codecs.set(schema, known = compile(schema))
  return known
}

const encodeWith = (schema: PlainSchema, value: unknown): Exit.Exit<unknown, Schema.SchemaError> => {
  const encoded = JsonText.guarded(() => codecOf(schema).encode(value))
  if (Exit.isFailure(encoded)) return encoded
  // Plain JSON, whatever it was made of
  return Exit.map(JsonText.encode(encoded.value, StepRecords.maxResultBytes), (text) => JSON.parse(text) as unknown)
}

/** Whether a value is one of the schema's, so that an error that it does not declare is left alone. */
const accepts = (schema: PlainSchema, value: unknown): boolean =>
  Exit.isSuccess(JsonText.guarded(() => codecOf(schema).encode(value)))

/** What a step without schemas gives, and what one with them does. */
export const make = (success: PlainSchema = Schema.Void, error?: PlainSchema): StepCodec<any, any> => ({
  encode: (exit) => {
    if (Exit.isSuccess(exit)) {
      // Without a schema, whatever the effect gives is not kept
      const value = encodeWith(success, success === Schema.Void ? undefined : exit.value)
      return Exit.isSuccess(value)
        ? { _tag: "Value", value: value.value }
        : { _tag: "Unfit", subject: "result", issue: StepRecords.issueOf(value.cause) }
    }
    const failure = onlyFailureOf(exit.cause)
    if (error === undefined || failure === undefined || !accepts(error, failure.error)) return undefined
    const kept = encodeWith(error, failure.error)
    return Exit.isSuccess(kept)
      ? { _tag: "Error", error: kept.value }
      : { _tag: "Unfit", subject: "error", issue: StepRecords.issueOf(kept.cause) }
  },
  decode: (id, step, end) => {
    const unfit = (subject: StepUnfit["subject"], issue: string) =>
      Effect.die(new StepUnfit({ id, step, subject, issue }))
    switch (end._tag) {
      case "Unfit":
        return unfit(end.subject, end.issue)
      case "TimedOut":
        return Effect.fail(new SignalTimedOut({ token: end.token }))
      case "Sleep":
      case "Wait":
        return Effect.die(new StepRefused({ id, step, reason: "was no step with an effect in an earlier attempt" }))
      case "Value": {
        const value = JsonText.guarded(() => codecOf(success).decode(end.value))
        return Exit.isSuccess(value) ? value : unfit("stored result", StepRecords.issueOf(value.cause))
      }
      case "Error": {
        if (error === undefined) return unfit("stored error", "the step has no schema for errors any more")
        const value = JsonText.guarded(() => codecOf(error).decode(end.error))
        return Exit.isSuccess(value)
          ? Effect.fail(value.value)
          : unfit("stored error", StepRecords.issueOf(value.cause))
      }
    }
  }
})

/** The failure of a cause that has nothing else in it: with a defect or an interruption in it, it is no end. */
const onlyFailureOf = (cause: Cause.Cause<unknown>): Cause.Fail<unknown> | undefined => {
  const [reason, ...others] = cause.reasons
  return reason !== undefined && others.length === 0 && Cause.isFailReason(reason) ? reason : undefined
}
