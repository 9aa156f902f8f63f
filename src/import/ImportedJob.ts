/** What another job queue keeps, in words that all of them have in common, and what is asked of a reader of one. */
import { type Effect, Schema } from "effect"

/** The job queues that can be read, and the major version of each. */
export const peers = {
  "bullmq": { name: "BullMQ", major: 6, namespace: "bull", scheme: "redis", hasTypes: true, isOneOrder: false },
  "pg-boss": {
    name: "pg-boss",
    major: 12,
    namespace: "pgboss",
    scheme: "postgres",
    hasTypes: false,
    isOneOrder: false
  },
  "graphile-worker": {
    name: "Graphile Worker",
    major: 0,
    namespace: "graphile_worker",
    scheme: "postgres",
    hasTypes: false,
    isOneOrder: true
  }
} as const satisfies Record<string, PeerFacts>

/** What is known of a job queue. */
interface PeerFacts {
  readonly name: string
  readonly major: number
  /** The usual prefix of its keys, or its schema. */
  readonly namespace: string
  readonly scheme: "redis" | "postgres"
  /** Whether a queue has jobs of several types. Otherwise its name is the type, whose tasks go where the type says. */
  readonly hasTypes: boolean
  /** Whether priorities of all queues are compared with each other. */
  readonly isOneOrder: boolean
}

/** A job queue that can be read. */
export type Peer = keyof typeof peers

/** Where a job is in its source. `running` and `parent` are counted and never read. */
export type JobState = "waiting" | "delayed" | "failed" | "running" | "parent"

/** Jobs of one queue that are kept in one place, and how many there were when the source was opened. */
export interface Part {
  readonly queue: string
  readonly state: JobState
  /** What the source calls the place. */
  readonly place: string
  readonly count: number
  /** Whether an earlier import took them from where workers look, and did not come to its end. */
  readonly isHeld: boolean
}

/** A job. */
export interface ImportedJob {
  readonly queue: string
  readonly id: string
  /** Tells jobs apart that had the same id one after the other: when it was made. */
  readonly stamp: string
  readonly name: string
  /** The text of its data, which need not be JSON. */
  readonly data: string
  readonly state: JobState
  /** A larger one is more urgent; 0 is what the source gives a job that says nothing. */
  readonly urgency: number
  /** When it is due, in milliseconds; left out where it is due already. */
  readonly dueAt?: number
  readonly attemptsMade: number
  /** Attempts in all, the first among them. */
  readonly maxAttempts: number
  /** How long it waits between attempts, in words, or what else a type says here. */
  readonly backoff?: string
  /** Keeps other jobs away: until this one has ended, or starts, or for so many milliseconds. */
  readonly key?: { readonly key: string; readonly until?: "waiting" | "unfinished"; readonly forMs?: number }
  /** Where the next page begins when this job stays in its place. */
  readonly cursor: string
  /** Why it cannot be moved, if it cannot. */
  readonly unfit?: string
}

/** A timetable. */
export interface ImportedSchedule {
  readonly queue: string
  readonly id: string
  readonly name: string
  readonly data: string
  readonly cron?: string
  readonly everyMs?: number
  readonly timeZone?: string
  /** In milliseconds. */
  readonly startAt?: number
  readonly endAt?: number
  readonly urgency: number
  readonly maxAttempts: number
  readonly unfit?: string
}

/** Why a source cannot be read. */
export class SourceError extends Schema.TaggedError<SourceError>()("SourceError", {
  kind: Schema.Literals(["unreachable", "missing", "version", "usage"]),
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}

/** An open source. It is read in pages, and only what is held can be removed. */
export interface Source {
  readonly peer: Peer
  /** Its version, as it says itself. */
  readonly version: string
  /** What is held comes first, then what its workers would take first. */
  readonly parts: ReadonlyArray<Part>
  /** A page of jobs after a cursor, in the order in which its workers take them. Empty at the end. */
  readonly page: (part: Part, after: string | undefined) => Effect.Effect<ReadonlyArray<ImportedJob>, SourceError>
  readonly schedules: ReadonlyArray<ImportedSchedule>
  /**
   * Takes jobs from where workers look, each only if it is still there: answers which were. They stay in the source,
   * where the next import finds them.
   */
  readonly hold: (
    part: Part,
    jobs: ReadonlyArray<ImportedJob>
  ) => Effect.Effect<ReadonlySet<string>, SourceError>
  /** Puts held jobs back to where they were. */
  readonly release: (queue: string, ids: ReadonlyArray<string>) => Effect.Effect<void, SourceError>
  /** Removes held jobs for good. */
  readonly drop: (queue: string, ids: ReadonlyArray<string>) => Effect.Effect<void, SourceError>
  /** Removes a schedule, and the job that it has made for its next tick. */
  readonly dropSchedule: (schedule: ImportedSchedule) => Effect.Effect<void, SourceError>
}
