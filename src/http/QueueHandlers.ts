/** The endpoints of tasks, queues and types: thin doors into the `TaskQueue`. */
import { Context, type Duration, Effect, Exit, Option } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as Bounds from "../domain/Bounds.ts"
import {
  DefinitionNotFound,
  type InvalidOption,
  type InvalidPayload,
  type StoreError,
  TaskNotFound,
  UnknownTaskType
} from "../domain/Errors.ts"
import { nearest } from "../domain/Quoting.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import * as StepViews from "../flow/StepViews.ts"
import type { OneOrMany } from "../queue/OneOrMany.ts"
import { type EnqueueOptions, fromJson, type Submission } from "../queue/Submission.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { WorkerPool } from "../worker/WorkerPool.ts"
import { Api } from "./api/Api.ts"
import { explanationJson } from "./api/ExplanationJson.ts"
import { logsJson } from "./api/LogsJson.ts"
import { type NewTaskJson, NewTasksJson, RescheduleJson } from "./api/NewTaskJson.ts"
import * as QueuesApi from "./api/QueuesApi.ts"
import { pageSize } from "./api/RequestValues.ts"
import { stackJson } from "./api/StackJson.ts"
import { defaultSteps, stepsJson } from "./api/StepsJson.ts"
import { filterOfQuery } from "./api/TaskFilterJson.ts"
import * as TaskJson from "./api/TaskJson.ts"
import { verdictJson } from "./api/VerdictJson.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { TaskCatalog } from "./TaskCatalog.ts"
import { CurrentVisitor, keyOf } from "./Visitor.ts"

