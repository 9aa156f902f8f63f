/**
 * Why a command did not do what it was asked for, in words for people and a code for programs.
 *
 * Exit codes follow sysexits.h where it has one that fits, as the server's 78 does.
 */
import { Runtime, Schema } from "effect"

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
