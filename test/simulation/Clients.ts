/** What clients and operators do through an instance, with the patience of real ones: a store error is tried again. */
import { Cause, Effect, Exit, Schedule } from "effect"
import * as Breaker from "../../src/domain/Breaker.ts"
import * as Gate from "../../src/domain/Gate.ts"
import * as Submission from "../../src/queue/Submission.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as BreakerRecords from "../../src/store/BreakerRecords.ts"
import { absent, RecordStore } from "../../src/store/RecordStore.ts"
import type * as Task from "../../src/Task.ts"
import type { Process } from "./Cluster.ts"
import * as Records from "./Records.ts"
import { type Action, breakerPass, type BreakerStep, type GateStep } from "./Scenario.ts"
import { Dependency, types } from "./Tasks.ts"
import type { Witness } from "./Witness.ts"

export type { Action } from "./Scenario.ts"

const untilTheStoreAnswers = {
  while: (error: { readonly _tag: string }) => error._tag === "StoreError",
  schedule: Schedule.spaced("300 millis")
}

/** Another one may have put it in between. */
const untilItIsDone = {
  while: (error: { readonly _tag: string }) => error._tag === "StoreError" || error._tag === "RecordConflict",
  schedule: Schedule.spaced("300 millis")
}

const putGate = Effect.fnUntraced(function*({ document, id, kind }: GateStep) {
  const records = yield* RecordStore
  const [known] = yield* records.get(kind, [id])
  if (known === undefined && document === null) return
  const text = document === null ? null : JSON.stringify(document)
  yield* records.put([{ kind, id, expects: known?.version ?? absent, document: text }])
})

const changeBreaker = ({ openForMs }: BreakerStep) =>
  BreakerRecords.change(
    breakerPass,
    Dependency.settings,
    (state, now) =>
      openForMs === null ? null : Breaker.openedByHand(state, openForMs, { by: "operator", reason: null }, now)
  )

/** Does it under a name of its own, and tells the witness what came of it. */
export const perform = Effect.fnUntraced(function*(
  action: Action,
  name: string,
  witness: Witness,
  process: Process,
  now: () => number
) {
  const queue = yield* TaskQueue
  switch (action.do) {
    case "enqueue": {
      const submissions: Array<Submission.Submission> = []
      for (const { id, ms, passes, script, type, ...options } of action.tasks) {
        const payload = { script, ms }
        const submission = Submission.fromPayload(
          types[type],
          payload,
          {
            id,
            key: options.key,
            priority: options.priority,
            delay: options.delayMs,
            maxRetries: options.maxRetries,
            expiresIn: options.expiresInMs
          },
          0
        )
        const gated = Gate.gated(passes.map((pass) => [pass, pass.startsWith("r") ? 1.5 : 1]))
        submissions.push({ ...yield* submission, gated })
      }
      const exit = yield* Effect.exit(Effect.retry(queue.submit(submissions, action.whenFull), untilTheStoreAnswers))
      if (Exit.isFailure(exit)) return
      const ids = exit.value.map(({ id }) => id)
      witness.saw({ _tag: "Answered", at: now(), process: process.name, call: { do: "enqueue", ids } })
      if (action.awaits) {
        yield* Effect.forEach(
          exit.value.map(({ id }, index) => ({ id, type: action.tasks[index]!.type })),
          ({ id, type }) => awaitResult(id, types[type], witness, process, now),
          { concurrency: "unbounded", discard: true }
        )
      }
      return
    }
    case "await":
      return yield* awaitResult(action.id, types.work, witness, process, now)
    case "cancel":
      return yield* Effect.ignore(Effect.retry(queue.cancel(action.id), untilTheStoreAnswers))
    case "rerun":
      return yield* Effect.ignore(Effect.retry(queue.rerun(action.id), untilTheStoreAnswers))
    case "remove":
      return yield* Effect.ignore(Effect.retry(queue.remove(action.id), untilTheStoreAnswers))
    case "pause":
      return yield* Effect.ignore(Effect.retry(queue.pause(action.queue), untilTheStoreAnswers))
    case "resume":
      return yield* Effect.ignore(Effect.retry(queue.resume(action.queue), untilTheStoreAnswers))
    case "gate":
      return yield* Effect.retry(putGate(action), untilItIsDone)
    case "breaker":
      return yield* Effect.retry(changeBreaker(action), untilItIsDone)
    case "append": {
      const { logs } = action
      yield* Records.append(name, name, logs)
      return witness.saw({ _tag: "Answered", at: now(), process: process.name, call: { do: "append", name, logs } })
    }
    case "remind": {
      const made = yield* Records.remind(name, name, action.id, action.dueInMs)
      const call = { do: "remind", name, logs: [Records.doneLog] } as const
      return made ? witness.saw({ _tag: "Answered", at: now(), process: process.name, call }) : undefined
    }
    case "look":
      yield* Effect.ignore(queue.list({ limit: 5 }))
      yield* Effect.ignore(queue.queues({ limit: 1 }))
      return yield* Effect.ignore(queue.counts)
  }
})

const awaitResult = Effect.fnUntraced(function*(
  id: string,
  definition: Task.Task<string, any, any, any>,
  witness: Witness,
  process: Process,
  now: () => number
) {
  const handle = yield* definition.handle(id)
  const exit = yield* Effect.exit(handle.result)
  const outcome = Exit.isSuccess(exit) ? "completed" : tagOf(exit.cause)
  const of = Exit.isSuccess(exit) ? JSON.stringify(exit.value) : undefined
  witness.saw({ _tag: "Answered", at: now(), process: process.name, call: { do: "result", id, outcome, of } })
})

const tagOf = (cause: Cause.Cause<unknown>): string => {
  const error = cause.reasons.find(Cause.isFailReason)?.error
  return error === undefined ? "interrupted" : String((error as { readonly _tag?: string })._tag)
}
