/**
 * Why a command did not do what it was asked for, in words for people and a code for programs.
 *
 * Exit codes follow sysexits.h where it has one that fits, as the server's 78 does.
 */
import { Cause, Option, Runtime, Schema } from "effect"
import { HttpClientError } from "effect/http"
import { InvalidSettings } from "../config/InvalidSettings.ts"
import * as BatchErrors from "../domain/BatchErrors.ts"
import * as DependencyErrors from "../domain/DependencyErrors.ts"
import * as Errors from "../domain/Errors.ts"
import * as Operation from "../domain/Operation.ts"
import { nearest, quoted } from "../domain/Quoting.ts"
import { SignalConflict, SignalNotFound } from "../domain/StepErrors.ts"
import { BodyTooLarge, InvalidRequest } from "../http/api/RequestCheck.ts"
import * as WireNames from "../http/api/WireNames.ts"
import * as ApiClient from "../http/client/ApiClient.ts"
import { DriverMissing } from "../server/SelectedStore.ts"
import * as Screen from "./Screen.ts"

/** What the process answers. */
export const exitCodes = {
  /** The command ran, but what it was asked for did not come about: an awaited task failed, a task's state forbids it. */
  failed: 1,
  /** The command line cannot be understood. */
  usage: 64,
  /** The input was refused: it is no JSON, or its task type does not take it. */
  input: 65,
  /** There is no such task, key or store. */
  unknown: 66,
  /** The server or the store does not answer. */
  unavailable: 69,
  /** There is no room, or there are too many requests: try again later. */
  later: 75,
  /** The API key is missing, or may not do this. */
  forbidden: 77,
  /** The configuration cannot be used. */
  configuration: 78
} as const

/** The name of an exit code. */
export type ExitName = keyof typeof exitCodes

/** A command's failure. */
export class Failure extends Schema.TaggedError<Failure>()("CommandFailure", {
  exit: Schema.Literals(Object.keys(exitCodes) as Array<ExitName>),
  /** What is wrong, in a sentence. */
  problem: Schema.String,
  /** What to do about it. */
  advice: Schema.optionalKey(Schema.String),
  /** A stable code for programs: the API's own where it came from there. */
  code: Schema.optionalKey(Schema.String)
}) {
  override readonly [Runtime.errorReported] = false

  override get message(): string {
    return this.problem
  }

  override get [Runtime.errorExitCode](): number {
    return exitCodes[this.exit]
  }
}

/** The command line cannot be understood, or asks for what is not possible. */
export const usage = (problem: string, advice: string): Failure => new Failure({ exit: "usage", problem, advice })

/** What does not fit the API, with the names that people gave its fields. */
export const invalidRequest = (
  { message }: Schema.SchemaError,
  nameOf: (field: string) => string,
  advice?: string
): Failure => {
  const problem = message
    .replaceAll(/(?:\["\w+"\])+/g, (path) => nameOf(path.slice(2, -2).replaceAll("\"][\"", ".")))
    .replaceAll(/\s*\n\s*/g, " ")
  return failure("input", "invalid_request", problem, advice)
}

/** What a server refuses of a body or of a timetable in it, with the names that people gave its fields. */
export const inTyped = (nameOf: (field: string) => string) => <E>(error: E): E | Failure => {
  if (error instanceof Errors.InvalidTimetable) {
    const at = error.at.split(", ").map((part) => isField.test(part) ? nameOf(WireNames.ofOption(part)) : part)
    const { expected, found } = error
    const named = new Errors.InvalidTimetable({ at: at.join(", "), found, expected })
    return failure("input", "invalid_timetable", named.message)
  }
  const [issue] = error instanceof InvalidRequest ? error.issues : []
  if (issue === undefined || issue.path[0] !== "body" || issue.path.length === 1) return error
  const [, found, expected] = /^The option \w+ is (.*); expected (.*)$/s.exec(issue.message) ?? []
  const problem = found === undefined ? issue.message : `Expected ${expected}, got ${found}`
  return failure("input", "invalid_request", `${problem} at ${nameOf(issue.path.slice(1).join("."))}`)
}

