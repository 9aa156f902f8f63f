/**
 * Moves what a survey has found.
 *
 * A drain does it job by job so that none is lost and none runs on both sides: a job is held first, where the workers of
 * its source do not look; then its task is stored; and only then the job is removed. What is refused here is put back.
 * After a crash in between, the job is still held, and the next import goes on with it: its task has the same id.
 */
import { Effect, Result } from "effect"
import type { ImportedJob, Part, Source, SourceError } from "./ImportedJob.ts"
import * as Mapping from "./Mapping.ts"
import { isRead, maxReadOf, type Survey, Tally } from "./Survey.ts"

/** The place where tasks and schedules go. */
export interface Destination<E, R> {
  /** Stores all or none, and answers the ids that now stand for them, and which were there before. */
  readonly submit: (
    tasks: ReadonlyArray<Mapping.MappedTask>
  ) => Effect.Effect<ReadonlyArray<{ readonly id: string; readonly duplicate: boolean }>, E, R>
  /** Sets a schedule unless there is one of its name: answers whether it is new. */
  readonly setSchedule: (schedule: Mapping.MappedSchedule) => Effect.Effect<boolean, E, R>
  /** Why what was sent is refused for good; nothing where the error is about something else. */
  readonly refusal: (error: E) => string | undefined
}

/** What was done. */
export interface Report {
  created: number
  /** Tasks that an earlier import had made. */
  existed: number
  /** Jobs whose key a task had already. */
  merged: number
  removed: number
  /** Jobs that workers of the source took in the meantime. */
  taken: number
  schedulesCreated: number
  schedulesExisted: number
  readonly leftOut: Tally
}

/** Moves it. With `drain`, what is stored is removed from its source. */
export const run = Effect.fnUntraced(function*<E, R, R2>(
  source: Source,
  { urgencies }: Survey,
  wishes: Mapping.Wishes,
  destination: Destination<E, R>,
  drain: boolean,
  onPage: (done: number) => Effect.Effect<void, never, R2>
): Effect.fn.Return<Report, E | SourceError, R | R2> {
  const report: Report = {
    created: 0,
    existed: 0,
    merged: 0,
    removed: 0,
    taken: 0,
    schedulesCreated: 0,
    schedulesExisted: 0,
    leftOut: new Tally()
  }
  let done = 0

  /** Stores what it can, in halves where something is refused, and answers the jobs that are stored. */
  const store = (
    moves: ReadonlyArray<Move>
  ): Effect.Effect<ReadonlyArray<ImportedJob>, E, R> =>
    moves.length === 0 ? Effect.succeed([]) : Effect.matchEffect(destination.submit(moves.map(({ task }) => task)), {
      onFailure: (error) => {
        const reason = destination.refusal(error)
        if (reason === undefined) return Effect.fail(error)
        if (moves.length === 1) {
          report.leftOut.add(reason, `${moves[0]!.job.queue}:${moves[0]!.job.id}`)
          return Effect.succeed([])
        }
        const middle = Math.ceil(moves.length / 2)
        return Effect.zipWith(
          store(moves.slice(0, middle)),
          Effect.suspend(() => store(moves.slice(middle))),
          (one, other) => [...one, ...other]
        )
      },
      onSuccess: (stored) => {
        const own: Array<ImportedJob> = []
        for (const [index, { duplicate, id }] of stored.entries()) {
          const { job, task } = moves[index]!
          if (id !== task.id) report.merged++
          else {
            own.push(job)
            if (duplicate) report.existed++
            else report.created++
          }
        }
        return Effect.succeed(own)
      }
    })

  /** Moves a page and answers the jobs that stay in their place. */
  const move = Effect.fnUntraced(function*(part: Part, jobs: ReadonlyArray<ImportedJob>) {
    const moves: Array<Move> = []
    for (const job of jobs) {
      const task = Mapping.taskOf(source.peer, job, wishes, urgencies)
      if (Result.isSuccess(task)) moves.push({ job, task: task.success })
      else report.leftOut.add(task.failure, `${job.queue}:${job.id}`)
    }
    if (!drain && !part.isHeld) {
      yield* store(moves)
      return jobs
    }
    const held = part.isHeld
      ? new Set(moves.map(({ job }) => job.id))
      : yield* source.hold(part, moves.map(({ job }) => job))
    const ours = moves.filter(({ job }) => held.has(job.id))
    report.taken += moves.length - ours.length
    const stored = yield* store(ours)
    const isStored = new Set(stored.map(({ id }) => id))
    yield* source.drop(part.queue, [...isStored])
    report.removed += isStored.size
    // What was held before and is refused now is put back as well
    yield* source.release(
      part.queue,
      (part.isHeld ? jobs : ours.map(({ job }) => job)).map(({ id }) => id).filter((id) => !isStored.has(id))
    )
    return part.isHeld ? [] : jobs.filter(({ id }) => !isStored.has(id))
  })

  for (const part of source.parts) {
    if (!isRead(part.state, wishes)) continue
    let after: string | undefined
    for (let read = 0; read <= maxReadOf(part.count);) {
      const jobs = yield* source.page(part, after)
      if (jobs.length === 0) break
      const staying = yield* move(part, jobs)
      read += jobs.length
      done += jobs.length
      after = staying.at(-1)?.cursor ?? after
      yield* onPage(done)
    }
  }
  for (const schedule of source.schedules) {
    const mapped = Mapping.scheduleOf(source.peer, schedule, wishes, urgencies)
    const refused = Result.isFailure(mapped) ? mapped.failure : yield* Effect.matchEffect(
      destination.setSchedule(mapped.success),
      {
        onFailure: (error) => {
          const reason = destination.refusal(error)
          return reason === undefined ? Effect.fail(error) : Effect.succeed(reason)
        },
        onSuccess: (isNew) => {
          if (isNew) report.schedulesCreated++
          else report.schedulesExisted++
          return Effect.void
        }
      }
    )
    if (refused !== undefined) report.leftOut.add(refused, `schedule ${schedule.queue}:${schedule.id}`)
    else if (drain) yield* source.dropSchedule(schedule)
  }
  return report
})

/** A job, and the task that it becomes. */
interface Move {
  readonly job: ImportedJob
  readonly task: Mapping.MappedTask
}
