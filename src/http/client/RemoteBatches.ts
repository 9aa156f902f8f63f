/** The parts of a remote `TaskQueue` that are about many tasks together: batches and branches. */
import { Effect } from "effect"
import { BatchNotFound } from "../../domain/BatchErrors.ts"
import * as Bounds from "../../domain/Bounds.ts"
import { QueueFull, TaskNotFound } from "../../domain/Errors.ts"
import * as BatchRecords from "../../flow/BatchRecords.ts"
import * as Batches from "../../queue/Batches.ts"
import * as Branches from "../../queue/Branches.ts"
import * as Queues from "../../queue/Queues.ts"
import { invalidOption, type Submission } from "../../queue/Submission.ts"
import type { Accepted } from "../../store/TaskStore.ts"
import * as BatchesApi from "../api/BatchesApi.ts"
import * as DependenciesApi from "../api/DependenciesApi.ts"
import type { NewTaskJson } from "../api/NewTaskJson.ts"
import * as ApiClient from "./ApiClient.ts"
import { type Sending, unsent } from "./Sending.ts"

/** These operations on a server. Ids and names are chosen here, so that what is sent again changes nothing. */
export const make = (
  api: ApiClient.ApiClient["batches"],
  newId: Effect.Effect<string>,
  newTaskOf: (submission: Submission) => NewTaskJson,
  { again, refusedOption }: Sending
): Batches.Batches => {
  /** What cannot be a batch is asked for nowhere. */
  const named = (batch: string) =>
    BatchRecords.id.accepts(batch)
      ? Effect.succeed({ params: { batch } })
      : Effect.fail(new BatchNotFound({ batch }))

  /** A callback as it is posted, with an id. */
  const callback = Effect.fnUntraced(function*(submission: Submission | undefined) {
    if (submission === undefined) return undefined
    const id = submission.options.id ?? (yield* newId)
    return { ...newTaskOf(submission), id }
  })

  const addPart = Effect.fnUntraced(function*(
    id: string,
    tasks: ReadonlyArray<NewTaskJson>,
    { whenFull }: Batches.AddOptions,
    addition: string
  ) {
    const { params } = yield* named(id)
    const added = Effect.catchTag(api.add({ params, payload: { tasks, addition } }), "InvalidRequest", refusedOption)
    const { members } = yield* Effect.retry(again("add members", added), {
      schedule: ApiClient.roomBackoff,
      while: (error) => whenFull === "wait" && error instanceof QueueFull && error.mayFitLater
    })
    return members
  })

  return {
    create: Effect.fnUntraced(function*(batch) {
      yield* Batches.check(batch)
      const { name, onFailure, onFinished, onSuccess, queue } = batch
      const given = [onSuccess, onFailure, onFinished].filter((one) => one !== undefined)
      const invalid = invalidOption(given)
      if (invalid !== undefined) return yield* invalid
      const id = batch.id ?? (yield* newId)
      const [success, failure, finished] = [
        yield* callback(onSuccess),
        yield* callback(onFailure),
        yield* callback(onFinished)
      ]
      const known = batch.id === undefined
        ? undefined
        : yield* Effect.option(again("read a batch", api.get({ params: { batch: id } })))
      const payload = {
        id,
        open: true,
        ...name !== undefined && { name },
        ...queue !== undefined && { queue },
        ...success !== undefined && { on_success: success },
        ...failure !== undefined && { on_failure: failure },
        ...finished !== undefined && { on_finished: finished }
      }
      const made = Effect.catchTag(api.create({ payload }), "InvalidRequest", refusedOption)
      yield* again("make a batch", Effect.catchTags(made, { BatchNotFound: Effect.die, BatchFinished: Effect.die }))
      return { id, duplicate: known?._tag === "Some" }
    }),
    add: Effect.fnUntraced(function*(id, members, options = {}) {
      yield* Batches.checkAddition(options)
      const invalid = invalidOption(members, options.whenFull)
      if (invalid !== undefined) return yield* invalid
      const tasks = members.map(newTaskOf)
      const addition = options.addition ?? (yield* newId)
      const accepted: Array<Accepted> = []
      for (let start = 0; start === 0 || start < tasks.length; start += BatchRecords.maxPart) {
        const name = start === 0 ? addition : `${addition}+${start / BatchRecords.maxPart}`
        accepted.push(...yield* addPart(id, tasks.slice(start, start + BatchRecords.maxPart), options, name))
      }
      return accepted
    }),
    seal: Effect.fnUntraced(function*(id) {
      yield* again("seal a batch", api.seal(yield* named(id)))
    }),
    cancel: Effect.fnUntraced(function*(id) {
      yield* again("cancel a batch", api.cancel(yield* named(id)))
    }),
    get: Effect.fnUntraced(function*(id) {
      return BatchesApi.batchFromJson(yield* again("read a batch", api.get(yield* named(id))))
    }),
    list: Effect.fnUntraced(function*(options = {}) {
      yield* Queues.checkPage("batch", options)
      const { cursor } = options
      const query = { limit: Queues.sizeOf(options), ...cursor !== undefined && { cursor } }
      const { batches, next } = yield* again("list the batches", api.list({ query }))
      return { batches: batches.map(BatchesApi.batchFromJson), next }
    })
  }
}

/** Operations on branches of a server. */
export const branches = (api: ApiClient.ApiClient["dependencies"], { again }: Sending): Branches.Branches => {
  const asked = ({ scope }: Branches.BranchOptions, id: string) =>
    Bounds.id.accepts(id)
      ? Effect.succeed({ params: { id }, query: scope === undefined ? {} : { scope } })
      : Effect.fail(new TaskNotFound({ id }))
  return {
    size: Effect.fnUntraced(function*(id, options = {}) {
      yield* Branches.check(options)
      return DependenciesApi.sizeFromJson(yield* again("read a branch", api.branch(yield* asked(options, id))))
    }),
    cancel: Effect.fnUntraced(function*(id, options = {}) {
      yield* Branches.check(options)
      return yield* again("cancel a branch", api.cancelBranch(yield* asked(options, id)))
    }),
    // not sent again: what has ended since would run once more
    rerun: Effect.fnUntraced(function*(id, options = {}) {
      yield* Branches.checkRerun(options)
      const { params } = yield* asked(options, id)
      const request = api.rerunBranch({ params, query: DependenciesApi.rerunQuery(options) })
      return DependenciesApi.rerunFromJson(yield* unsent("rerun a branch", request))
    })
  }
}