/** What of a timetable has a name in a request. */
const isField = /^(?:cron|every|rrule|at|start|timeZone)$/

/** An error of the API, of the way to it or of a store as the failure of a command on a target. It names the fix. */
export const failureOf = (error: unknown, target: string): Failure => {
  if (error instanceof Failure) return error
  if (HttpClientError.isHttpClientError(error)) return ofClient(error, target)
  if (error instanceof Errors.TaskNotFound) {
    return failure("unknown", "task_not_found", error.message, "taskforge list shows the tasks there are.")
  }
  if (error instanceof Errors.LimitNotFound) {
    return failure("unknown", "limit_not_found", error.message, "taskforge limits list shows the limits there are.")
  }
  if (error instanceof Errors.BreakerNotFound) {
    return failure(
      "unknown",
      "breaker_not_found",
      error.message,
      "taskforge breakers list shows the breakers there are."
    )
  }
  if (error instanceof Errors.ScheduleNotFound) {
    const advice = "taskforge schedules list shows the schedules there are."
    return failure("unknown", "schedule_not_found", error.message, advice)
  }
  if (error instanceof Errors.InvalidTimetable) return failure("input", "invalid_timetable", error.message)
  if (error instanceof BatchErrors.BatchNotFound) {
    return failure("unknown", "batch_not_found", error.message, "taskforge batches list shows the batches there are.")
  }
  if (error instanceof Operation.OperationNotFound) {
    return failure(
      "unknown",
      "operation_not_found",
      error.message,
      "taskforge ops list shows the operations there are."
    )
  }
  if (error instanceof Operation.OperationRefused) return failure("failed", "operation_refused", error.message)
  if (error instanceof BatchErrors.BatchFinished) return failure("failed", "batch_finished", error.message)
  if (error instanceof SignalNotFound) {
    const advice =
      "Tokens are handed out by their tasks, and go with them; an event is named NAME:KEY, or with --event KEY.\n" +
      "taskforge steps ID shows what a task waits for."
    return failure("unknown", "signal_not_found", error.message, advice)
  }
  if (error instanceof SignalConflict) {
    const { kept } = error
    const advice = kept._tag === "TimedOut"
      ? undefined
      : `It is kept with: ${Screen.plain(JSON.stringify(kept._tag === "Value" ? kept.value : kept.error))}`
    return failure("failed", "signal_conflict", error.message, advice)
  }
  if (error instanceof Errors.InstanceNotFound) {
    return failure("unknown", "instance_not_found", error.message, "taskforge instances shows those that run tasks.")
  }
  if (error instanceof Errors.StateConflict) {
    return failure("failed", "state_conflict", error.message, adviceOn(error))
  }
  if (error instanceof Errors.QueueFull) {
    return error.mayFitLater
      ? failure("later", "queue_full", error.message, "Wait for room with --when-full wait.")
      : failure("input", "batch_too_large", error.message)
  }
  if (error instanceof Errors.TaskSuperseded) return failure("failed", "task_superseded", error.message)
  if (error instanceof DependencyErrors.UnknownDependency) return failure("input", "unknown_dependency", error.message)
  if (error instanceof DependencyErrors.BranchTooLarge) return failure("failed", "branch_too_large", error.message)
  if (error instanceof DependencyErrors.DependencyCycle) return failure("input", "dependency_cycle", error.message)
  if (error instanceof Errors.KeyConflict) {
    return failure(
      "failed",
      "key_conflict",
      error.message,
      `See it with: taskforge get ${quoted(Screen.plain(error.id))}`
    )
  }
  if (error instanceof Errors.InvalidOption) return failure("input", "invalid_option", error.message)
  if (error instanceof Errors.InvalidPayload) return failure("input", "invalid_payload", error.message)
  if (error instanceof Errors.UnknownTaskType) {
    const meant = nearest(error.type, error.known)
    const advice = meant === undefined ? undefined : `Did you mean ${meant}?`
    return failure("input", "unknown_task_type", error.message, advice)
  }
  if (error instanceof InvalidRequest) return failure("input", "invalid_request", asTyped(error).message)
  if (Schema.isSchemaError(error) && isTyped(error)) return invalidRequest(error, (field) => typed[field] ?? field)
  if (error instanceof BodyTooLarge) return failure("input", "body_too_large", error.message)
  if (error instanceof Errors.StoreError) {
    return failure("unavailable", "store_unavailable", `The task store of ${target} does not answer: ${error.reason}`)
  }
  if (error instanceof DriverMissing || error instanceof InvalidSettings || error instanceof Errors.StoreIncompatible) {
    return failure("configuration", "configuration", error.message)
  }
  return failure("failed", "failed", error instanceof Error ? error.message : String(error))
}

