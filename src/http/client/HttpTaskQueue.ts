/**
 * `TaskQueue` over HTTP: a program goes remote when this layer takes the place of an engine's.
 *
 * @example
 * ```ts
 * const program = Effect.gen(function*() {
 *   const handle = yield* SendEmail.enqueue({ to: "ada@example.org", subject: "Hello" })
 *   return yield* handle.result
 * })
 *
 * program.pipe(Effect.provide(HttpTaskQueue.layer({ url: "https://tasks.example.org", apiKey })))
 * ```
 */
import { DateTime, Duration, Effect, Layer, Schedule, type Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { FetchHttpClient, type HttpClient } from "effect/http"
import * as Bounds from "../../domain/Bounds.ts"
import { type StoreError, TaskNotFound } from "../../domain/Errors.ts"
import * as Priority from "../../domain/Priority.ts"
import * as PooledRandom from "../../engine/PooledRandom.ts"
import * as OneOrMany from "../../queue/OneOrMany.ts"
import * as Queues from "../../queue/Queues.ts"
import { invalidOption, type Submission } from "../../queue/Submission.ts"
import { checkList, TaskQueue, type WhenFull } from "../../queue/TaskQueue.ts"
import * as QueuesApi from "../api/QueuesApi.ts"
import * as SystemApi from "../api/SystemApi.ts"
import * as TaskJson from "../api/TaskJson.ts"
import { maxResults, type NewTaskJson } from "../api/TasksApi.ts"
import * as ApiClient from "./ApiClient.ts"
import type { Options } from "./ApiClient.ts"
import * as RemoteResults from "./RemoteResults.ts"

export type { Options }

/** Waits while a full queue has no room: doubling from 100 ms to 2 s. */
const roomBackoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.jittered
)

/** The queue of a server, reached by `fetch`. */
export const layer = (options: Options): Layer.Layer<TaskQueue> =>
  Layer.provide(layerHttpClient(options), FetchHttpClient.layer)

/** The queue of a server, reached by the `HttpClient` that is provided. */
export const layerHttpClient = (options: Options): Layer.Layer<TaskQueue, never, HttpClient.HttpClient> =>
  Layer.effect(TaskQueue, make(options)).pipe(Layer.provide(PooledRandom.layer))

const make = Effect.fnUntraced(function*(options: Options) {
  const { queues, system, tasks } = yield* ApiClient.make(options)
  const random = yield* SecureRandom.SecureRandom
  const repeatable = ApiClient.repeatable(options.retry)
  /** What the server knows of the ids that fit into its answer. */
  const someResults = (ids: ReadonlyArray<string>, wait?: Parameters<typeof tasks.results>[0]["payload"]["wait"]) =>
    unsent("read results", tasks.results({ payload: wait === undefined ? { ids } : { ids, wait } }))

  const results = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
    const found = new Map<string, ReturnType<typeof TaskJson.outcomeFromJson>>()
    let left: ReadonlyArray<string> = [...new Set(ids)].filter(canBeAsked)
    while (left.length > 0) {
      const answer = yield* repeatable(someResults(left.slice(0, maxResults)))
      for (const result of answer.results) found.set(result.id, TaskJson.outcomeFromJson(result))
      left = [...answer.left_out ?? [], ...left.slice(maxResults)]
    }
    return ids.map((id) => canBeAsked(id) ? found.get(id) : null)
  })

  /** The ids are chosen here, so that a request whose reply was lost can be sent again. */
  const toNewTasks = (submissions: ReadonlyArray<Submission>) =>
    Effect.forEach(submissions, (submission) =>
      submission.options.id === undefined
        ? Effect.map(random.uuidV7(), (id) => newTaskOf(submission, id))
        : Effect.succeed(newTaskOf(submission, submission.options.id)))

  const create = Effect.fnUntraced(function*(submissions: ReadonlyArray<Submission>, whenFull: WhenFull = "fail") {
    if (submissions.length === 0) return []
    const invalid = invalidOption(submissions, whenFull)
    if (invalid !== undefined) return yield* invalid
    const payload = yield* toNewTasks(submissions)
    const sent = repeatable(unsent("store tasks", tasks.create({ payload })))
    const created = yield* whenFull === "fail"
      ? sent
      : Effect.retry(sent, {
        schedule: roomBackoff,
        while: (error) => error._tag === "QueueFull" && error.mayFitLater
      })
    return [created].flat().map((task, index) => ({
      id: task.id,
      task: "type" in task ? TaskJson.fromJson(task) : null,
      // A task under an id of ours that is known already is one that we stored, by a request whose reply was lost
      duplicate: submissions[index]!.options.id === undefined
        ? task.id !== payload[index]!.id
        : task.duplicate === true
    }))
  })

  const awaited = yield* RemoteResults.make((ids, wait) =>
    Effect.map(
      someResults(ids, wait),
      (answer) => answer.results.map((result) => [result.id, TaskJson.outcomeFromJson(result)] as const)
    )
  )

  const outcome = (id: string) => canBeAsked(id) ? awaited(id) : Effect.fail(new TaskNotFound({ id }))

  const get = (id: string) =>
    Bounds.id.accepts(id)
      ? Effect.map(repeatable(unsent("read a task", tasks.get({ params: { id } }))), TaskJson.fromJson)
      : Effect.fail(new TaskNotFound({ id }))

  return TaskQueue.of({
    submit: (submissions, whenFull) =>
      Effect.map(
        create(submissions, whenFull),
        (created) => created.map(({ duplicate, id }) => ({ id, duplicate }))
      ),
    create,
    outcome,
    firstOutcome: (ids) => Effect.raceAllFirst(ids.map(outcome)),
    results,
    get,
    list: (options = {}) => {
      const { cursor, limit, queues, states, types } = options
      return Effect.map(
        Effect.andThen(
          checkList(options),
          repeatable(unsent(
            "list tasks",
            tasks.list({
              query: {
                ...(states === undefined ? {} : { status: states }),
                ...(types === undefined ? {} : { type: types }),
                ...(queues === undefined ? {} : { queue: queues }),
                ...(limit === undefined ? {} : { limit }),
                ...(cursor === undefined ? {} : { cursor })
              }
            })
          ))
        ),
        ({ next, tasks }) => ({ tasks: tasks.map(TaskJson.fromJson), next })
      )
    },
    cancel: OneOrMany.cancel(OneOrMany.each(Bounds.id.accepts, "unknown", (ids) =>
      Effect.map(
        repeatable(unsent("cancel tasks", tasks.cancelAll({ payload: { ids } }))),
        ({ results }) => results.map(({ status }) => status)
      ))),
    rerun: OneOrMany.rerun(OneOrMany.each(Bounds.id.accepts, { _tag: "unknown" }, (ids) =>
      Effect.map(
        unsent("rerun tasks", tasks.rerunAll({ payload: { ids } })),
        ({ results }) => results.map(TaskJson.rerunAnswerFromJson)
      ))),
    remove: OneOrMany.remove(
      OneOrMany.each(Bounds.id.accepts, "unknown", (ids) =>
        Effect.map(
          unsent("remove tasks", tasks.removeAll({ payload: { ids } })),
          ({ results }) => results.map(({ status }) => status)
        )),
      (id) => Effect.map(get(id), ({ state }) => state)
    ),
    pause: (queue) =>
      Effect.andThen(
        Bounds.check("queue", queueInPath, queue),
        repeatable(unsent("pause a queue", queues.pause({ params: { queue } })))
      ),
    resume: (queue) =>
      Effect.andThen(
        Bounds.check("queue", queueInPath, queue),
        repeatable(unsent("resume a queue", queues.resume({ params: { queue } })))
      ),
    paused: Effect.map(
      repeatable(unsent("read the paused queues", queues.list({ query: { limit: 1 } }))),
      ({ paused }) => paused
    ),
    queues: (options = {}) =>
      Effect.andThen(
        Queues.checkPage("queue", options),
        Effect.map(
          repeatable(unsent("list the queues", queues.list({ query: queryOf(options) }))),
          QueuesApi.pageFromJson
        )
      ),
    queue: (queue, options = {}) =>
      Bounds.check("queue", queueInPath, queue).pipe(
        Effect.andThen(Queues.checkPage("type", options)),
        Effect.andThen(
          repeatable(unsent("read a queue", queues.get({ params: { queue }, query: queryOf(options) })))
        ),
        Effect.map(QueuesApi.detailFromJson)
      ),
    types: (options = {}) =>
      Effect.andThen(
        Queues.checkPage("type", options),
        Effect.map(
          repeatable(unsent("list the types", queues.types({ query: queryOf(options) }))),
          QueuesApi.typesFromJson
        )
      ),
    counts: Effect.map(
      repeatable(unsent("count tasks", system.stats())),
      ({ by_status, capacity, totals }) => ({ ...by_status, capacity, totals })
    ),
    instances: Effect.map(repeatable(unsent("list the instances", system.workers())), SystemApi.instancesFromJson)
  })
})

