/** Attempts whose handlers have steps, without a pool: a test says when each goes on, fails or dies. */
import { Effect, Schema } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import * as StepOptions from "../../src/domain/StepOptions.ts"
import type { PlainSchema } from "../../src/domain/TaskDefinition.ts"
import type { ClaimedTask } from "../../src/domain/TaskRecord.ts"
import * as StepCodec from "../../src/flow/StepCodec.ts"
import { Steps } from "../../src/flow/Steps.ts"
import { type Change, RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { Snoozed } from "../../src/worker/Attempt.ts"

/** Effects that were run, in their order: what must not happen twice. */
export type Ledger = Array<string>

/** What becomes of the next put. */
export type Fault = "before" | "after" | undefined

/** One attempt. */
export interface StepAttempt {
  readonly steps: Steps
  /** Runs a step that notes its name and the attempt, and gives its name. */
  readonly step: (name: string) => Effect.Effect<string>
  /** The same with another effect, or schemas. */
  readonly stepOf: <A, E>(
    name: string,
    effect: Effect.Effect<A, E>,
    success?: PlainSchema,
    error?: PlainSchema
  ) => Effect.Effect<any, E>
  readonly ledger: Ledger
  readonly puts: Array<ReadonlyArray<Change>>
  readonly reads: { count: number }
  /** The next put fails: it was not done, or it was and its answer is lost. */
  readonly fault: { next: Fault }
  /** Done before the next put that has such a record. */
  readonly before: { kind?: string; effect?: Effect.Effect<unknown, unknown> }
}

/** Begins an attempt. Attempts at one task share their ledger. */
export const begin = Effect.fnUntraced(function*(
  task: ClaimedTask,
  ledger: Ledger,
  settings: StepOptions.StepSettings = {}
): Effect.fn.Return<StepAttempt, never, RecordStore | TaskStore> {
  const records = yield* RecordStore
  const tasks = yield* TaskStore
  const puts: Array<ReadonlyArray<Change>> = []
  const reads = { count: 0 }
  const fault: { next: Fault } = { next: undefined }
  const before: StepAttempt["before"] = {}
  const lost = new StoreError({ operation: "put", reason: "the test said so" })
  const watched: RecordStore["Service"] = {
    ...records,
    get: (kind, ids) => {
      reads.count++
      return records.get(kind, ids)
    },
    put: (changes, nonce) =>
      Effect.suspend(() => {
        const { effect, kind } = before
        if (effect !== undefined && changes.some((change) => change.kind === kind)) {
          delete before.effect
          return Effect.andThen(Effect.orDie(effect), watched.put(changes, nonce))
        }
        puts.push(changes)
        const { next } = fault
        fault.next = undefined
        return next === "before"
          ? Effect.fail(lost)
          : next === "after"
          ? Effect.andThen(records.put(changes, nonce), Effect.fail(lost))
          : records.put(changes, nonce)
      })
  }
  const read = (id: string) => {
    reads.count++
    return tasks.get(id)
  }
  const steps = new Steps(task, StepOptions.of(settings), {
    records: watched,
    read,
    random: Effect.succeed(`random-${task.id}`),
    put: watched.put,
    inTransaction: tasks.inTransaction
  }, Snoozed.now)
  const stepOf: StepAttempt["stepOf"] = (name, effect, success, error) =>
    steps.run(name, effect, StepCodec.make(success, error))
  return {
    steps,
    ledger,
    puts,
    reads,
    fault,
    before,
    stepOf,
    step: (name) =>
      stepOf(
        name,
        Effect.sync(() => {
          ledger.push(`${name} in ${task.attempt}`)
          return name
        }),
        Schema.String
      )
  }
})
