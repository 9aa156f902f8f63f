/** Runs the engine's own tasks of batches: see `flow/BatchRecords` for what they are. Each may run twice and does the same then. */
import { Duration, Effect, Layer } from "effect"
import { BatchFailed } from "../domain/BatchErrors.ts"
import * as Bounds from "../domain/Bounds.ts"
import type { RecordConflict, StoreError } from "../domain/Errors.ts"
import * as BatchEnd from "../flow/BatchEnd.ts"
import { cancelMembers } from "../flow/BatchMembers.ts"
import * as BatchRecords from "../flow/BatchRecords.ts"
import * as BatchSweep from "../flow/BatchSweep.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { absent, type Change, RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { type Handler, type HandlerRegistry, registered } from "./HandlerRegistry.ts"
import type { HandlerContext } from "./TaskContext.ts"

/** How often it is looked whether the record of a batch has to be deleted. */
const sweepEvery = Duration.minutes(1)

/** How long after one look at a record the next one is. */
const againIn = Duration.hours(6)

type Stores = TaskStore | RecordStore

const handler = Effect.map(
  Effect.context<Stores>(),
  (stores): Handler["run"] => (input, context) =>
    Effect.provideContext(run(input as BatchRecords.Input, context), stores)
)

const sweeper = Effect.gen(function*() {
  const tasks = yield* TaskStore
  const supervisor = yield* Supervisor
  const onRecords = yield* Effect.context<RecordStore>()
  const sweep = Effect.provideContext(BatchSweep.sweep(tasks, Duration.toMillis(againIn)), onRecords)
  yield* supervisor.rounds(
    "batch sweeper",
    Effect.map(sweep, (nextInMs) => Math.min(Duration.toMillis(sweepEvery), nextInMs))
  )
})

/** Runs those tasks, and deletes what is kept of batches that are gone, until the scope closes. */
export const layer: Layer.Layer<never, never, HandlerRegistry | Supervisor | TaskStore | RecordStore> = Layer.merge(
  registered<Handler["run"], Stores, never, Stores>(BatchRecords.definition, handler, (run) => run),
  Layer.effectDiscard(sweeper)
)

type Own = Pick<HandlerContext<unknown>, "id" | "claim" | "snooze">

/** What one of those tasks does. */
export const run = (
  { batch, part, role }: BatchRecords.Input,
  own: Own
): Effect.Effect<BatchRecords.Summary | null, BatchFailed | StoreError, Stores> => {
  switch (role) {
    case "end":
      return end(batch, own)
    case "failure":
      return Effect.map(BatchRecords.read(batch), (known) => known === undefined ? null : summaryOf(batch, known.batch))
    case "part":
      return Effect.as(count(batch, part!, own), null)
    case "watch":
      return Effect.succeed(null)
    case "alarm":
      return Effect.as(alarm(batch, part!), null)
    case "cancel":
      return Effect.as(cancelMembers(batch), null)
  }
}

const summaryOf = (batch: string, { ends, members }: BatchRecords.Batch): BatchRecords.Summary => ({
  batch,
  total: members,
  ...ends
})

/** The end of a batch, which its callbacks wait for. It may have been brought forward by hand, and sleeps on then. */
const end = Effect.fnUntraced(function*(id: string, { snooze }: Own) {
  const known = yield* BatchRecords.read(id)
  if (known === undefined) return null
  const { batch } = known
  if (!batch.isFinished) return yield* snooze(Bounds.maxDelay)
  const summary = summaryOf(id, batch)
  if (batch.ends.completed < batch.members) return yield* new BatchFailed(summary)
  return summary
})

/** Looks why it runs: a member has not completed, or all of its part have. */
const alarm = Effect.fnUntraced(function*(id: string, part: string) {
  const known = yield* BatchRecords.read(id)
  const tasks = yield* TaskStore
  const [watch] = yield* tasks.results([BatchRecords.watchId(id, part)])
  if (known !== undefined && watch?.state !== "completed") {
    yield* BatchEnd.makeDue(tasks, BatchRecords.failureId(id), known.batch.queue)
  }
})

/** What a part becomes whose members have ended. Those that were run again before this are a part of their own. */
const counted = (
  id: string,
  key: string,
  { ends, unfinished }: { readonly ends: BatchRecords.Ends; readonly unfinished: ReadonlyArray<string> },
  batch: BatchRecords.Batch,
  part: { readonly version: number; readonly part: BatchRecords.Part }
) => {
  const found = BatchRecords.countOf(ends) + unfinished.length
  const isOpen = unfinished.length > 0
  const openParts = batch.openParts - (isOpen ? 0 : 1)
  const next: BatchRecords.Batch = {
    ...batch,
    parts: batch.parts + (isOpen ? 1 : 0),
    openParts,
    // a task that was added twice in one part is one member
    members: batch.members - part.part.members + found,
    ends: BatchRecords.plus(batch.ends, ends),
    isFinished: batch.isSealed && openParts === 0
  }
  const isNamed = key.startsWith("=")
  const done: Change = isNamed
    ? BatchRecords.partChange(id, key, part.version, { members: 0, isCounted: true })
    : { kind: BatchRecords.partKind, id: BatchRecords.partId(id, key), expects: part.version, document: null }
  if (!isOpen) return { next, changes: [done], tasks: [] }
  const again = String(next.parts)
  return {
    next,
    changes: [done, BatchRecords.partChange(id, again, absent, { members: unfinished.length })],
    tasks: BatchRecords.tasksOfPart(id, again, next, unfinished)
  }
}

/** Counts the members of a part, and finishes the batch when they were the last ones. */
const count = Effect.fnUntraced(function*(
  id: string,
  key: string,
  own: Own
): Effect.fn.Return<void, StoreError, Stores> {
  const tasks = yield* TaskStore
  const records = yield* RecordStore
  const members = (yield* tasks.edges(own.id))?.after ?? []
  let tries = 0
  const batch = yield* BatchRecords.repeated(Effect.gen(function*(): Effect.fn.Return<
    BatchRecords.Batch | undefined,
    StoreError | RecordConflict,
    RecordStore
  > {
    const known = yield* BatchRecords.read(id)
    const part = yield* BatchRecords.readPart(id, key)
    if (known === undefined || part === undefined || part.part.isCounted === true) return known?.batch
    const ends = yield* BatchRecords.endsOf(tasks, members.map(({ id }) => id))
    const { changes, next, tasks: again } = counted(id, key, ends, known.batch, part)
    yield* records.atomically(`${own.id}/${own.claim}/${tries++}`, {
      changes: [BatchRecords.changeOf(id, known.version, next), ...changes],
      tasks: again
    }).pipe(
      // the bounds of records are kept, no attempt is ended, and the members are stored
      Effect.catchTags({
        InvalidOption: Effect.die,
        LeaseLost: Effect.die,
        KeyConflict: Effect.die,
        UnknownDependency: Effect.die,
        DependencyCycle: Effect.die,
        // as any defect, it is tried again
        QueueFull: Effect.die
      })
    )
    return next
  }))
  if (batch?.isFinished === true) yield* BatchEnd.finish(tasks, id, batch)
})
