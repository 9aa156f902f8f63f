/**
 * A store whose tasks say which version of its type's payload they hold. Drivers keep it in the stored type, see `StoredType`, and know
 * nothing else of it: what is above them reads names and versions.
 */
import { Effect } from "effect"
import { mark, maxVersion, storedTypeOf, typeOf, upTo, versionOf } from "../domain/StoredType.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import type { LaneRange } from "../store/Lanes.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** What is read of a stored type. The first version is left out, as it is on the way in. */
const read = <A extends { readonly type: string }>(one: A): A & { readonly version?: number } => {
  const version = versionOf(one.type)
  return version === 1 ? one : { ...one, type: typeOf(one.type), version }
}

/** The same for several; nearly always none has a version. */
const readAll = <A extends { readonly type: string }>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  all.some(({ type }) => versionOf(type) !== 1) ? all.map(read) : all

const toStored = (task: NewTask): NewTask => {
  const { version, ...rest } = task
  return version === undefined ? task : { ...rest, type: storedTypeOf(task.type, version) }
}

const allToStored = (tasks: ReadonlyArray<NewTask>): ReadonlyArray<NewTask> =>
  tasks.some(({ version }) => version !== undefined) ? tasks.map(toStored) : tasks

/** Behind the version that is named, or behind all of a type. */
const afterStored = ({ after, ...range }: LaneRange): LaneRange => {
  if (after?.type === undefined) return { ...range, after }
  const { queue, type, version } = after
  return { ...range, after: { queue, type: version === undefined ? lastOf(type) : storedTypeOf(type, version) } }
}

/** What is behind all versions of a type, and before any other type: no digit is behind it. */
const lastOf = (type: string): string => `${type}${mark}~`

/** Tasks with their versions, on a driver. */
export const versioned = (store: TaskStore["Service"]): TaskStore["Service"] => ({
  ...store,
  enqueue: (groups) => store.enqueue(groups.map(allToStored)),
  claim: (request) =>
    Effect.map(store.claim(request), (answer) => ({
      ...answer,
      tasks: readAll(answer.tasks),
      ...(answer.expired === undefined ? {} : { expired: readAll(answer.expired) })
    })),
  expire: (limit) => Effect.map(store.expire(limit), readAll),
  rescue: (request) => Effect.map(store.rescue(request), (answer) => ({ ...answer, rescued: readAll(answer.rescued) })),
  reschedule: (requests) =>
    store.reschedule(requests.map(({ version, ...request }) => ({
      ...request,
      type: storedTypeOf(request.type, version)
    }))),
  consequences: () => {
    const consequences = store.consequences()
    return consequences.dropped.length === 0
      ? consequences
      : { ...consequences, dropped: readAll(consequences.dropped) }
  },
  edges: (id) => Effect.map(store.edges(id), (edges) => edges && { ...edges, after: readAll(edges.after) }),
  links: (request) => Effect.map(store.links(request), (answer) => ({ ...answer, links: readAll(answer.links) })),
  get: (id) => Effect.map(store.get(id), (task) => task && read(task)),
  list: (request) =>
    Effect.map(
      store.list(
        request.types === undefined
          ? request
          : { ...request, types: request.types.flatMap((type) => upTo(type, maxVersion)) }
      ),
      ({ next, tasks }) => ({ next, tasks: readAll(tasks) })
    ),
  stranded: (runnable, limit) => Effect.map(store.stranded(runnable, limit), readAll),
  laneCounts: (range) =>
    Effect.map(store.laneCounts(afterStored(range)), ({ lanes, ...answer }) => ({
      ...answer,
      lanes: lanes.map((lane) => ({ ...lane, type: typeOf(lane.type), version: versionOf(lane.type) }))
    }))
})

/** What writes such tasks together with records. */
export const versionedRecords = (store: RecordStore["Service"]): RecordStore["Service"] => ({
  ...store,
  atomically: (nonce, parts) =>
    store.atomically(nonce, parts.tasks === undefined ? parts : { ...parts, tasks: allToStored(parts.tasks) })
})
