/** Looks through a source and changes nothing: what would be imported, and what would not, and why. */
import { Effect, Result } from "effect"
import type { ImportedJob, Source, SourceError } from "./ImportedJob.ts"
import * as Mapping from "./Mapping.ts"
import { Urgencies } from "./Urgency.ts"

/** Tasks of a sample, reasons and other texts that are kept at max. */
const max = { sample: 5, reasons: 100, backoffs: 20 }

/** Things counted by a text, with an example of each. */
export class Tally {
  readonly entries = new Map<string, { count: number; readonly example: string }>()
  total = 0

  /** Counts one. Texts beyond the bound are counted together. */
  add(text: string, example: string, maxTexts: number = max.reasons): void {
    this.total++
    const name = this.entries.has(text) || this.entries.size < maxTexts ? text : "other reasons"
    const entry = this.entries.get(name)
    if (entry === undefined) this.entries.set(name, { count: 1, example })
    else entry.count++
  }
}

/** What was found. */
export interface Survey {
  readonly urgencies: Urgencies
  /** Jobs that become tasks. */
  tasks: number
  readonly leftOut: Tally
  /** Ways to wait between attempts, which a type says here. */
  readonly backoffs: Tally
  readonly sample: Array<Mapping.MappedTask>
  readonly schedules: Array<Mapping.MappedSchedule>
}

/** Reads all jobs once. `onPage` is told how many there were so far. */
export const run = Effect.fnUntraced(function*<R>(
  source: Source,
  wishes: Mapping.Wishes,
  onPage: (read: number) => Effect.Effect<void, never, R>
): Effect.fn.Return<Survey, SourceError, R> {
  const survey: Survey = {
    urgencies: new Urgencies(),
    tasks: 0,
    leftOut: new Tally(),
    backoffs: new Tally(),
    sample: [],
    schedules: []
  }
  let read = 0
  const samples: Array<ImportedJob> = []
  yield* eachPage(source, wishes, (jobs) => {
    for (const job of jobs) {
      const { backoff, id, name, queue, urgency } = job
      survey.urgencies.add(Mapping.scopeOf(source.peer, job), urgency)
      const mapped = Mapping.taskOf(source.peer, job, wishes, survey.urgencies)
      if (Result.isFailure(mapped)) {
        survey.leftOut.add(mapped.failure, `${queue}:${id}`)
        continue
      }
      survey.tasks++
      if (samples.length < max.sample) samples.push(job)
      if (backoff !== undefined) survey.backoffs.add(`${mapped.success.type}: ${backoff}`, name, max.backoffs)
    }
    read += jobs.length
    return onPage(read)
  })
  for (const schedule of source.schedules) {
    survey.urgencies.add(Mapping.scopeOf(source.peer, schedule), schedule.urgency)
  }
  // The levels are known only now
  for (const job of samples) {
    const mapped = Mapping.taskOf(source.peer, job, wishes, survey.urgencies)
    if (Result.isSuccess(mapped)) survey.sample.push(mapped.success)
  }
  for (const schedule of source.schedules) {
    const mapped = Mapping.scheduleOf(source.peer, schedule, wishes, survey.urgencies)
    if (Result.isSuccess(mapped)) survey.schedules.push(mapped.success)
    else survey.leftOut.add(mapped.failure, `schedule ${schedule.queue}:${schedule.id}`)
  }
  return survey
})

/** Whether jobs in this state are read at all. */
export const isRead = (state: ImportedJob["state"], { failed }: Pick<Mapping.Wishes, "failed">): boolean =>
  state === "waiting" || state === "delayed" || state === "failed" && failed

/**
 * All pages of what is read. A source whose producers never rest has an end here: what was added since it was opened is
 * read as far as it is no more than there was.
 */
const eachPage = Effect.fnUntraced(function*<R>(
  source: Source,
  wishes: Mapping.Wishes,
  work: (jobs: ReadonlyArray<ImportedJob>) => Effect.Effect<void, never, R>
): Effect.fn.Return<void, SourceError, R> {
  for (const part of source.parts) {
    if (!isRead(part.state, wishes)) continue
    let after: string | undefined
    for (let read = 0; read <= maxReadOf(part.count);) {
      const jobs = yield* source.page(part, after)
      if (jobs.length === 0) break
      yield* work(jobs)
      read += jobs.length
      after = jobs.at(-1)!.cursor
    }
  }
})

/** Jobs that are read of a part at max. */
export const maxReadOf = (count: number): number => 2 * count + 10_000
