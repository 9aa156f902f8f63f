/** A broken engine: parts of the real one with something wrong wrapped around them. */
import type { Notifier } from "../../src/store/Notifier.ts"
import type { StoreSettings, TaskStore } from "../../src/store/TaskStore.ts"

/** How an engine is broken. */
export interface Mutant {
  readonly name: string
  /** What is wrong with it, as a sentence. */
  readonly breaks: string
  /** The invariants that may notice, by name: all others noticing first is as good, but not expected. */
  readonly store?: (store: TaskStore["Service"]) => TaskStore["Service"]
  /** Around what each instance sees of the store. */
  readonly engine?: (store: TaskStore["Service"]) => TaskStore["Service"]
  readonly notifier?: (notifier: Notifier["Service"]) => Notifier["Service"]
  /** Instead of the settings that it was given. */
  readonly settings?: StoreSettings
  /** Breaks something for the time of one run, and answers how to repair it. */
  readonly patch?: () => () => void
}
