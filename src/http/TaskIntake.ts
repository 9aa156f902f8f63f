/** From posted tasks to submissions: the types are looked up and the payloads checked. */
import { Effect, Exit, type Schema } from "effect"
import { type InvalidOption, type InvalidPayload, UnknownTaskType } from "../domain/Errors.ts"
import { type EnqueueOptions, fromJson, type Submission, withinBounds } from "../queue/Submission.ts"
import type { NewTaskJson } from "./api/NewTaskJson.ts"
import { InvalidRequest } from "./api/RequestErrors.ts"
import type { TaskCatalog } from "./TaskCatalog.ts"

/** All tasks as submissions, or the first one that is wrong. */
export const toSubmissions = (
  catalog: TaskCatalog["Service"],
  tasks: ReadonlyArray<NewTaskJson>
): Effect.Effect<ReadonlyArray<Submission>, UnknownTaskType | InvalidPayload> => {
  const submissions: Array<Submission> = []
  for (const [index, task] of tasks.entries()) {
    const submission = toSubmission(catalog, task, index)
    if (Exit.isFailure(submission)) return Exit.failCause(submission.cause)
    submissions.push(submission.value)
  }
  return Effect.succeed(submissions)
}

/**
 * A task of a known type, whatever its payload: what does not fit fails when it runs. Only a payload that fits but for
 * fields that its type does not know is refused, as it would run without them.
 */
export const acceptedFirst = (
  catalog: TaskCatalog["Service"],
  type: string,
  payload: Schema.Json | undefined,
  options: EnqueueOptions
): Effect.Effect<Submission, UnknownTaskType | InvalidPayload> => {
  const definition = catalog.find(type)
  if (definition === undefined) return Effect.fail(new UnknownTaskType({ type, known: catalog.types, index: 0 }))
  // A type that takes nothing is encoded as null
  const nothing = Exit.isSuccess(definition.codec.checkPayload({})) ? {} : null
  const given = payload === undefined ? nothing : payload
  const submission = fromJson(definition, given, options, 0)
  if (Exit.isSuccess(submission)) return submission
  // It is stored as it came, so it keeps the bounds of all that is stored
  const text = withinBounds(definition, given, 0)
  if (Exit.isFailure(text)) return Exit.failCause(text.cause)
  return Exit.isSuccess(definition.codec.decodePayload(text.value))
    ? submission
    : Effect.succeed({ definition, payload: text.value, options })
}

/** What a queue refuses of a request's options; the schema of the request has checked them by the same bounds. */
export const refused =
  (part: "body" | "path" | "query") => ({ message, option }: InvalidOption): Effect.Effect<never, InvalidRequest> =>
    Effect.fail(new InvalidRequest({ issues: [{ path: [part, option], message }] }))

const toSubmission = (
  catalog: TaskCatalog["Service"],
  task: NewTaskJson,
  index: number
): Exit.Exit<Submission, UnknownTaskType | InvalidPayload> => {
  const definition = catalog.find(task.type)
  if (definition === undefined) {
    return Exit.fail(new UnknownTaskType({ type: task.type, known: catalog.types, index }))
  }
  const options = {
    id: task.id,
    key: task.key,
    priority: task.priority,
    delay: task.delay,
    runAt: task.run_at,
    maxRetries: task.max_retries,
    timeout: task.timeout,
    queue: task.queue
  }
  const submission = fromJson(definition, task.payload === undefined ? {} : task.payload, options, index)
  // A type that takes nothing is encoded as null
  const nothing = task.payload === undefined && Exit.isFailure(submission)
    ? fromJson(definition, null, options, index)
    : submission
  return Exit.isSuccess(nothing) ? nothing : submission
}