/** Handles the endpoints of {@link Api}'s tasks. */
export const tasks = HttpApiBuilder.group(
  Api,
  "tasks",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    const catalog = yield* TaskCatalog
    const pool = yield* WorkerPool
    const stores = Context.pick(TaskStore, RecordStore)(yield* Effect.context<TaskStore | RecordStore>())

    /** What is known of the first ids, as far as it fits into an answer, and the ids for which there is no room. */
    const resultsOf = (ids: ReadonlyArray<string>) =>
      Effect.map(queue.results(ids, Bounds.maxAnswerBytes), (outcomes) => ({
        results: outcomes.map((outcome, index) => TaskJson.resultJson(ids[index]!, outcome)),
        leftOut: ids.slice(outcomes.length)
      }))

    const anyFinished = (ids: readonly [string, ...Array<string>], wait: Duration.Duration) =>
      Effect.timeoutOption(Effect.exit(queue.firstOutcome(ids)), wait)

    const view = (id: string) => Effect.map(queue.get(id), TaskJson.toJson)

    const cancelOrRemove = (id: string) =>
      Effect.flatMap(queue.cancel(id), (answer) =>
        answer === "finished"
          // It was rerun in between: then it is to be cancelled
          ? Effect.catchTag(queue.remove(id), "StateConflict", () => queue.cancel(id))
          : Effect.void).pipe(Effect.asVoid)

    const create = (payload: typeof NewTasksJson.Type) => {
      const tasks = isArray(payload) ? payload : [payload]
      return tasks.every(({ type }) => catalog.isOwn(type))
        ? createKnown(payload)
        : Effect.andThen(catalog.knowing(tasks.map(({ type }) => type)), Effect.suspend(() => createKnown(payload)))
    }

    const createKnown = (payload: typeof NewTasksJson.Type) => {
      const submissions = toSubmissions(catalog, isArray(payload) ? payload : [payload])
      if (Exit.isFailure(submissions)) return Effect.failCause(submissions.cause)
      const created = Effect.catchTag(
        queue.create(submissions.value),
        "InvalidOption",
        RequestCheckLive.refused("body")
      )
      return Effect.map(created, (created) => {
        const tasks = created.map(TaskJson.createdJson)
        // Both statuses have the same schema, so the choice cannot be left to it
        return HttpServerResponse.jsonUnsafe(isArray(payload) ? tasks : tasks[0], {
          status: created.every(({ duplicate }) => duplicate) ? 200 : 201
        })
      })
    }

    const reschedule = (id: string) =>
      Effect.fnUntraced(function*(change: typeof RescheduleJson.Type) {
        const { delay, payload, priority, run_at: runAt, start_within: startWithin, version } = change
        const { type } = yield* queue.get(id)
        yield* catalog.knowing([type])
        const definition = catalog.find(type)
        if (payload !== undefined && definition === undefined) {
          return yield* new UnknownTaskType({ type, known: catalog.types, index: 0 })
        }
        const submission = payload === undefined || definition === undefined
          ? undefined
          : yield* fromJson(definition, payload, {}, 0, version)
        yield* Effect.catchTag(
          queue.reschedule(id, { delay, payload: submission, priority, runAt, startWithin }),
          "InvalidOption",
          RequestCheckLive.refused("body")
        )
        return HttpServerResponse.jsonUnsafe(yield* view(id))
      })

    return handlers.handleRaw("create", ({ request }) => readNewTasks(request, create)).handleRaw(
      "reschedule",
      ({ params: { id }, request }) =>
        readReschedule(request, (change) => AuditLog.recorded("reschedule", { task: id }, reschedule(id)(change)))
    ).handleAll({
      list: Effect.fnUntraced(function*({ query }) {
        const { brief, cursor, limit = pageSize.default, ...filter } = query
        const { next, tasks } = yield* queue.list({ ...filterOfQuery(filter), limit, cursor }).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query"))
        )
        return { tasks: tasks.map(brief === "true" ? TaskJson.toBrief : TaskJson.toJson), next }
      }),
      get: ({ params }) => view(params.id),
      explain: ({ params }) => Effect.map(queue.explain(params.id), explanationJson),
      logs: ({ params: { id }, query }) => Effect.map(queue.logs(id), (attempts) => logsJson(id, attempts, query)),
      steps: ({ params: { id }, query: { limit = defaultSteps } }) =>
        StepViews.read(id, limit).pipe(Effect.provideContext(stores), Effect.map(stepsJson)),
      stack: ({ params: { id } }) =>
        Effect.zipWith(queue.get(id), pool.stackOf(id), (task, stack) => stackJson(task, stack)),
      remove: ({ params: { id }, query }) =>
        AuditLog.recorded("remove", { task: id }, query.only === "finished" ? queue.remove(id) : cancelOrRemove(id)),
      result: Effect.fnUntraced(function*({ params: { id }, query: { wait } }) {
        const [now] = yield* queue.results([id])
        // No request is in an application's transaction
        const ended = Effect.catchTag(queue.outcome(id), "ResultInTransaction", Effect.die)
        const outcome = now === undefined && wait !== undefined
          ? Option.getOrUndefined(yield* Effect.timeoutOption(ended, wait))
          : now
        if (outcome === null) return yield* new TaskNotFound({ id })
        return HttpServerResponse.jsonUnsafe(TaskJson.resultJson(id, outcome), {
          status: outcome === undefined ? 202 : 200
        })
      }),
      results: Effect.fnUntraced(function*({ payload: { ids, wait } }) {
        const [first, ...others] = new Set(ids)
        const distinct = [first!, ...others] as const
        const read = Effect.map(
          resultsOf(distinct),
          ({ leftOut, results }) => leftOut.length === 0 ? { results } : { results, left_out: leftOut }
        )
        const now = yield* read
        if (wait === undefined || now.results.some(({ status }) => status !== "unfinished")) return now
        yield* anyFinished(distinct, wait)
        return yield* read
      }),
      cancel: ({ params: { id } }) =>
        AuditLog.recorded("cancel", { task: id }, Effect.map(queue.cancel(id), (status) => ({ status }))),
      rerun: ({ params: { id } }) =>
        AuditLog.recorded("rerun", { task: id }, Effect.andThen(queue.rerun(id), view(id))),
      cancelAll: doneToEach("cancel", queue.cancel, (status) => ({ status })),
      rerunAll: doneToEach("rerun", queue.rerun, TaskJson.rerunAnswerJson),
      removeAll: doneToEach("remove", queue.remove, (status) => ({ status }))
    })
  })
)

