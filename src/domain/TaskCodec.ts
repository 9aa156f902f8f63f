/** How the values of a task type become JSON texts, and how these are read: those of earlier versions too. */
import { Exit, Schema, SchemaAST } from "effect"
import * as Bounds from "./Bounds.ts"
import * as JsonText from "./JsonText.ts"
import type { PlainSchema } from "./PlainFields.ts"
import * as UnknownFields from "./UnknownFields.ts"
import type { Versions } from "./Versions.ts"

/**
 * How a definition's values become JSON texts and come back. What is encoded is proven to be JSON within its bounds;
 * whatever else a value is, and whatever an encoder throws, is a failure with a readable issue. Encoders are methods, so
 * that every definition is also an `AnyTaskDefinition`.
 */
export interface TaskCodec<Payload, Success, Error> {
  /** Fails with each field that the schema does not know: a program would else lose it without a word. */
  encodePayload(payload: Payload): Exit.Exit<string, Schema.SchemaError>
  /**
   * Checks a payload that is JSON already, on its way in: fails with each field that the schema does not know. It is of the definition's
   * version where none is given.
   */
  readonly checkPayload: (json: Schema.Json, version?: number) => Exit.Exit<Payload, Schema.SchemaError>
  /**
   * Reads a stored payload of a version, which becomes one of the definition's. Unknown fields are ignored: tasks of an older definition
   * stay runnable.
   */
  readonly decodePayload: (text: string, version?: number) => Exit.Exit<Payload, Schema.SchemaError>
  /** The same of a payload that is parsed already. */
  readonly readPayload: (json: Schema.Json, version?: number) => Exit.Exit<Payload, Schema.SchemaError>
  encodeSuccess(success: Success): Exit.Exit<string, Schema.SchemaError>
  readonly decodeSuccess: (text: string) => Exit.Exit<Success, Schema.SchemaError>
  readonly readSuccess: (json: Schema.Json) => Exit.Exit<Success, Schema.SchemaError>
  encodeError(error: Error): Exit.Exit<Schema.Json, Schema.SchemaError>
  readonly decodeError: (error: Schema.Json) => Exit.Exit<Error, Schema.SchemaError>
}

const toText = (
  encode: (input: unknown) => Exit.Exit<unknown, Schema.SchemaError>,
  value: unknown,
  maxBytes: number
): Exit.Exit<string, Schema.SchemaError> => {
  const encoded = JsonText.guarded(() => encode(value))
  return Exit.isSuccess(encoded) ? JsonText.encode(encoded.value, maxBytes) : Exit.failCause(encoded.cause)
}

/** Reads a JSON text; one that is none fails as any other value that does not fit. */
const decodeText = <A>(
  decode: (input: unknown) => Exit.Exit<A, Schema.SchemaError>,
  json: string
): Exit.Exit<A, Schema.SchemaError> => {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    const { message } = cause as SyntaxError
    return JsonText.unfit(`Expected a JSON text: ${message}`)
  }
  return decode(value)
}

/** Plain JSON, whatever it was made of: nothing that could throw or change when a store reads it. */
const toJson = (text: string): Schema.Json => JSON.parse(text) as Schema.Json

/** The codec of a definition, with the versions before its own. */
export const make = (
  payload: PlainSchema,
  success: PlainSchema,
  error: PlainSchema,
  earlier: Versions<any> | undefined
): TaskCodec<any, any, any> => {
  const ofPayload = Schema.toCodecJson(payload)
  const ofSuccess = Schema.toCodecJson(success)
  const ofError = Schema.toCodecJson(error)
  const encode = Schema.encodeUnknownExit(ofPayload)
  const encodePayload = UnknownFields.closed(encode, SchemaAST.toType(ofPayload.ast))
  const decode = Schema.decodeUnknownExit(ofPayload)
  const check = UnknownFields.closed(decode, SchemaAST.toEncoded(ofPayload.ast))
  const current = earlier?.version ?? 1
  /** A payload of an earlier version as one of this; what its last function gives has to be one of this schema. */
  const raised = (read: Versions<any>["decode"], version: number, json: unknown) => {
    const exit = read(version, json)
    if (Exit.isFailure(exit)) return exit
    const encoded = JsonText.guarded(() => encode(exit.value))
    return Exit.isSuccess(encoded) ? exit : Exit.failCause(encoded.cause)
  }
  const ofVersion = (version: number) =>
    JsonText.unfit(
      version > current
        ? `Expected version ${current} at most, got version ${version}: a newer program has stored it`
        : `Expected version ${current}, got version ${version}`
    )
  const readPayload = (json: unknown, version = current) =>
    version === current
      ? decode(json)
      : earlier === undefined || version > current
      ? ofVersion(version)
      : raised(earlier.decode, version, json)
  const encodeSuccess = Schema.encodeUnknownExit(ofSuccess)
  const decodeSuccess = Schema.decodeUnknownExit(ofSuccess)
  const encodeError = Schema.encodeUnknownExit(ofError)
  return {
    checkPayload: (json, version = current) =>
      version === current
        ? check(json)
        : earlier === undefined || version > current
        ? ofVersion(version)
        : raised(earlier.check, version, json),
    encodePayload: (value) => toText(encodePayload, value, Bounds.maxPayloadBytes),
    decodePayload: (text, version) => decodeText((json) => readPayload(json, version), text),
    readPayload,
    encodeSuccess: (value) => toText(encodeSuccess, value, Bounds.maxResultBytes),
    decodeSuccess: (json) => decodeText(decodeSuccess, json),
    readSuccess: decodeSuccess,
    encodeError: (value) => Exit.map(toText(encodeError, value, Infinity), toJson),
    decodeError: Schema.decodeUnknownExit(ofError)
  }
}
