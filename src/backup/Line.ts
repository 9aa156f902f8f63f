/**
 * The lines of a backup. Each is a JSON object with a `kind`: first a header, then records, then tasks in the order in which they were
 * stored, at last a trailer that counts them. So a file that was cut anywhere has no trailer.
 */
import { Schema } from "effect"
import { createHash } from "node:crypto"
import { OnFailure } from "../domain/Dependencies.ts"
import { AttemptRecord, TaskFailure } from "../domain/TaskRecord.ts"
import { FinishedState } from "../domain/TaskState.ts"

/** The version of the format that is written, and the only one that is read. */
export const format = 1

/** What a backup is of. Times are milliseconds since the epoch. */
export const Header = Schema.Struct({
  kind: Schema.Literal("taskforge-backup"),
  format: Schema.Int,
  /** Another one for each backup. */
  id: Schema.String,
  /** The version of TaskForge that wrote it. */
  version: Schema.String,
  /** The store, as people know it. */
  store: Schema.String,
  /** By the store's clock. */
  takenAt: Schema.Int,
  /** The version of the rules of time zones that the writer had. */
  zones: Schema.String,
  /** Whether all of it is of one moment. */
  isSnapshot: Schema.Boolean
})

export type Header = typeof Header.Type

/** A record: a schedule, an API key, a paused queue, a limit, a step and whatever else is no task. */
export const RecordLine = Schema.Struct({
  kind: Schema.Literal("record"),
  of: Schema.String,
  id: Schema.String,
  document: Schema.String,
  dueAt: Schema.NullOr(Schema.Int),
  writtenAt: Schema.Int
})

export type RecordLine = typeof RecordLine.Type

/** A task. What is left out is as in a new task: `null`, 0 or nothing. One that ran waits, with an attempt in its history that was released. */
export const TaskLine = Schema.Struct({
  kind: Schema.Literal("task"),
  id: Schema.String,
  /** With its version, as stores have it. */
  type: Schema.String,
  queue: Schema.String,
  state: Schema.Union([Schema.Literal("waiting"), FinishedState]),
  payload: Schema.String,
  priority: Schema.Int,
  createdAt: Schema.Int,
  dueAt: Schema.Int,
  maxRetries: Schema.Int,
  key: Schema.optionalKey(Schema.String),
  hold: Schema.optionalKey(Schema.String),
  timeoutMs: Schema.optionalKey(Schema.Finite),
  gate: Schema.optionalKey(Schema.String),
  costs: Schema.optionalKey(Schema.String),
  holds: Schema.optionalKey(Schema.Array(Schema.String)),
  trace: Schema.optionalKey(Schema.String),
  tags: Schema.optionalKey(Schema.String),
  after: Schema.optionalKey(Schema.Array(Schema.String)),
  onFailure: Schema.optionalKey(OnFailure),
  waited: Schema.optionalKey(Schema.Literal(true)),
  expiresAt: Schema.optionalKey(Schema.Int),
  startWithinMs: Schema.optionalKey(Schema.Finite),
  startBy: Schema.optionalKey(Schema.Int),
  startedAt: Schema.optionalKey(Schema.Int),
  completedAt: Schema.optionalKey(Schema.Int),
  failures: Schema.optionalKey(Schema.Int),
  crashes: Schema.optionalKey(Schema.Int),
  claims: Schema.optionalKey(Schema.Int),
  claim: Schema.optionalKey(Schema.Int),
  settledClaim: Schema.optionalKey(Schema.Int),
  instance: Schema.optionalKey(Schema.String),
  progress: Schema.optionalKey(Schema.Finite),
  result: Schema.optionalKey(Schema.String),
  failure: Schema.optionalKey(TaskFailure),
  history: Schema.optionalKey(Schema.Array(AttemptRecord))
})

export type TaskLine = typeof TaskLine.Type

/** How much there is in a backup or a store, and what it is. */
export const Content = Schema.Struct({
  records: Schema.Int,
  tasks: Schema.Int,
  /** The greatest number of a claim, 0 where there was none. */
  claim: Schema.Int,
  /** The sum of the SHA-256 digests of all lines of records and tasks, whatever their order is: two stores with the same have the same. */
  content: Schema.String
})

export type Content = typeof Content.Type

/** The last line. */
export const Trailer = Schema.Struct({
  kind: Schema.Literal("end"),
  ...Content.fields,
  /** The SHA-256 digest of all lines before this one, each with its line feed. */
  sha256: Schema.String
})

export type Trailer = typeof Trailer.Type

/** Any line. */
export const Line = Schema.Union([TaskLine, RecordLine, Header, Trailer])

export type Line = typeof Line.Type

const modulus = 1n << 256n

/** Counts lines and works out their digests. */
export class Count {
  private readonly all = createHash("sha256")
  private sum = 0n
  private records = 0
  private tasks = 0
  private claim = 0

  /** Takes the next line, without its line feed. */
  add(line: Line, text: string): void {
    this.all.update(text).update("\n")
    if (line.kind === "record") this.records++
    else if (line.kind === "task") {
      this.tasks++
      this.claim = Math.max(this.claim, line.claim ?? 0)
    } else return
    this.sum = (this.sum + BigInt(`0x${createHash("sha256").update(text).digest("hex")}`)) % modulus
  }

  /** How many records and tasks there are so far. */
  get size(): number {
    return this.records + this.tasks
  }

  /** What there is so far. */
  get content(): Content {
    const { claim, records, sum, tasks } = this
    return { records, tasks, claim, content: sum.toString(16).padStart(64, "0") }
  }

  /** The line that ends these. */
  get trailer(): Trailer {
    return { kind: "end", ...this.content, sha256: this.all.copy().digest("hex") }
  }
}
