/** What clients and operators do through an instance, with the patience of real ones: a store error is tried again. */
import { Cause, DateTime, Effect, Exit, Schedule } from "effect"
import { DurableDeferred, WorkflowEngine } from "effect/workflow"
import * as Breaker from "../../src/domain/Breaker.ts"
import * as Gate from "../../src/domain/Gate.ts"
import * as Submission from "../../src/queue/Submission.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as ScheduleRecords from "../../src/schedule/ScheduleRecords.ts"
import { Schedules } from "../../src/schedule/Schedules.ts"
import * as BreakerRecords from "../../src/store/BreakerRecords.ts"
import { absent, RecordStore } from "../../src/store/RecordStore.ts"
import type * as Task from "../../src/Task.ts"
import { type Callback, callbackId } from "./Batches.ts"
import type { Process } from "./Cluster.ts"
import { Approval, Order } from "./Executions.ts"
import { Denied, Flow, Go } from "./Flows.ts"
import * as Records from "./Records.ts"
import {
  type Action,
  breakerPass,
  type BreakerStep,
  type GateStep,
  type Submission as ScenarioSubmission,
  type Unique
} from "./Scenario.ts"
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

/** A task on its way into the store, with passes that no limit of its type has made. */
const submissionOf = (
  { ms, passes, script, type }: Pick<ScenarioSubmission, "type" | "script" | "ms" | "passes">,
  options: Submission.EnqueueOptions
) =>
  Exit.map(Submission.fromPayload(types[type], { script, ms }, options, 0), (submission): Submission.Submission => ({
    ...submission,
    gated: Gate.gated(passes.map((pass) => [pass, pass.startsWith("r") ? 1.5 : 1]))
  }))

/** What is postponed has no time of its own. */
const optionsOf = (
  key: string,
  { byMs, maxMs, onConflict, window }: Unique,
  delayMs: number
): Submission.EnqueueOptions =>
  onConflict === "postpone"
    ? { unique: { key, window, onConflict, postpone: { by: byMs, maxDelay: maxMs } } }
    : { unique: { key, window, onConflict }, delay: delayMs }

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
      for (const task of action.tasks) {
        const { after = [], delayMs, expiresInMs, id, key, maxRetries, onFailure, priority, queue } = task
        const { startWithinMs, unique } = task
        submissions.push(
          yield* submissionOf(task, {
            id,
            priority,
            maxRetries,
            queue,
            expiresIn: expiresInMs,
            startWithin: startWithinMs,
            ...after.length === 0 ? {} : { after, onFailure },
            ...unique === undefined ? { key, delay: delayMs } : optionsOf(key!, unique, delayMs)
          })
        )
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
    case "reschedule": {
      const { delayMs: delay, id, priority, startWithinMs: startWithin, to } = action
      const payload = to === undefined ? undefined : yield* submissionOf(to, {})
      return yield* Effect.ignore(
        Effect.retry(queue.reschedule(id, { payload, priority, delay, startWithin }), untilTheStoreAnswers)
      )
    }
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
    case "schedule": {
      const { everyMs, forMs, missed, ms, name, overlap } = action
      const set = Effect.gen(function*() {
        const start = yield* ScheduleRecords.now
        const endAt = DateTime.makeUnsafe(start + forMs)
        const scheduled = types.work.schedule({ every: everyMs, start }, { script: ["ok"], ms }, {
          endAt,
          missed,
          overlap
        })
        return yield* Schedules.set(name, scheduled)
      })
      return yield* Effect.ignore(Effect.retry(set, untilTheStoreAnswers))
    }
    case "pause schedule":
      return yield* Effect.ignore(Effect.retry(Schedules.pause(action.name), untilTheStoreAnswers))
    case "resume schedule":
      return yield* Effect.ignore(Effect.retry(Schedules.resume(action.name), untilTheStoreAnswers))
    case "run schedule":
      return yield* Effect.ignore(Effect.retry(Schedules.runNow(action.name), untilTheStoreAnswers))
    case "batch": {
      const { id } = action
      const given: Partial<Record<Callback, Submission.Submission>> = {}
      for (const callback of action.callbacks) {
        given[callback] = yield* submissionOf({ type: "work", script: ["ok"], ms: 5, passes: [] }, {
          id: callbackId(id, callback)
        })
      }
      return yield* Effect.ignore(Effect.retry(queue.batches.create({ id, ...given }), untilTheStoreAnswers))
    }
    case "add": {
      const { addition, batch, whenFull } = action
      const members = yield* Effect.forEach(action.members, (member) =>
        submissionOf(member, {
          id: member.id === "" ? undefined : member.id,
          delay: member.delayMs,
          expiresIn: member.expiresInMs,
          maxRetries: member.maxRetries,
          priority: member.priority
        }))
      const add = queue.batches.add(batch, members, { addition, whenFull })
      return yield* Effect.ignore(Effect.retry(add, untilTheStoreAnswers))
    }
    case "seal":
      return yield* Effect.ignore(Effect.retry(queue.batches.seal(action.batch), untilTheStoreAnswers))
    case "cancel batch":
      return yield* Effect.ignore(Effect.retry(queue.batches.cancel(action.batch), untilTheStoreAnswers))
    case "execute": {
      const engine = yield* WorkflowEngine.WorkflowEngine
      const { id, plan } = action
      return yield* engine.execute(Order, { executionId: id, payload: { key: id, ...plan }, discard: true })
    }
    case "approve": {
      const token = DurableDeferred.tokenFromExecutionId(Approval, { workflow: Order, executionId: action.id })
      return yield* DurableDeferred.succeed(Approval, { token, value: action.by })
    }
    case "interrupt":
      return yield* Order.interrupt(action.id)
    case "flow": {
      const { event, id, maxRetries, ms, patienceMs, restMs, script } = action
      const exit = yield* Effect.exit(Effect.retry(
        Flow.enqueue({ script, ms, restMs, patienceMs, event }, { id, maxRetries }),
        untilTheStoreAnswers
      ))
      if (Exit.isSuccess(exit)) {
        witness.saw({ _tag: "Answered", at: now(), process: process.name, call: { do: "enqueue", ids: [id] } })
      }
      return
    }
    case "signal": {
      const { by, of } = action
      const token = "token" in of
        ? of.token
        : "event" in of
        ? Go.event(of.event).token
        : witness.tokens.get(of.task)
      if (token === undefined) return
      const error = new Denied({ by })
      const complete = by < 0 ? Go.fail(token, error) : Go.complete(token, { by })
      const outcome = yield* Effect.match(Effect.retry(complete, untilTheStoreAnswers), {
        onSuccess: () => "completed",
        onFailure: ({ _tag }) => _tag
      })
      const call = { do: "signal", token, by, outcome } as const
      return witness.saw({ _tag: "Answered", at: now(), process: process.name, call })
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
