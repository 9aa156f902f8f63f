/**
 * One setting: the environment variables that carry it, its default, what it means, and how its text is read.
 */
import { Config, Effect, Equal, Option, Result, Schema } from "effect"
import * as Redaction from "../domain/Redaction.ts"

/** A setting as data. */
export interface Setting<out A> {
  /** The variables that carry it; the first is the one that documents use. */
  readonly names: readonly [string, ...ReadonlyArray<string>]
  /** The text that holds when no variable is set; `undefined` where that depends on other settings. */
  readonly fallback: string | undefined
  /** One line for people. */
  readonly about: string
  /** What a good value is; completes "expected …". */
  readonly expected: string
  readonly schema: Schema.ConstraintCodec<A, string>
  /** What is wrong with a text that the schema refuses, beyond what is expected. */
  readonly problemOf?: ((text: string) => string | undefined) | undefined
  /**
   * What of its text is secret: the whole `value`, or what may be secret in a `url`. Nothing is when left out; a URL in any
   * other setting is still shown without its secrets.
   */
  readonly secret?: "value" | "url" | undefined
}

/** A setting as the table has it: what is expected stands there where its schema says it less well. */
type Entry<A> = Omit<Setting<A>, "fallback" | "expected"> & { readonly expected?: string }

/** A setting that always has a value. */
export const setting = <A>(entry: Entry<A> & { readonly fallback: string }): Setting<A> => ({
  expected: expectedBy(entry.schema),
  ...entry
})

/** A setting that may be absent. */
export const optional = <A>(entry: Entry<A>): Setting<A | undefined> => ({
  expected: expectedBy(entry.schema),
  ...entry,
  fallback: undefined
})

const expectedBy = (schema: Schema.Constraint): string => Schema.resolveAnnotations(schema)?.expected ?? ""

/** What reading a setting gave: a value and the variable that it came from, or what is wrong. */
export type Reading<A> =
  | { readonly _tag: "Value"; readonly value: A; readonly from: Variable | undefined }
  | { readonly _tag: "Problem"; readonly problems: ReadonlyArray<string> }

/** A variable that is set. */
export interface Variable {
  readonly name: string
  readonly text: string
  readonly secret?: Setting<unknown>["secret"]
}

/**
 * Reads a setting from the current `ConfigProvider`. A bad value is an answer, not a failure, so that all settings
 * can be read and all problems told at once. Empty text counts as not set.
 */
export const read = <A>(setting: Setting<A>): Effect.Effect<Reading<A>, Config.ConfigError> =>
  Effect.map(Effect.forEach(setting.names, (name) => lookUp(name, setting.secret)), (variables): Reading<A> => {
    const given = variables.filter(({ text }) => text !== "")
    const results = given.map(({ text }) => Schema.decodeResult(setting.schema)(text))
    const problems = given.flatMap((variable, index) =>
      Result.isFailure(results[index]!)
        ? [problemOf(setting, variable)]
        : []
    )
    if (problems.length > 0) return { _tag: "Problem", problems }
    const values = results.flatMap((result) => Result.isSuccess(result) ? [result.success] : [])
    const other = values.findIndex((value) => !Equal.equals(value, values[0]))
    return other < 0
      ? { _tag: "Value", value: given.length > 0 ? values[0]! : fallbackOf(setting), from: given[0] }
      : {
        _tag: "Problem",
        problems: [`${show(given[0]!)} and ${show(given[other]!)} are one setting: set one of them`]
      }
  })

const problemOf = <A>({ expected, problemOf }: Setting<A>, variable: Variable): string => {
  const problem = problemOf?.(variable.text)
  return `${show(variable)}: expected ${expected}${problem === undefined ? "" : `: ${problem}`}`
}

/** A variable as errors show it, without what is secret. */
export const show = ({ name, secret, text }: Variable): string =>
  `${name}=${secret === "value" ? "***" : secret === "url" ? Redaction.url(text) : Redaction.text(text)}`

/** The value that holds when nothing is set. */
export const fallbackOf = <A>({ fallback, schema }: Setting<A>): A =>
  fallback === undefined ? undefined as A : Schema.decodeSync(schema)(fallback)

const lookUp = (name: string, secret: Variable["secret"]): Effect.Effect<Variable, Config.ConfigError> =>
  Effect.map(Config.option(Config.String(name)), (text) => ({
    name,
    secret,
    text: Option.getOrElse(text, () => "").trim()
  }))
