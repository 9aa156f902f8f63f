/**
 * Tasks that are to be enqueued, with the types of their definitions: tasks of several types go into one write, and each may be
 * named by others of that write before any has an id.
 */
import { Effect, Exit } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption, type InvalidPayload } from "../domain/Errors.ts"
import { type EnqueueOptions, fromPayload, refuseOptions, type Submission } from "./Submission.ts"
import { type Definition, Handle, type TaskHandle } from "./TaskHandle.ts"
import { type Refusal, TaskQueue, type WhenFull } from "./TaskQueue.ts"

/** What may be said about a task that is to be enqueued. */
export interface DraftOptions extends Omit<EnqueueOptions, "after"> {
  /** As for `EnqueueOptions`, and drafts that are enqueued in the same write. */
  readonly after?: ReadonlyArray<string | { readonly id: string } | AnyTaskDraft> | undefined
}

/** A task that is to be enqueued: nothing is stored by making one. */
export interface TaskDraft<out Success, out Error, out Payload = unknown> {
  readonly _tag: "TaskDraft"
  readonly definition: Definition<any, Success, Error>
  readonly payload: Payload
  readonly options: DraftOptions
}

/** A draft of whatever type. */
export type AnyTaskDraft = TaskDraft<unknown, unknown>

/** The handles of drafts, each with the types of its own. */
export type HandlesOf<Drafts extends ReadonlyArray<AnyTaskDraft>> = {
  readonly [Index in keyof Drafts]: Drafts[Index] extends TaskDraft<infer Success, infer Error, infer Payload>
    ? TaskHandle<Success, Error, Payload>
    : never
}

/** A draft of a type's task. */
export const make = <Payload, Success, Error>(
  definition: Definition<Payload, Success, Error>,
  payload: Payload,
  options: DraftOptions = {}
): TaskDraft<Success, Error, Payload> => ({ _tag: "TaskDraft", definition, payload, options })

/**
 * Stores tasks of whatever types in one write, all or none, and gives their handles in the same order. They may depend on each other:
 * a whole graph is stored at once.
 *
 * @example
 * ```ts
 * const load = Load.draft({ url })
 * const sizes = [200, 800].map((width) => Resize.draft({ width }, { after: [load] }))
 * const mail = Mail.draft({ to: "ada@example.org" }, { after: sizes })
 *
 * const program = Effect.gen(function*() {
 *   const handles = yield* Task.enqueueAll([load, mail, ...sizes])
 *   const { messageId } = yield* handles[1].result
 * })
 * ```
 */
export const enqueueAll = Effect.fnUntraced(function*<const Drafts extends ReadonlyArray<AnyTaskDraft>>(
  drafts: Drafts,
  options: { readonly whenFull?: WhenFull | undefined } = {}
): Effect.fn.Return<HandlesOf<Drafts>, Refusal, TaskQueue> {
  const unknown = Bounds.refuseUnknown(options, { whenFull: 1 })
  if (unknown !== undefined) return yield* unknown
  const queue = yield* TaskQueue
  const submissions = yield* submissionsOf(drafts, queue.newId)
  const accepted = yield* queue.submit(submissions, options.whenFull)
  return accepted.map((one, index) => new Handle(queue, drafts[index]!.definition, one)) as unknown as HandlesOf<Drafts>
})

/** The drafts as they are submitted. Those that others name have ids from here on. */
export const submissionsOf = Effect.fnUntraced(function*(
  drafts: ReadonlyArray<AnyTaskDraft>,
  newId: Effect.Effect<string>
): Effect.fn.Return<ReadonlyArray<Submission>, InvalidPayload | InvalidOption> {
  const ids = new Map<unknown, string | undefined>()
  for (let index = 0; index < drafts.length; index++) {
    const draft = drafts[index]!
    const invalid = isDraft(draft)
      ? refuseOptions(draft.options, index) ??
        Bounds.refuse("drafts", eachOnce, ids.has(draft) ? "one that comes twice" : undefined, index)
      : Bounds.refuse("drafts", aDraft, draft, index)
    if (invalid !== undefined) return yield* invalid
    ids.set(draft, draft.options.id)
  }
  for (const { options } of drafts) {
    if (!Array.isArray(options.after)) continue
    for (const one of options.after) {
      if (isDraft(one) && ids.has(one) && ids.get(one) === undefined) ids.set(one, yield* newId)
    }
  }
  const submissions: Array<Submission> = []
  for (const [index, draft] of drafts.entries()) {
    const { after, id: _, ...rest } = draft.options
    const options: EnqueueOptions = { ...rest, ...ids.get(draft) !== undefined && { id: ids.get(draft) } }
    const foreign = Array.isArray(after) && after.some((one) => isDraft(one) && !ids.has(one))
    if (foreign) {
      const expected = "tasks, or drafts that are enqueued in the same write"
      return yield* new InvalidOption({ option: "after", found: "a draft that is not among them", expected, index })
    }
    // what is no list is refused with the other options
    const named = Array.isArray(after)
      ? after.map((one: string | { readonly id: string } | AnyTaskDraft) => isDraft(one) ? ids.get(one)! : one)
      : after as undefined
    const submission = fromPayload(
      draft.definition,
      draft.payload,
      named === undefined ? options : { ...options, after: named },
      index
    )
    if (Exit.isFailure(submission)) return yield* Effect.failCause(submission.cause)
    submissions.push(submission.value)
  }
  return submissions
})

const isDraft = (given: unknown): given is AnyTaskDraft =>
  typeof given === "object" && given !== null && (given as { readonly _tag?: unknown })._tag === "TaskDraft"

const aDraft: Bounds.Bound<unknown> = { expected: "what draft of a task type gives", accepts: isDraft }
const eachOnce: Bounds.Bound<string> = { expected: "each draft once", accepts: () => false }