/** One id that the server does not take would fail the request for all others. */
const canBeAsked = (id: string): boolean => id.length <= Bounds.maxIdLength

/** A queue that a URL can name: no path ends with a dot segment. */
const queueInPath: Bounds.Bound<string> = {
  expected: `${Bounds.name.expected}, and neither "." nor "..", which no URL can name`,
  accepts: (queue) => Bounds.name.accepts(queue) && queue !== "." && queue !== ".."
}

/** A page as a request asks for it. */
const queryOf = (options: Queues.PageOptions) => ({
  limit: Queues.sizeOf(options),
  ...(options.cursor === undefined ? {} : { cursor: options.cursor })
})

/** A request whose failures in transport are those of a store. */
const unsent = <A, E extends { readonly _tag: string }>(
  operation: string,
  request: Effect.Effect<A, E>
): Effect.Effect<A, Exclude<E, ApiClient.TransportError> | StoreError> =>
  Effect.mapError(request, (error) =>
    ApiClient.isTransport(error)
      ? ApiClient.toStoreError(operation, error)
      : error as Exclude<E, ApiClient.TransportError>)

/** A submission as it is posted. What a definition says of its tasks is sent along: the server may know another. */
const newTaskOf = ({ definition, options, payload }: Submission, id: string): NewTaskJson => {
  const { delay, key, runAt } = options
  const maxRetries = options.maxRetries ?? definition.retry.times
  const timeout = options.timeout ?? definition.timeoutMs
  return {
    id,
    type: definition.type,
    payload: JSON.parse(payload) as Schema.Json,
    queue: options.queue ?? definition.queue,
    priority: options.priority === undefined ? definition.priority : Priority.toNumber(options.priority),
    ...(key === undefined ? {} : { key }),
    ...(delay === undefined ? {} : { delay: wholeMillis(delay) }),
    ...(runAt === undefined ? {} : { run_at: DateTime.toUtc(runAt) }),
    ...(maxRetries === undefined ? {} : { max_retries: maxRetries }),
    ...(timeout === undefined ? {} : { timeout: wholeMillis(timeout) })
  }
}

/** Rounded up, as where a task is stored: the text that is sent says nothing of less than a millisecond. */
const wholeMillis = (input: Duration.Input): Duration.Duration =>
  Duration.millis(Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(input))))
