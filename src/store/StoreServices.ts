import type { EventLog } from "./EventLog.ts"
import type { InstanceStore } from "./InstanceStore.ts"
import type { Notifier } from "./Notifier.ts"
import type { RecordStore } from "./RecordStore.ts"
import type { TaskStore } from "./TaskStore.ts"

/** What the layer of a storage driver provides. */
export type StoreServices = TaskStore | RecordStore | Notifier | InstanceStore | EventLog
