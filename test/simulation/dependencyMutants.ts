/** Engines that are wrong about tasks that depend on others. What happens inside of a write is broken in the store in memory alone. */
import { Effect } from "effect"
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import { Dependencies } from "../../src/store/memory/Dependencies.ts"
import { Node } from "../../src/store/memory/Node.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import type { Mutant } from "./Mutant.ts"

type Store = TaskStore["Service"]

/** A store that takes tasks with dependencies for something else. */
const storing = (change: (task: NewTask) => NewTask) => (store: Store): Store => ({
  ...store,
  enqueue: (groups) =>
    store.enqueue(groups.map((group) => group.map((task) => task.after === undefined ? task : change(task))))
})

/** Another method for the time of a run. */
const patched = <Name extends keyof Dependencies>(
  name: Name,
  change: (original: Dependencies[Name]) => Dependencies[Name]
) =>
() => {
  const original = Dependencies.prototype[name]
  Dependencies.prototype[name] = change(original)
  return () => {
    Dependencies.prototype[name] = original
  }
}

export const dependencyMutants: ReadonlyArray<Mutant> = [
  {
    name: "dependencies forgotten: a task starts before what it depends on has ended",
    noticedAt: 1,
    store: storing(({ after: _, ...task }) => task)
  },
  {
    name: "a dependency that failed counts as completed",
    noticedAt: 8,
    store: storing((task) => ({ ...task, onFailure: "run" }))
  },
  {
    name: "a task that is to be cancelled because of another one fails",
    noticedAt: 8,
    store: storing((task) => ({ ...task, onFailure: task.onFailure === "run" ? "run" : "fail" }))
  },
  {
    name: "ends are told to those that wait by the next write, not by their own",
    noticedAt: 16,
    patch: patched("tell", (tell) => {
      let isNext = false
      return function(this: Dependencies, now: number) {
        if ((isNext = !isNext)) return
        tell.call(this, now)
      }
    })
  },
  {
    name: "a dependency that is run again tells of its end once more",
    noticedAt: 43,
    patch: patched("ended", (ended) =>
      function(this: Dependencies, node: Parameters<Dependencies["ended"]>[0]) {
        node.told = 0
        ended.call(this, node)
      })
  },
  {
    name: "a task that is run again waits for nothing",
    noticedAt: 8,
    patch: patched("reconnect", () => () => 0)
  },
  {
    name: "a task that is run again waits for one end too many",
    noticedAt: 8,
    patch: patched(
      "reconnect",
      (reconnect) =>
        function(this: Dependencies, node: Parameters<Dependencies["reconnect"]>[0]) {
          const count = reconnect.call(this, node)
          return count === 0 ? 0 : count + 1
        }
    )
  },
  {
    name: "removed and pruned although others wait for it",
    noticedAt: 1,
    patch: () => {
      const original = Object.getOwnPropertyDescriptor(Node.prototype, "isAwaited")!
      Object.defineProperty(Node.prototype, "isAwaited", { ...original, get: () => false })
      return () => {
        Object.defineProperty(Node.prototype, "isAwaited", original)
      }
    }
  },
  {
    name: "an attempt reads the end of one dependency alone",
    noticedAt: 32,
    engine: (store: Store): Store => ({
      ...store,
      edges: (id) => Effect.map(store.edges(id), (edges) => edges && { ...edges, after: edges.after.slice(0, 1) })
    })
  }
]