/** Handles the endpoints of {@link Api}'s queues. */
export const queues = HttpApiBuilder.group(
  Api,
  "queues",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    const catalog = yield* TaskCatalog
    const change = (action: string, name: string, done: Effect.Effect<void, InvalidOption | StoreError>) =>
      AuditLog.recorded(
        action,
        { queue: name },
        Effect.catchTag(
          done,
          "InvalidOption",
          (invalid) => RequestCheckLive.refused(invalid.option === "queue" ? "path" : "body")(invalid)
        )
      )

    return handlers.handleAll({
      list: Effect.fnUntraced(function*({ query }) {
        const page = yield* Effect.catchTag(queue.queues(query), "InvalidOption", RequestCheckLive.refused("query"))
        return QueuesApi.pageJson(page, yield* queue.paused)
      }),
      get: ({ params, query }) =>
        queue.queue(params.queue, query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(QueuesApi.detailJson)
        ),
      explain: ({ params }) =>
        queue.verdict(params.queue).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("path")),
          Effect.map(verdictJson)
        ),
      explainAll: () =>
        queue.verdict().pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(verdictJson)
        ),
      definitions: () =>
        Effect.map(catalog.knowing(), () => ({
          definitions: catalog.definitions.map(({ description = null, type }) => ({ type, description }))
        })),
      definition: Effect.fnUntraced(function*({ params: { type } }) {
        yield* catalog.knowing([type])
        const definition = catalog.find(type)
        if (definition === undefined) {
          return yield* new DefinitionNotFound({ type, nearest: nearest(type, catalog.types) ?? null })
        }
        return QueuesApi.definitionJson(definition)
      }),
      types: ({ query }) =>
        queue.types(query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(QueuesApi.typesJson)
        ),
      pause: Effect.fnUntraced(function*({ params, payload, request }) {
        const key = keyOf(yield* CurrentVisitor)
        const options = { ...payload, ...key !== undefined && { by: key.name } }
        const paused = change("pause", params.queue, queue.pause(params.queue, options))
        yield* RequestCheckLive.exactBody(request, () => paused)
      }),
      resume: ({ params }) => change("resume", params.queue, queue.resume(params.queue))
    })
  })
)

const readNewTasks = RequestCheckLive.readBody(NewTasksJson)
const readReschedule = RequestCheckLive.readBody(RescheduleJson)

/** All posted tasks as submissions, or the first one that is wrong: their types are looked up and their payloads checked. */
export const toSubmissions = (
  catalog: TaskCatalog["Service"],
  tasks: ReadonlyArray<NewTaskJson>
): Exit.Exit<ReadonlyArray<Submission>, UnknownTaskType | InvalidPayload> => {
  const submissions: Array<Submission> = []
  for (const [index, task] of tasks.entries()) {
    const submission = toSubmission(catalog, task, index)
    if (Exit.isFailure(submission)) return Exit.failCause(submission.cause)
    submissions.push(submission.value)
  }
  return Exit.succeed(submissions)
}

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
    unique: uniqueOf(task.unique),
    priority: task.priority,
    delay: task.delay,
    runAt: task.run_at,
    maxRetries: task.max_retries,
    timeout: task.timeout,
    expiresIn: task.expires_in,
    startWithin: task.start_within,
    queue: task.queue,
    tags: task.tags,
    after: task.after,
    onFailure: task.on_failure
  }
  return submissionOf(definition, task, options, index)
}

/** A submission with the payload of a request, which may leave it out. */
export const submissionOf = (
  definition: AnyTaskDefinition,
  { payload, version }: Pick<NewTaskJson, "payload" | "version">,
  options: EnqueueOptions,
  index: number
): Exit.Exit<Submission, InvalidPayload> => {
  const submission = fromJson(definition, payload === undefined ? {} : payload, options, index, version)
  // A type that takes nothing is encoded as null
  const nothing = payload === undefined && Exit.isFailure(submission)
    ? fromJson(definition, null, options, index, version)
    : submission
  return Exit.isSuccess(nothing) ? nothing : submission
}

/** As programs say it. */
const uniqueOf = (unique: NewTaskJson["unique"]): Submission["options"]["unique"] => {
  if (unique === undefined) return undefined
  const { key, on_conflict: onConflict, postpone, window } = unique
  return { key, window, onConflict, postpone: postpone && { by: postpone.by, maxDelay: postpone.max_delay } }
}

/** Does something to each id of a request, once. */
const doneToEach = <Each, A, E, Json extends { readonly status: string }>(
  action: string,
  operation: OneOrMany<Each, A, E>,
  toJson: (answer: Each) => Json
) =>
({ payload }: { readonly payload: { readonly ids: ReadonlyArray<string> } }) => {
  const ids = [...new Set(payload.ids)]
  const results = Effect.map(
    operation(ids),
    (answers) => answers.map((answer, index) => ({ id: ids[index]!, ...toJson(answer) }))
  )
  return Effect.map(AuditLog.recordedEach(action, ids, results), (results) => ({ results }))
}

const isArray = <A>(value: A | ReadonlyArray<A>): value is ReadonlyArray<A> => Array.isArray(value)
