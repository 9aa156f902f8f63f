/** What becomes of a job and of a schedule of another queue here, or why nothing does. */
import { DateTime, Result } from "effect"
import { createHash } from "node:crypto"
import * as Bounds from "../domain/Bounds.ts"
import { inexactIn } from "../domain/ExactJson.ts"
import { type ImportedJob, type ImportedSchedule, type Peer, peers } from "./ImportedJob.ts"
import type { Urgencies } from "./Urgency.ts"

/** How a person wants it. */
export interface Wishes {
  /** Names of types here by those there: a job's name, or `queue/name`. */
  readonly types: ReadonlyMap<string, string>
  /** The queue here, instead of the one that has the name of the queue there. */
  readonly into?: string
  /** Whether failed jobs come as waiting ones. */
  readonly failed: boolean
  /** The types that there are here. */
  readonly known: ReadonlySet<string>
}

/** A task as the API takes it. */
export interface MappedTask {
  readonly id: string
  readonly type: string
  readonly queue?: string
  readonly payload: unknown
  readonly priority: number
  readonly max_retries: number
  readonly run_at?: string
  readonly unique?: { readonly key: string; readonly window: "waiting" | "unfinished" | number }
}

/** A schedule as the API takes it. */
export interface MappedSchedule {
  readonly name: string
  readonly timetable: object
  readonly task: object
  readonly type: string
}

/** The id of the task that is made of a job: always the same, so that a second import makes nothing twice. */
const taskIdOf = (peer: Peer, { id, queue, stamp }: Pick<ImportedJob, "id" | "queue" | "stamp">): string =>
  named(`${peer}:${queue}:${id}:${stamp}`, peer)

/** The name of the schedule that is made of one. */
const scheduleNameOf = (peer: Peer, { id, queue }: Pick<ImportedSchedule, "id" | "queue">): string =>
  named(`${peer}:${queue}:${id}`, peer)

const named = (text: string, peer: Peer): string =>
  text.length <= Bounds.maxIdLength && Bounds.isStorable(text)
    ? text
    : `${peer}:${createHash("sha256").update(text).digest("hex")}`

/** The task of a job, or the reason for none. */
export const taskOf = (
  peer: Peer,
  job: ImportedJob,
  wishes: Wishes,
  urgencies: Urgencies
): Result.Result<MappedTask, string> => {
  if (job.state === "failed" && !wishes.failed) return Result.fail("failed; --failed makes them wait again")
  if (job.unfit !== undefined) return Result.fail(job.unfit)
  return Result.flatMap(typeAndPayload(peer, job, wishes), ({ payload, type, ...where }) => {
    const { dueAt, key, maxAttempts } = job
    const isFuture = dueAt !== undefined && job.state === "delayed"
    if (isFuture && !isInstant(dueAt)) return Result.fail("due after the year 9999")
    if (key !== undefined && !Bounds.key.accepts(key.key)) {
      return Result.fail(`a key that is not ${Bounds.key.expected}`)
    }
    const made = job.state === "failed" ? 0 : job.attemptsMade
    return Result.succeed({
      id: taskIdOf(peer, job),
      type,
      ...where,
      payload,
      priority: urgencies.levelOf(scopeOf(peer, job), job.urgency),
      max_retries: retriesOf(maxAttempts - made),
      ...isFuture && { run_at: isoOf(dueAt) },
      ...key !== undefined && { unique: { key: key.key, window: key.forMs ?? key.until ?? "unfinished" } }
    })
  })
}

/** The schedule of one, or the reason for none. */
export const scheduleOf = (
  peer: Peer,
  schedule: ImportedSchedule,
  wishes: Wishes,
  urgencies: Urgencies
): Result.Result<MappedSchedule, string> => {
  if (schedule.unfit !== undefined) return Result.fail(schedule.unfit)
  const { cron, endAt, everyMs, maxAttempts, startAt, timeZone } = schedule
  if (!isInstant(startAt) || !isInstant(endAt)) return Result.fail("a time after the year 9999")
  return Result.map(typeAndPayload(peer, schedule, wishes), ({ payload, type, ...where }) => ({
    name: scheduleNameOf(peer, schedule),
    type,
    timetable: {
      ...cron !== undefined && { cron, ...timeZone !== undefined && { time_zone: timeZone } },
      ...everyMs !== undefined && {
        every: everyMs,
        ...startAt !== undefined && { start: isoOf(startAt) }
      },
      ...endAt !== undefined && { end_at: isoOf(endAt) }
    },
    task: {
      type,
      ...where,
      payload,
      priority: urgencies.levelOf(scopeOf(peer, schedule), schedule.urgency),
      max_retries: retriesOf(maxAttempts)
    }
  }))
}

/** Jobs whose priorities are compared with each other. */
export const scopeOf = (peer: Peer, { queue }: Pick<ImportedJob, "queue">): string =>
  peers[peer].isOneOrder ? "" : queue

const isoOf = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

const isInstant = (millis: number | undefined): boolean =>
  millis === undefined || millis >= 0 && millis <= Bounds.maxRunAt

const retriesOf = (attemptsLeft: number): number =>
  attemptsLeft === Infinity
    ? Bounds.unlimitedRetries
    : Math.max(0, Math.min(Bounds.maxRetryCount, Math.trunc(attemptsLeft) - 1 || 0))

/** The name of the type here. */
const typeOf = ({ name, queue }: Pick<ImportedJob, "name" | "queue">, { types }: Wishes): string =>
  types.get(`${queue}/${name}`) ?? types.get(name) ?? name

const typeAndPayload = (
  peer: Peer,
  job: Pick<ImportedJob, "data" | "name" | "queue">,
  wishes: Wishes
): Result.Result<{ readonly type: string; readonly queue?: string; readonly payload: unknown }, string> => {
  const type = typeOf(job, wishes)
  const queue = wishes.into ?? (peers[peer].hasTypes ? job.queue : undefined)
  if (!Bounds.name.accepts(type)) return Result.fail(`a name that no type can have; --map OLD=NEW gives another`)
  if (queue !== undefined && !Bounds.name.accepts(queue)) {
    return Result.fail(`a queue whose name none can have; --into names another`)
  }
  if (!wishes.known.has(type)) return Result.fail(`the type ${JSON.stringify(type)} is not known here`)
  const bytes = Buffer.byteLength(job.data)
  if (bytes > Bounds.maxPayloadBytes) return Result.fail(`a payload of more than ${Bounds.maxPayloadBytes} bytes`)
  try {
    const payload: unknown = JSON.parse(job.data)
    const inexact = inexactIn(job.data)
    return inexact === undefined
      ? Result.succeed({ type, payload, ...queue !== undefined && { queue } })
      : Result.fail("data with a number that is not kept exactly")
  } catch {
    return Result.fail("data that is no JSON")
  }
}
