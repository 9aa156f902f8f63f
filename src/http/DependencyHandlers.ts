/** The endpoints of dependencies between tasks: read from the store, page by page. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Bounds from "../domain/Bounds.ts"
import * as Cursor from "../domain/Cursor.ts"
import { type InvalidOption, TaskNotFound } from "../domain/Errors.ts"
import * as Members from "../queue/Members.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { Api } from "./api/Api.ts"
import { defaultPage, maxGraph } from "./api/DependenciesApi.ts"
import * as AuditLog from "./AuditLog.ts"

/** No task has it: none is left out of a graph. */
const noType = ""

/** What is looked at for a graph: edges as a size looks at. */
const drawn = { maxMembers: maxGraph, maxEdges: 100_000 }

/** Tasks that are read at a time. */
const concurrency = 10

/** Handles the endpoints of {@link Api}'s dependencies. */
export const dependencies = HttpApiBuilder.group(
  Api,
  "dependencies",
  Effect.fnUntraced(function*(handlers) {
    const store = yield* TaskStore

    const edgesOf = Effect.fnUntraced(function*(id: string) {
      const edges = Bounds.isStorable(id) ? yield* store.edges(id) : undefined
      return edges ?? (yield* new TaskNotFound({ id }))
    })

    const linked = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
      const tasks = yield* Effect.forEach(ids, store.get, { concurrency })
      // one that was removed in between is left out
      return tasks.flatMap((task) =>
        task === undefined ? [] : [{ id: task.id, type: task.type, status: task.state, waits_for: task.waitsFor }]
      )
    })

    const queue = yield* TaskQueue
    // no query has an option that the queue does not know
    const checked = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.catchIf(effect, (error): error is Extract<E, InvalidOption> => error._tag === "InvalidOption", Effect.die)

    return handlers.handleAll({
      branch: ({ params: { id }, query }) =>
        Effect.map(
          checked(queue.branches.size(id, query)),
          ({ isComplete, ...size }) => ({ ...size, complete: isComplete })
        ),
      graph: Effect.fnUntraced(function*({ params: { id } }) {
        const task = Bounds.isStorable(id) ? yield* store.get(id) : undefined
        if (task === undefined) return yield* new TaskNotFound({ id })
        const { from, ids, isComplete, to } = yield* Members.find(store, task, true, noType, drawn)
        const tasks = yield* linked(ids)
        const places = new Map(tasks.map(({ id }, place) => [id, place]))
        const edges = from.flatMap((place, edge): ReadonlyArray<readonly [number, number]> => {
          const [one, other] = [places.get(ids[place]!), places.get(ids[to[edge]!]!)]
          return one === undefined || other === undefined ? [] : [[one, other]]
        })
        return { id, tasks, edges, complete: isComplete }
      }),
      cancelBranch: ({ params: { id }, query }) =>
        AuditLog.recorded("cancel_branch", { task: id }, checked(queue.branches.cancel(id, query))),
      rerunBranch: ({ params: { id }, query: { completed, ended_before: endedBefore, scope } }) =>
        AuditLog.recorded(
          "rerun_branch",
          { task: id },
          Effect.map(
            checked(queue.branches.rerun(id, { scope, completed: completed === "true", endedBefore })),
            ({ blockedBy, ...counts }) => ({ ...counts, blocked_by: blockedBy })
          )
        ),
      after: Effect.fnUntraced(function*({ params: { id }, query: { cursor, limit = defaultPage } }) {
        const { after } = yield* edgesOf(id)
        const task = yield* store.get(id)
        const start = cursor === undefined ? 0 : Number(Cursor.decodeName("dependency", cursor))
        const end = start + limit
        return {
          id,
          on_failure: task?.onFailure ?? null,
          waits_for: task?.waitsFor ?? 0,
          total: after.length,
          tasks: yield* linked(after.slice(start, end).map(({ id }) => id)),
          next: end < after.length ? Cursor.encodeName("dependency", String(end)) : null
        }
      }),
      before: Effect.fnUntraced(function*({ params: { id }, query: { cursor, limit = defaultPage } }) {
        if (!Bounds.isStorable(id) || (yield* store.get(id)) === undefined) return yield* new TaskNotFound({ id })
        const place = cursor === undefined ? 0 : Number(Cursor.decodeName("dependent", cursor))
        const { links, next } = yield* store.links({
          ids: [id],
          towards: "dependents",
          from: { index: 0, place },
          limit
        })
        return {
          id,
          tasks: yield* linked(links.map(({ id }) => id)),
          complete: next === undefined,
          next: next === undefined ? null : Cursor.encodeName("dependent", String(next.place))
        }
      })
    })
  })
)
