import { Effect } from "effect"
import type { Pass } from "../../src/domain/Gate.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"

/** The id of the task that holds the pass of an order. */
export const holdsOf = (pass: Pass) =>
  Effect.map(TaskStore.use((store) => store.passes([pass])), ([state]) => state?.holder?.id)
