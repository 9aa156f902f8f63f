/** A broken engine: the real one with something wrong wrapped around one of its parts. */
import type { StoreSettings } from "../../src/store/Driver.ts"
import type { InstanceStore } from "../../src/store/InstanceStore.ts"
import type { Notifier } from "../../src/store/Notifier.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"

/** How an engine is broken. */
export interface Mutant {
  readonly name: string
  /** A seed under which it was noticed before. */
  readonly noticedAt?: number
  /** The store itself, made anew for each run. */
  readonly store?: (store: TaskStore["Service"]) => TaskStore["Service"]
  /** What one process sees of the store. */
  readonly engine?: (store: TaskStore["Service"]) => TaskStore["Service"]
  /** The store of records itself, made anew for each run. */
  readonly records?: (store: RecordStore["Service"]) => RecordStore["Service"]
  /** What one process makes of its writes of records. */
  readonly sends?: (store: RecordStore["Service"]) => RecordStore["Service"]
  readonly instances?: (store: InstanceStore["Service"]) => InstanceStore["Service"]
  /** What one process sees of the hints. */
  readonly notifier?: (notifier: Notifier["Service"]) => Notifier["Service"]
  /** The store's settings instead of the scenario's. */
  readonly settings?: StoreSettings
  /** Breaks something for the time of one run, and answers how to repair it. */
  readonly patch?: () => () => void
}
