/** Changing a task that waits: its payload, its priority, when it is due, or within which time it should start. */
import { type DateTime, Duration, Effect, Exit, type Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import {
  InvalidOption,
  type InvalidPayload,
  StateConflict,
  type StoreError,
  TaskNotFound,
  type UnknownTaskType
} from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as Priority from "../domain/Priority.ts"
import * as QueueLimits from "../domain/QueueLimits.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import type { RescheduleRequest } from "../store/Reschedule.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import { fromJson, type Submission } from "./Submission.ts"

/** What is changed besides the payload. What is left out stays. */
export interface RescheduleTimes {
  /** A name or an integer from 0 to 9. Not for a type with `orderBy`. */
  readonly priority?: Priority.PriorityInput | undefined
  /** The task is due so long from now. Not together with `runAt`. */
  readonly delay?: Duration.Input | undefined
  /** The time at which it is due. Not together with `delay`. */
  readonly runAt?: DateTime.DateTime | undefined
  /** The task should start so long after it is due: see `EnqueueOptions`. */
  readonly startWithin?: Duration.Input | undefined
}

/** What is changed about a task, where its type is known. */
export interface RescheduleOptions<out Payload> extends RescheduleTimes {
  /** The whole payload. A key that the definition makes of it has to be the one that the task has. */
  readonly payload?: Payload | undefined
}

/** What is changed about a task, with an encoded payload and its definition. */
export type RescheduleSubmission = RescheduleOptions<Submission>

/** Why a task is not changed. Only a remote queue fails with `UnknownTaskType` or `InvalidPayload`: its server may have other definitions. */
export type RescheduleError =
  | TaskNotFound
  | StateConflict
  | InvalidOption
  | InvalidPayload
  | UnknownTaskType
  | StoreError

const names: Bounds.Names<RescheduleOptions<unknown>> = { payload: 1, priority: 1, delay: 1, runAt: 1, startWithin: 1 }

/** Fails with the first option that is unknown or out of bounds, and where nothing is to be changed. */
export const check = (options: RescheduleOptions<unknown>): Effect.Effect<void, InvalidOption> => {
  const unknown = Bounds.refuseUnknown(options ?? null, names)
  if (unknown !== undefined) return Effect.fail(unknown)
  const { delay, payload, priority, runAt, startWithin } = options
  const given = [payload, priority, delay, runAt, startWithin].some((value) => value !== undefined)
  const invalid = Bounds.refuse("priority", Priority.bound, priority) ??
    Bounds.refuse("delay", Bounds.delay, delay) ??
    Bounds.refuse("runAt", Bounds.runAt, runAt) ??
    Bounds.refuse("startWithin", Bounds.span, startWithin) ??
    (delay === undefined || runAt === undefined
      ? undefined
      : new InvalidOption({ option: "delay", found: "given with runAt", expected: "one of both", index: 0 })) ??
    (given ? undefined : new InvalidOption({
      option: "payload",
      found: "left out",
      expected: "payload, priority, delay, runAt or startWithin, or some of them",
      index: 0
    }))
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}

/** The operation of a store. */
export const make = (store: TaskStore["Service"], rules: QueueLimits.Rules) =>
  Effect.fnUntraced(function*(
    id: string,
    options: RescheduleSubmission
  ): Effect.fn.Return<void, RescheduleError> {
    yield* check(options)
    const { delay, payload, priority, runAt, startWithin } = options
    const task = Bounds.isStorable(id) ? yield* store.get(id) : undefined
    if (task === undefined) return yield* new TaskNotFound({ id })
    const [answer] = yield* store.reschedule([{
      id,
      type: task.type,
      version: task.version,
      queue: task.queue,
      ...(payload === undefined ? {} : yield* payloadOf(task, payload, rules)),
      ...(priority === undefined ? {} : { priority: Priority.toNumber(priority) }),
      ...(delay === undefined ? {} : { delayMs: Math.ceil(Duration.toMillis(delay)) }),
      ...(runAt === undefined ? {} : { runAt: Math.ceil(runAt.epochMilliseconds) }),
      ...(startWithin === undefined ? {} : { startWithinMs: Math.ceil(Duration.toMillis(startWithin)) })
    }])
    switch (answer!._tag) {
      case "rescheduled":
        return
      case "unknown":
        return yield* new TaskNotFound({ id })
      case "conflict":
        return yield* new StateConflict({ id, operation: "reschedule", state: answer!.state })
      case "ordered": {
        if (priority === undefined) {
          const expected =
            "one with the key that its order has: the task has started, and others wait until it has ended"
          return yield* new InvalidOption({ option: "payload", found: "another key of orderBy", expected, index: 0 })
        }
        const expected = "none: its type has orderBy, and its tasks go in the order in which they were enqueued"
        return yield* new InvalidOption({ option: "priority", found: String(priority), expected, index: 0 })
      }
    }
  })

/** A new payload with the gate that it makes, in the task's queue. */
const payloadOf = Effect.fnUntraced(function*(
  task: TaskRecord,
  { definition, gated, options, payload, version = 1 }: Submission,
  rules: QueueLimits.Rules
): Effect.fn.Return<Pick<RescheduleRequest, "payload" | "gate" | "costs">, InvalidOption> {
  const { key, queue, type } = task
  const refused = (found: string, expected: string) =>
    new InvalidOption({ option: "payload", found, expected, index: 0 })
  if (definition.type !== type) return yield* refused(`of type ${definition.type}`, `one of the task's type, ${type}`)
  const { version: stored = 1 } = task
  if (version !== stored) {
    return yield* refused(`of version ${version}`, `one of the task's version, ${stored}: enqueue another task instead`)
  }
  const made = keyOf(options)
  if (key !== null && made !== undefined && made !== key && isMade(task, definition, key)) {
    return yield* refused(
      `one with the key ${made}`,
      `one with the key of the task, ${key}: another key is another task`
    )
  }
  const tooLarge = QueueLimits.tooLarge([{ definition, gated, options: { queue } }], rules)
  if (tooLarge !== undefined) return yield* tooLarge
  return { payload, ...QueueLimits.gateOf(queue, definition, gated, rules) ?? Gate.none }
})

const keyOf = ({ key, unique }: Submission["options"]): string | undefined => key ?? unique?.key

/** Whether the key of a task is the one that its definition makes of its payload, and not one that it was given. */
const isMade = ({ payload, version }: TaskRecord, definition: Submission["definition"], key: string): boolean => {
  const before = fromJson(definition, JSON.parse(payload) as Schema.Json, {}, 0, version)
  return Exit.isSuccess(before) && keyOf(before.value.options) === key
}
