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
import { DateTime, Duration, Effect, Layer, type Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { FetchHttpClient, type HttpClient } from "effect/http"
import * as Bounds from "../../domain/Bounds.ts"
import { TaskNotFound } from "../../domain/Errors.ts"
import * as LimitRule from "../../domain/LimitRule.ts"
import * as Priority from "../../domain/Priority.ts"
import * as UniqueRule from "../../domain/UniqueRule.ts"
import * as PooledRandom from "../../engine/PooledRandom.ts"
import * as DeadLetters from "../../queue/DeadLetters.ts"
import { checkList } from "../../queue/Listing.ts"
import * as OneOrMany from "../../queue/OneOrMany.ts"
import * as Pauses from "../../queue/Pauses.ts"
import * as Queues from "../../queue/Queues.ts"
import * as Reschedule from "../../queue/Reschedule.ts"
import * as Scaling from "../../queue/Scaling.ts"
import { idOf, invalidOption, type Submission } from "../../queue/Submission.ts"
import { TaskQueue, type WhenFull } from "../../queue/TaskQueue.ts"
import { groupsFromJson, partJson } from "../api/DeadLettersApi.ts"
import { explanationFromJson } from "../api/ExplanationJson.ts"
import * as InstancesApi from "../api/InstancesApi.ts"
import { logsFromJson } from "../api/LogsJson.ts"
import { type NewTaskJson } from "../api/NewTaskJson.ts"
import * as QueuesApi from "../api/QueuesApi.ts"
import * as SystemApi from "../api/SystemApi.ts"
import { filterQueryOf } from "../api/TaskFilterJson.ts"
import * as TaskJson from "../api/TaskJson.ts"
import { maxResults } from "../api/TasksApi.ts"
import { verdictFromJson } from "../api/VerdictJson.ts"
import * as ApiClient from "./ApiClient.ts"
import type { Options } from "./ApiClient.ts"
import * as RemoteBatches from "./RemoteBatches.ts"
import * as RemoteBreakers from "./RemoteBreakers.ts"
import * as RemoteLimits from "./RemoteLimits.ts"
import * as RemoteLogLevels from "./RemoteLogLevels.ts"
import * as RemoteOperations from "./RemoteOperations.ts"
import * as RemoteResults from "./RemoteResults.ts"
import { refusedOption, unsent } from "./Sending.ts"

export type { Options }

/** The queue of a server, reached by `fetch`. */
export const layer = (options: Options): Layer.Layer<TaskQueue> =>
  Layer.provide(layerHttpClient(options), FetchHttpClient.layer)

/** The queue of a server, reached by the `HttpClient` that is provided. */
export const layerHttpClient = (options: Options): Layer.Layer<TaskQueue, never, HttpClient.HttpClient> =>
  Layer.effect(TaskQueue, make(options)).pipe(Layer.provide(PooledRandom.layer))

const make = Effect.fnUntraced(function*(options: Options) {
  const api = yield* ApiClient.make(ApiClient.queueApi, options)
  const { batches, breakers, deadLetters, dependencies, instances, limits, queues, system, tasks } = api
  const random = yield* SecureRandom.SecureRandom
  const repeatable = ApiClient.repeatable(options.retry)
  const again = <A, E extends { readonly _tag: string }>(operation: string, request: Effect.Effect<A, E>) =>
    repeatable(unsent(operation, request))

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

  const create = Effect.fnUntraced(function*(submissions: ReadonlyArray<Submission>, whenFull: WhenFull = "fail") {
    if (submissions.length === 0) return []
    const invalid = invalidOption(submissions, whenFull)
    if (invalid !== undefined) return yield* invalid
    const send = (payload: ReadonlyArray<NewTaskJson>) => again("store tasks", tasks.create({ payload }))
    const created = yield* ApiClient.create(submissions.map(newTaskOf), whenFull, send)
    return created.map((task) => ({
      id: task.id,
      task: "type" in task ? TaskJson.fromJson(task) : null,
      duplicate: "duplicate" in task,
      ...(task.merge === undefined ? {} : { merge: task.merge })
    }))
  }, Effect.provideService(SecureRandom.SecureRandom, random))

  const awaited = yield* RemoteResults.make((ids, wait) =>
    Effect.map(
      someResults(ids, wait),
      (answer) => answer.results.map((result) => [result.id, TaskJson.outcomeFromJson(result)] as const)
    )
  )

  const outcome = (id: string) => canBeAsked(id) ? awaited(id) : Effect.fail(new TaskNotFound({ id }))

  const inPath = (id: string) =>
    Bounds.id.accepts(id) ? Effect.succeed({ params: { id } }) : Effect.fail(new TaskNotFound({ id }))

  const get = (id: string) =>
    Effect.flatMap(inPath(id), (request) => Effect.map(again("read a task", tasks.get(request)), TaskJson.fromJson))

  const explain = (id: string) =>
    Effect.flatMap(
      inPath(id),
      (request) => Effect.map(again("explain a task", tasks.explain(request)), explanationFromJson)
    )

  const logs = (id: string) =>
    Effect.flatMap(
      inPath(id),
      ({ params }) => Effect.map(again("read the log of a task", tasks.logs({ params, query: {} })), logsFromJson)
    )

  return TaskQueue.of({
    submit: (submissions, whenFull) =>
      Effect.map(
        create(submissions, whenFull),
        (created) => created.map(({ task: _, ...accepted }) => accepted)
      ),
    create,
    newId: random.uuidV7(),
    outcome,
    firstOutcome: (ids) => Effect.raceAllFirst(ids.map(outcome)),
    results,
    get,
    explain,
    logs,
    batches: RemoteBatches.make(batches, random.uuidV7(), newTaskOf, { again, refusedOption }),
    branches: RemoteBatches.branches(dependencies, { again, refusedOption }),
    deadLetters: {
      groups: Effect.fnUntraced(function*(filter = {}) {
        yield* DeadLetters.check(filter)
        const read = deadLetters.groups({ query: partJson(filter) })
        return groupsFromJson(yield* again("count dead letters", read))
      }),
      list: Effect.fnUntraced(function*(part = {}) {
        yield* DeadLetters.check(part)
        const query = { ...partJson(part), limit: part.limit ?? DeadLetters.defaultPart }
        const page = yield* again("search dead letters", deadLetters.list({ query }))
        return { tasks: page.tasks.map(TaskJson.fromJson), next: page.next }
      }),
      rerun: Effect.fnUntraced(function*(part = {}) {
        yield* DeadLetters.check(part)
        return yield* unsent("rerun dead letters", deadLetters.rerun({ payload: partJson(part) }))
      }),
      discard: Effect.fnUntraced(function*(part = {}) {
        yield* DeadLetters.check(part)
        return yield* unsent("discard dead letters", deadLetters.discard({ payload: partJson(part) }))
      })
    },
    operations: RemoteOperations.make(api.operations, random.uuidV7(), { again }),
    list: Effect.fnUntraced(function*(options = {}) {
      yield* checkList(options)
      const { cursor, limit, maxBytes: _, ...filter } = options
      const query = {
        ...filterQueryOf(filter),
        ...(limit === undefined ? {} : { limit }),
        ...(cursor === undefined ? {} : { cursor })
      }
      const page = yield* again("list tasks", tasks.list({ query }))
      return { tasks: page.tasks.map(TaskJson.fromJson), next: page.next }
    }),
    cancel: OneOrMany.cancel(OneOrMany.each(Bounds.id.accepts, "unknown", (ids) =>
      Effect.map(
        again("cancel tasks", tasks.cancelAll({ payload: { ids } })),
        ({ results }) => results.map(({ status }) => status)
      ))),
    rerun: OneOrMany.rerun(OneOrMany.each(Bounds.id.accepts, { _tag: "unknown" }, (ids) =>
      Effect.map(
        unsent("rerun tasks", tasks.rerunAll({ payload: { ids } })),
        ({ results }) => results.map(TaskJson.rerunAnswerFromJson)
      ))),
    reschedule: Effect.fnUntraced(function*(id, options) {
      yield* Reschedule.check(options)
      yield* Bounds.id.accepts(id) ? Effect.void : new TaskNotFound({ id })
      const { delay, payload, priority, runAt, startWithin } = options
      const changed = tasks.reschedule({
        params: { id },
        payload: {
          ...(payload === undefined ? {} : { payload: JSON.parse(payload.payload) as Schema.Json }),
          ...(payload?.version === undefined ? {} : { version: payload.version }),
          ...(priority === undefined ? {} : { priority: Priority.toNumber(priority) }),
          ...(delay === undefined ? {} : { delay: wholeMillis(delay) }),
          ...(runAt === undefined ? {} : { run_at: DateTime.toUtc(runAt) }),
          ...(startWithin === undefined ? {} : { start_within: wholeMillis(startWithin) })
        }
      })
      yield* unsent("reschedule a task", Effect.catchTag(changed, "InvalidRequest", refusedOption))
    }),
    remove: OneOrMany.remove(
      OneOrMany.each(Bounds.id.accepts, "unknown", (ids) =>
        Effect.map(
          unsent("remove tasks", tasks.removeAll({ payload: { ids } })),
          ({ results }) => results.map(({ status }) => status)
        )),
      (id) => Effect.map(get(id), ({ state }) => state)
    ),
    pause: Effect.fnUntraced(function*(queue, options = {}) {
      yield* Bounds.check("queue", nameInPath, queue)
      yield* Pauses.check(options)
      const paused = queues.pause({ params: { queue }, payload: QueuesApi.newPauseJson(options) })
      yield* again("pause a queue", Effect.catchTag(paused, "InvalidRequest", refusedOption))
    }),
    resume: Effect.fnUntraced(function*(queue) {
      yield* Bounds.check("queue", nameInPath, queue)
      yield* again("resume a queue", queues.resume({ params: { queue } }))
    }),
    paused: Effect.map(
      again("read the paused queues", queues.list({ query: { limit: 1 } })),
      ({ paused }) => paused.map(QueuesApi.pausedFromJson)
    ),
    queues: Effect.fnUntraced(function*(options = {}) {
      yield* Queues.checkPage("queue", options)
      return QueuesApi.pageFromJson(yield* again("list the queues", queues.list({ query: queryOf(options) })))
    }),
    queue: Effect.fnUntraced(function*(queue, options = {}) {
      yield* Bounds.check("queue", nameInPath, queue)
      yield* Queues.checkPage("type", options)
      const read = queues.get({ params: { queue }, query: queryOf(options) })
      return QueuesApi.detailFromJson(yield* again("read a queue", read))
    }),
    verdict: Effect.fnUntraced(function*(queue) {
      if (queue !== undefined) yield* Bounds.check("queue", nameInPath, queue)
      const asked = queue === undefined ? queues.explainAll() : queues.explain({ params: { queue } })
      return verdictFromJson(yield* again("explain what holds up tasks", asked))
    }),
    types: Effect.fnUntraced(function*(options = {}) {
      yield* Queues.checkPage("type", options)
      return QueuesApi.typesFromJson(yield* again("list the types", queues.types({ query: queryOf(options) })))
    }),
    ...RemoteLogLevels.make(api.logLevels, { again, refusedOption }),
    ...RemoteLimits.make(limits, { again, refusedOption }),
    ...RemoteBreakers.make(breakers, { again, refusedOption }),
    counts: Effect.map(
      again("count tasks", system.stats()),
      ({ by_status, capacity, totals }) => ({ ...by_status, capacity, totals })
    ),
    instances: Effect.map(again("list the instances", system.workers()), SystemApi.instancesFromJson),
    scaling: Effect.fnUntraced(function*(options = {}) {
      yield* Scaling.check(options)
      const asked = instances.scaling({ query: InstancesApi.scalingQuery(options) })
      return InstancesApi.scalingFromJson(yield* again("read the need for slots", asked))
    }),
    setSlots: Effect.fnUntraced(function*(instance, slots) {
      const { params } = yield* instanceInPath(instance)
      yield* Bounds.check("slots", Bounds.whole(1), slots)
      const set = instances.setSlots({ params, payload: { slots } })
      yield* again("set the slots of an instance", Effect.catchTag(set, "InvalidRequest", refusedOption))
    }),
    unsetSlots: Effect.fnUntraced(function*(instance) {
      yield* again("unset the slots of an instance", instances.unsetSlots(yield* instanceInPath(instance)))
    }),
    drain: Effect.fnUntraced(function*(instance) {
      const request = instances.drain(yield* instanceInPath(instance))
      yield* again("drain an instance", Effect.catchTag(request, "InvalidRequest", refusedOption))
    }),
    undrain: Effect.fnUntraced(function*(instance) {
      yield* again("resume an instance", instances.resume(yield* instanceInPath(instance)))
    })
  })
})

/** One id that the server does not take would fail the request for all others. */
const canBeAsked = (id: string): boolean => id.length <= Bounds.maxIdLength

/** The name of a queue or an instance that a URL can have: no path ends with a dot segment. */
const nameInPath: Bounds.Bound<string> = {
  expected: `${Bounds.name.expected}, and neither "." nor "..", which no URL can name`,
  accepts: (name) => Bounds.name.accepts(name) && name !== "." && name !== ".."
}

const instanceInPath = (instance: string) =>
  Effect.as(Bounds.check("instance", nameInPath, instance), { params: { id: instance } })

/** A page as a request asks for it. */
const queryOf = (options: Queues.PageOptions) => ({
  limit: Queues.sizeOf(options),
  ...(options.cursor === undefined ? {} : { cursor: options.cursor })
})

/** A submission as it is posted. What a definition says of its tasks is sent along: the server may know another. */
const newTaskOf = ({ definition, options, payload, version }: Submission): NewTaskJson => {
  const { after, delay, id, key, onFailure, runAt, tags, unique } = options
  const maxRetries = options.maxRetries ?? definition.retry.times
  const timeout = options.timeout ?? definition.timeoutMs
  const expiresIn = options.expiresIn ?? definition.expiresInMs
  const startWithin = options.startWithin ?? definition.startWithinMs
  return {
    ...(id === undefined ? {} : { id }),
    type: definition.type,
    payload: JSON.parse(payload) as Schema.Json,
    ...(version === undefined ? {} : { version }),
    queue: options.queue ?? definition.queue,
    ...(options.priority === undefined && LimitRule.areOrdered(definition.limits)
      ? {}
      : { priority: options.priority === undefined ? definition.priority : Priority.toNumber(options.priority) }),
    ...(key === undefined ? {} : { key }),
    ...(unique === undefined ? {} : { unique: uniqueJson(unique) }),
    ...(delay === undefined ? {} : { delay: wholeMillis(delay) }),
    ...(runAt === undefined ? {} : { run_at: DateTime.toUtc(runAt) }),
    ...(maxRetries === undefined ? {} : { max_retries: maxRetries }),
    ...(timeout === undefined ? {} : { timeout: wholeMillis(timeout) }),
    ...(expiresIn === undefined ? {} : { expires_in: wholeMillis(expiresIn) }),
    ...(startWithin === undefined ? {} : { start_within: wholeMillis(startWithin) }),
    ...(tags === undefined ? {} : { tags }),
    ...(after === undefined ? {} : { after: after.map(idOf) }),
    ...(onFailure === undefined ? {} : { on_failure: onFailure })
  }
}

/** With its defaults: those of the server may be others. */
const uniqueJson = (unique: UniqueRule.UniqueOption): NonNullable<NewTaskJson["unique"]> => {
  const { byMs, maxMs, onConflict, window } = UniqueRule.uniqueOf(unique)
  const postpone = { by: Duration.millis(byMs), ...(maxMs === null ? {} : { max_delay: Duration.millis(maxMs) }) }
  return {
    key: unique.key,
    window: typeof window === "number" ? Duration.millis(window) : window,
    on_conflict: onConflict,
    ...(onConflict === "postpone" ? { postpone } : {})
  }
}

/** Rounded up, as where a task is stored: the text that is sent says nothing of less than a millisecond. */
const wholeMillis = (input: Duration.Input): Duration.Duration =>
  Duration.millis(Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(input))))
