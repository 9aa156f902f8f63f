/** Schedules as they are stored: each is a record of the kind `schedule`, whose id is its name, due at its next tick. */
import { DateTime, Option, Schema } from "effect"
import { utc } from "../domain/StoredTime.ts"
import * as Timetable from "../domain/Timetable.ts"
import type { Change, StoredRecord } from "../store/RecordStore.ts"

/** The kind of these records. */
export const kind = "schedule"

/** Bytes of UTF-8 in the payload of a schedule: it is read and written at each tick. */
export const maxPayloadBytes: number = 64 * 1024

/** Ticks that a schedule remembers. */
const maxHistory = 25

/**
 * What became of a tick.
 *
 * - `made`: it has a task
 * - `missed`: no instance was there in time
 * - `overlap`: the task before it had not finished
 * - `unsuccessful`: the task before it had not completed
 * - `refused`: another task holds the key that its task would have
 * - `run`: no tick, but a task that was asked for by hand
 */
export const Outcome = Schema.Literals(["made", "missed", "overlap", "unsuccessful", "refused", "run"])

export type Outcome = typeof Outcome.Type

/** A tick of the past; with `missed`, several that followed one another. */
const Entry = Schema.Struct({
  tick: Schema.Int,
  outcome: Outcome,
  /** When that was decided, by the store's clock. */
  at: Schema.Int,
  /** Its task, unless it is the one of {@link taskIdOf}. */
  task: Schema.optionalKey(Schema.String),
  /** Of those that were missed together: the first one, and how many they were. */
  first: Schema.optionalKey(Schema.Int),
  count: Schema.optionalKey(Schema.Int),
  /** Who ran it by hand. */
  by: Schema.optionalKey(Schema.String)
})

export type Entry = typeof Entry.Type

/** What the tasks of a schedule are, besides their ids and times. */
const Template = Schema.Struct({
  type: Schema.String,
  /** Left out for the first. */
  version: Schema.optionalKey(Schema.Int),
  queue: Schema.String,
  /** JSON text. */
  payload: Schema.String,
  priority: Schema.Int,
  key: Schema.NullOr(Schema.String),
  unique: Schema.optionalKey(Schema.NullOr(Schema.Struct({
    window: Schema.Union([Schema.Literals(["waiting", "unfinished", "kept"]), Schema.Int]),
    onConflict: Schema.Literals(["return", "refuse", "replace", "postpone"]),
    byMs: Schema.Int,
    maxMs: Schema.NullOr(Schema.Int)
  }))),
  maxRetries: Schema.Int,
  timeoutMs: Schema.NullOr(Schema.Int),
  expiresInMs: Schema.NullOr(Schema.Int),
  /** Not in documents of earlier versions. */
  startWithinMs: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  /** JSON text. Left out where they have none. */
  tags: Schema.optionalKey(Schema.String),
  gate: Schema.NullOr(Schema.String),
  costs: Schema.NullOr(Schema.String)
})

/** Who set a schedule: a program that declares it, with what it declared, or a person. */
const Owner = Schema.Struct({
  /** The program that declares it. */
  program: Schema.optionalKey(Schema.String),
  /** What that program declared last, as a checksum. What is set by hand stays until it declares something else. */
  declared: Schema.optionalKey(Schema.String),
  by: Schema.optionalKey(Schema.String)
})

const Pause = Schema.Struct({
  at: Schema.Int,
  by: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String)
})

/** A document. */
export const Schedule = Schema.Struct({
  timetable: Timetable.Timetable,
  task: Template,
  missed: Schema.Literals(["skip", "once", "all"]),
  maxMissed: Schema.Int,
  overlap: Schema.Literals(["allow", "skip", "cancel"]),
  jitterMs: Schema.Int,
  startAt: Schema.NullOr(Schema.Int),
  endAt: Schema.NullOr(Schema.Int),
  onlyIf: Schema.NullOr(Schema.Literal("lastSucceeded")),
  owner: Owner,
  pause: Schema.NullOr(Pause),
  /** When it was set last. */
  changedAt: Schema.Int,
  /** Ticks up to here have been dealt with: the next one is the first behind it, whatever the clock shows. */
  after: Schema.Int,
  /** The id of the task that was made last. */
  lastTask: Schema.NullOr(Schema.String),
  made: Schema.Int,
  skipped: Schema.Int,
  /** The latest last. */
  history: Schema.Array(Entry)
})

export type Schedule = typeof Schedule.Type

/** A schedule with what its record says. */
export interface StoredSchedule extends Schedule {
  readonly name: string
  readonly version: number
  readonly dueAt: number | null
  readonly writtenAt: number
  /** The document as it was read: fields of later versions are in it, and stay. */
  readonly document: object
}

const decode = Schema.decodeUnknownOption(Schedule)
const encodeTimetable = Schema.encodeSync(Timetable.Timetable)

/**
 * A record, read; nothing where this process cannot read it: a later version has written it, or the process has no such zone.
 */
export const read = ({ document, dueAt, id, version, writtenAt }: StoredRecord): StoredSchedule | undefined => {
  const parsed = parse(document)
  const schedule = Option.getOrUndefined(decode(parsed))
  const timetable = schedule && known(schedule.timetable)
  return timetable === undefined
    ? undefined
    : { ...schedule!, timetable, name: id, version, dueAt, writtenAt, document: parsed as object }
}

/** Timetables that were read before: to find out what an expression means takes longer than its next tick. */
const seen = new Map<string, Timetable.Timetable>()
const maxSeen = 1000

/** A timetable as it was read first; nothing where it is one of no zone, or of no words, that this process has. */
const known = (timetable: Timetable.Timetable): Timetable.Timetable | undefined => {
  const text = JSON.stringify(timetable)
  const before = seen.get(text)
  if (before !== undefined) return before
  try {
    Timetable.next(timetable, 0)
  } catch {
    return undefined
  }
  if (seen.size >= maxSeen) seen.clear()
  seen.set(text, timetable)
  return timetable
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The change that writes a schedule in the place of a version of its record. */
export const changeOf = (
  name: string,
  schedule: Schedule,
  { dueAt, expects, over = {} }: {
    readonly expects: number
    readonly dueAt: number | null
    /** The document before. */
    readonly over?: object | undefined
  }
): Change => ({
  kind,
  id: name,
  expects,
  document: JSON.stringify({ ...over, ...fieldsOf(schedule), timetable: encodeTimetable(schedule.timetable) }),
  ...(dueAt === null ? {} : { dueAt })
})

const names = Object.keys(Schedule.fields) as ReadonlyArray<keyof Schedule>

/** What is stored of a schedule: what its record says besides is not in the document. */
const fieldsOf = (schedule: Schedule): object => {
  const fields: Partial<Record<keyof Schedule, unknown>> = {}
  for (const name of names) fields[name] = schedule[name]
  return fields
}

/** The id of the task of a tick: the same on every instance, so a tick that is repeated meets its own task. */
export const taskIdOf = (name: string, tick: number): string => `${name}@${DateTime.formatIso(utc(tick))}`

/** The task of an entry, if it has one. */
export const taskOf = (name: string, { outcome, task, tick }: Entry): string | null =>
  task ?? (outcome === "made" ? taskIdOf(name, tick) : null)

/** A history with more entries, the oldest dropped. */
export const remember = (history: ReadonlyArray<Entry>, entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> =>
  [...history, ...entries].slice(-maxHistory)