/** What the client itself refuses, as it was typed. */
const typed: Readonly<Record<string, string>> = { key: "--key", name: "NAME", token: "TOKEN" }

/** Whether that is all that an error is about; another one is about an answer that was not understood. */
const isTyped = ({ message }: Schema.SchemaError): boolean => {
  const fields = Array.from(message.matchAll(/\n\s*at \["(\w+)"\]/g), ([, field]) => field!)
  return fields.length > 0 && fields.every((field) => typed[field] !== undefined)
}

/** The same with the flags and arguments that were typed in place of what was made of them: `--key`, not `query.key`. */
const asTyped = ({ issues }: InvalidRequest): InvalidRequest =>
  new InvalidRequest({
    issues: issues.map(({ message, path: [part, name, ...rest] }) => {
      const isTyped = typeof name === "string" && (part === "query" || part === "path")
      if (!isTyped) return { message, path: [part, name, ...rest].filter((one) => one !== undefined) }
      const word = part === "query" ? `--${name.replaceAll("_", "-")}` : name.toUpperCase()
      return { message, path: [word, ...rest.filter((one) => typeof one === "string")] }
    })
  })

/** The failure of a command whose store could not be opened. */
export const failureToOpen = (cause: Cause.Cause<unknown>, target: string): Failure => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return error === undefined
    ? failure("failed", "defect", Cause.pretty(cause))
    : error instanceof Errors.StoreError
    ? failure("unavailable", "store_unavailable", `${target} cannot be opened: ${error.reason}`)
    : failureOf(error, target)
}

const ofClient = (error: HttpClientError.HttpClientError, target: string): Failure => {
  const status = error.response?.status
  switch (status) {
    case undefined:
      return failure(
        "unavailable",
        "unreachable",
        `${target} cannot be reached: ${ApiClient.reasonOf(error)}`,
        "Start a server with: taskforge serve\nor name one with --server or TASKFORGE_URL."
      )
    case 401:
      return error.request.headers["authorization"] === undefined
        ? failure(
          "forbidden",
          "unauthorized",
          `${target} needs an API key`,
          "Give one with --api-key or TASKFORGE_API_KEY; taskforge keys create makes one."
        )
        : failure(
          "forbidden",
          "unknown_key",
          `${target} does not know this API key`,
          "It was mistyped, revoked, or made for another store; taskforge keys list --store URL shows those that hold."
        )
    case 403:
      return failure("forbidden", "forbidden", `The API key may not do this on ${target}`)
    case 429:
      return failure("later", "rate_limited", `${target} has had enough requests for now`, "Try again later.")
    default:
      return failure(
        status >= 500 ? "unavailable" : "failed",
        "unexpected_answer",
        `${target} answered ${status} to ${error.request.method} ${new URL(error.request.url).pathname}`,
        status === 404 ? "Is it a TaskForge server, of a version that knows this?" : undefined
      )
  }
}

const adviceOn = ({ id, operation, state }: Errors.StateConflict): string | undefined =>
  operation === "rerun" && state !== "completed"
    ? `It runs by itself; stop it with: taskforge cancel ${quoted(Screen.plain(id))}`
    : operation === "remove"
    ? `Only finished tasks can be removed; stop it first with: taskforge cancel ${quoted(Screen.plain(id))}`
    : undefined

const failure = (exit: Failure["exit"], code: string, problem: string, advice?: string): Failure =>
  new Failure({ exit, code, problem, ...(advice === undefined ? {} : { advice }) })
