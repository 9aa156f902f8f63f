/** A task on its way into the store: a definition, an encoded payload, and how this one task is to be run. */
import { type DateTime, Duration, Exit, type Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as Dependencies from "../domain/Dependencies.ts"
import { InvalidOption, InvalidPayload } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as JsonText from "../domain/JsonText.ts"
import * as Limits from "../domain/LimitRule.ts"
import * as Priority from "../domain/Priority.ts"
import * as QueueLimits from "../domain/QueueLimits.ts"
import { shortened } from "../domain/Quoting.ts"
import * as Tags from "../domain/Tags.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import * as Thrown from "../domain/Thrown.ts"
import * as UniqueRule from "../domain/UniqueRule.ts"

/** What may be said about one task; the definition gives the rest. */
export interface EnqueueOptions {
  /** Your own id. Enqueueing a known id again changes nothing, so a lost reply can be retried. */
  readonly id?: string | undefined
  /**
   * Idempotency key, unique per type while the task is kept: the same key and payload give the same task, another
   * payload a `KeyConflict`. Default: what the definition's `idempotencyKey` makes of the payload.
   */
  readonly key?: string | undefined
  /**
   * How the task is unique by a key, for a while. Not together with `key`, nor for a type with `idempotencyKey`. Default: what the
   * definition's `unique` makes of the payload.
   */
  readonly unique?: UniqueRule.UniqueOption | undefined
  /** A name or an integer from 0 to 9; larger is more urgent. */
  readonly priority?: Priority.PriorityInput | undefined
  /** Wait before the task is due. Not together with `runAt`. */
  readonly delay?: Duration.Input | undefined
  /** The time at which it is due. Not together with `delay`. */
  readonly runAt?: DateTime.DateTime | undefined
  /** Retries after the first execution; `-1` is unlimited. */
  readonly maxRetries?: number | undefined
  /** Time limit of one attempt. */
  readonly timeout?: Duration.Input | undefined
  /**
   * How long the task is of use, from when it is due for the first time. One that has not started by then, or would run again
   * only after it, ends as `expired`. Default: the definition's, or for ever.
   */
  readonly expiresIn?: Duration.Input | undefined
  /**
   * Within which time the task should start, from when it is due. Among due tasks of one priority that have such a time, the one with
   * the earliest deadline goes first. One that starts later runs all the same. Default: the definition's, or none.
   */
  readonly startWithin?: Duration.Input | undefined
  readonly queue?: string | undefined
  /** Words that it is found by, besides those of the definition: at most 10 together. */
  readonly tags?: ReadonlyArray<string> | undefined
  /**
   * The tasks that must have ended before it starts: handles of stored ones, or ids, also of others of its batch. One that has ended counts at
   * once. An id that is not stored is an `UnknownDependency`.
   */
  readonly after?: ReadonlyArray<string | { readonly id: string }> | undefined
  /**
   * What becomes of it when one of these does not complete: it fails at once with the reason, it is cancelled, or it runs all the same. Default
   * `fail`.
   */
  readonly onFailure?: Dependencies.OnFailure | undefined
}

/** A task to store. The payload is JSON text that fits the definition. */
export interface Submission {
  readonly definition: AnyTaskDefinition
  readonly payload: string
  /** The version that the payload is of; 1 when left out. */
  readonly version?: number | undefined
  readonly options: EnqueueOptions
  /** What it must pass to start; nothing when left out. */
  readonly gated?: Gate.Gated | undefined
}

/** Encodes a typed payload, which may have no field that the definition does not know. `index` is its position in a batch. */
export const fromPayload = (
  definition: AnyTaskDefinition,
  payload: unknown,
  options: EnqueueOptions,
  index: number
): Exit.Exit<Submission, InvalidPayload | InvalidOption> => {
  const none = refuseOptions(options, index)
  if (none !== undefined) return Exit.fail(none)
  const encoded = definition.codec.encodePayload(payload)
  return Exit.isSuccess(encoded)
    ? complete({ definition, payload: encoded.value, ...versionOf(definition.version), options }, payload, index)
    : Exit.fail(invalid(definition, encoded, index))
}

/** The first version is not said: most types have no other, and their tasks are as they always were. */
const versionOf = (version: number): Pick<Submission, "version"> => version === 1 ? {} : { version }

/**
 * Checks a payload that came as JSON, which may have no field that the definition does not know. It may be of an earlier version, and is
 * stored as it came.
 */
export const fromJson = (
  definition: AnyTaskDefinition,
  payload: Schema.Json,
  options: EnqueueOptions,
  index: number,
  version = 1
): Exit.Exit<Submission, InvalidPayload> => {
  const decoded = definition.codec.checkPayload(payload, version)
  if (Exit.isFailure(decoded)) return Exit.fail(invalid(definition, decoded, index))
  const text = withinBounds(definition, payload, index)
  return Exit.isSuccess(text)
    ? complete({ definition, payload: text.value, ...versionOf(version), options }, decoded.value, index)
    : Exit.failCause(text.cause)
}

/** A submission with what its definition makes of the payload: its gate, and its key, unless the caller gives one. */
const complete = (submission: Submission, payload: unknown, index: number): Exit.Exit<Submission, InvalidPayload> => {
  const { definition } = submission
  const { idempotencyKey, limits, tags, unique } = definition
  let { gated, options } = submission
  let about = "idempotencyKey"
  try {
    if (idempotencyKey !== undefined && options.key === undefined && options.unique === undefined) {
      options = { ...options, key: idempotencyKey(payload) }
    }
    about = "unique"
    if (unique !== undefined && options.unique === undefined && options.key === undefined) {
      options = { ...options, unique: { ...unique, key: unique.key(payload) } }
    }
    about = "tags"
    if (typeof tags === "function" || tags.length > 0) {
      options = { ...options, tags: Tags.joined(typeof tags === "function" ? tags(payload) : tags, options.tags) }
    }
    about = "limits"
    if (limits.length > 0) gated = Limits.gatedBy(limits, payload)
  } catch (cause) {
    const issue = `${about}: ${Thrown.show(cause).message}`
    return Exit.fail(new InvalidPayload({ type: definition.type, issue: shortened(issue, maxIssueLength), index }))
  }
  return Exit.succeed(
    gated === submission.gated && options === submission.options
      ? submission
      : { ...submission, options, gated }
  )
}

/** The text of a payload that may not fit its definition, held to the bounds of all that is stored. */
export const withinBounds = (
  definition: AnyTaskDefinition,
  payload: Schema.Json,
  index: number
): Exit.Exit<string, InvalidPayload> => {
  const text = JsonText.encode(payload, Bounds.maxPayloadBytes)
  return Exit.isSuccess(text) ? Exit.succeed(text.value) : Exit.fail(invalid(definition, text, index))
}

const invalid = (
  definition: AnyTaskDefinition,
  failure: Exit.Failure<unknown, Schema.SchemaError>,
  index: number
): InvalidPayload => {
  const reason = failure.cause.reasons[0]
  const issue = reason?._tag === "Fail" ? describe(reason.error) : "it cannot be encoded"
  return new InvalidPayload({ type: definition.type, issue, index })
}

/** Characters of a description. One payload can have thousands of unknown fields. */
const maxIssueLength = 600

/** Characters of a line in it, which shows what was found or where. */
const maxLineLength = 200

const describe = ({ message }: Schema.SchemaError): string => {
  const lines = message.replaceAll("Expected no excess property", "Unknown field").split("\n")
  return shortened(lines.map((line) => shortened(line, maxLineLength)).join("\n"), maxIssueLength)
}

/** What is accepted of `whenFull`. */
const whenFull: Bounds.Bound<string> = {
  expected: "\"fail\" or \"wait\"",
  accepts: (word) => word === "fail" || word === "wait"
}

const after: Bounds.Bound<ReadonlyArray<unknown>> = {
  expected: `at most ${Dependencies.maxDependencies} tasks, as handles or ids`,
  accepts: (tasks) =>
    Array.isArray(tasks) && tasks.length <= Dependencies.maxDependencies &&
    tasks.every((task) => Bounds.id.accepts(idOf(task as string)))
}

const onFailure: Bounds.Bound<unknown> = {
  expected: "\"fail\", \"cancel\" or \"run\"",
  accepts: (word) => Dependencies.OnFailure.literals.includes(word as Dependencies.OnFailure)
}

/** The id of a task that is named by it or by a handle. */
export const idOf = (task: string | { readonly id: string }): string => typeof task === "string" ? task : task?.id

/** What is accepted of each option, and of what `enqueue` takes together with them. */
const bounds: { readonly [Name in keyof EnqueueOptions | "whenFull"]-?: Bounds.Bound<any> } = {
  id: Bounds.id,
  key: Bounds.key,
  // looked at by itself
  unique: { expected: "how a task is unique", accepts: (unique) => typeof unique === "object" && unique !== null },
  priority: Priority.bound,
  delay: Bounds.delay,
  runAt: Bounds.runAt,
  maxRetries: Bounds.retries,
  timeout: Bounds.timeout,
  expiresIn: Bounds.span,
  startWithin: Bounds.span,
  queue: Bounds.name,
  tags: Tags.tags,
  after,
  onFailure,
  whenFull
}

/** Why options are none, if they are no object: programs without types may give anything. */
export const refuseOptions = (options: unknown, index: number): InvalidOption | undefined =>
  typeof options === "object" && options !== null
    ? undefined
    : Bounds.refuseUnknown(options as null, bounds, "", index)

/**
 * The first option of submissions that is unknown or outside of its bound, if any is. What a definition says was checked
 * with it.
 * Most submissions have few options, and a look at those that there are costs less than one at those that there may be.
 */
export const invalidOption = (
  submissions: ReadonlyArray<Submission>,
  whenFullGiven?: string
): InvalidOption | undefined => {
  const invalid = Bounds.refuse("whenFull", whenFull, whenFullGiven)
  if (invalid !== undefined) return invalid
  for (let index = 0; index < submissions.length; index++) {
    const { definition, options } = submissions[index]!
    const none = refuseOptions(options, index)
    if (none !== undefined) return none
    for (const name in options) {
      const value = options[name as keyof EnqueueOptions]
      if (value === undefined) continue
      if (!Object.hasOwn(bounds, name)) return Bounds.refuseUnknown(options, bounds, "", index)
      const bound = bounds[name as keyof EnqueueOptions]
      if (!bound.accepts(value)) return Bounds.refuse(name, bound, value, index)
      if (name === "priority" && isOutOfOrder(definition, options)) {
        const expected = "none: its type has orderBy, and its tasks go in the order in which they were enqueued"
        return new InvalidOption({ option: "priority", found: String(options.priority), expected, index })
      }
      if (name === "unique") {
        const invalid = refuseUnique(definition, options, options.unique!, index)
        if (invalid !== undefined) return invalid
      }
      if (name === "key" && definition.unique !== undefined) {
        const expected = "none: its type has unique, and unique of the enqueue takes its place"
        return new InvalidOption({ option: "key", found: String(options.key), expected, index })
      }
      if (name === "runAt" && options.delay !== undefined) {
        return new InvalidOption({ option: "delay", found: "given with runAt", expected: "one of both", index })
      }
    }
  }
  return undefined
}

/** Why a task can't be unique in a way, if it can't. */
const refuseUnique = (
  { idempotencyKey }: AnyTaskDefinition,
  { delay, key, runAt }: EnqueueOptions,
  unique: UniqueRule.UniqueOption,
  index: number
): InvalidOption | undefined => {
  const invalid = UniqueRule.refuse(unique, index)
  if (invalid !== undefined) return invalid
  if (key !== undefined) {
    return new InvalidOption({ option: "unique", found: "given with key", expected: "one of both", index })
  }
  if (idempotencyKey !== undefined) {
    const expected = "none: its type has idempotencyKey"
    return new InvalidOption({ option: "unique", found: "given", expected, index })
  }
  if (unique.postpone !== undefined && (delay !== undefined || runAt !== undefined)) {
    const expected = "none: unique.postpone says when the task is due"
    return new InvalidOption({ option: delay === undefined ? "runAt" : "delay", found: "given", expected, index })
  }
  return undefined
}

/** Whether a task would overtake those before it. */
const isOutOfOrder = ({ limits, priority }: AnyTaskDefinition, options: EnqueueOptions): boolean =>
  Limits.areOrdered(limits) && options.priority !== undefined && Priority.toNumber(options.priority) !== priority

const uniquenessOf = ({ unique }: EnqueueOptions): Pick<NewTask, "unique"> =>
  unique === undefined ? {} : { unique: UniqueRule.uniqueOf(unique) }

/** Nothing where it depends on none, as nearly all do. */
const dependenciesOf = ({ after, onFailure }: EnqueueOptions): Pick<NewTask, "after" | "onFailure"> =>
  after === undefined || after.length === 0 ? {} : { after: after.map(idOf), onFailure }

/** Nothing where it has none, as nearly all have. */
const tagsOf = (options: EnqueueOptions): Pick<NewTask, "tags"> => {
  const tags = Tags.textOf(options.tags)
  return tags === undefined ? {} : { tags }
}

/** The record to store. */
export const toNewTask = (
  { definition, options, payload, version, ...submission }: Submission,
  id: string,
  defaults: { readonly maxRetries: number; readonly limits: QueueLimits.Rules }
): NewTask => {
  const queue = options.queue ?? definition.queue
  const { costs, gate } = QueueLimits.gateOf(queue, definition, submission.gated, defaults.limits) ?? Gate.none
  return {
    ...uniquenessOf(options),
    ...dependenciesOf(options),
    ...tagsOf(options),
    id,
    type: definition.type,
    ...(version === undefined ? {} : { version }),
    queue,
    payload,
    priority: options.priority === undefined ? definition.priority : Priority.toNumber(options.priority),
    key: options.key ?? options.unique?.key ?? null,
    maxRetries: options.maxRetries ?? definition.retry.times ?? defaults.maxRetries,
    timeoutMs: options.timeout === undefined
      ? definition.timeoutMs ?? null
      : Math.ceil(Duration.toMillis(options.timeout)),
    expiresInMs: options.expiresIn === undefined
      ? definition.expiresInMs ?? null
      : Math.ceil(Duration.toMillis(options.expiresIn)),
    startWithinMs: options.startWithin === undefined
      ? definition.startWithinMs ?? null
      : Math.ceil(Duration.toMillis(options.startWithin)),
    gate,
    costs,
    delayMs: options.delay === undefined
      ? options.unique?.postpone === undefined ? 0 : UniqueRule.uniqueOf(options.unique).byMs
      : Math.ceil(Duration.toMillis(options.delay)),
    runAt: options.runAt === undefined ? null : Math.ceil(options.runAt.epochMilliseconds)
  }
}
