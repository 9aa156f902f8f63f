/**
 * What a storage driver is written with: the contracts, what they exchange, and what all drivers share. A driver is a layer
 * of {@link StoreServices}, and `taskforge/testing/store` proves it.
 */
export { maxAnswerBytes, maxPayloadBytes, maxResultBytes, type Names as OptionNames } from "../domain/Bounds.ts"
export * as ByteOrder from "../domain/ByteOrder.ts"
export { DependencyCycle, UnknownDependency } from "../domain/DependencyErrors.ts"
export {
  InvalidOption,
  KeyConflict,
  LeaseLost,
  QueueFull,
  RecordConflict,
  StoreError,
  StoreIncompatible
} from "../domain/Errors.ts"
export { type Archive, decideAdopt, type Former as FormerTask, type Written as WrittenRecord } from "./Archive.ts"
export * as Dependencies from "./Dependencies.ts"
export { type EndedDependency, OnFailure } from "../domain/Dependencies.ts"
export type {
  Consequences,
  Dropped,
  Edges,
  Ended as EndedTask,
  Link,
  LinkPlace,
  Links,
  LinksRequest,
  PlacedLink,
  ReadLinks
} from "./Dependencies.ts"
export * as Gate from "../domain/Gate.ts"
export type { Refusal as GateRefusal } from "../domain/Gate.ts"
export * as Rank from "../domain/Rank.ts"
export { sameJson } from "../domain/SameJson.ts"
export * as Settlement from "../domain/Settlement.ts"
export type { Change as TaskChange, Current as CurrentTask, Revision, SettleAnswer } from "../domain/Settlement.ts"
export { NewTaskEvent, type TaskEvent, TaskEventName } from "../domain/TaskEvent.ts"
export {
  AttemptOutcome,
  AttemptRecord,
  type ClaimedTask,
  created,
  dueAtOf,
  FailureKind,
  maxHistory,
  type NewTask,
  TaskFailure,
  type TaskRecord
} from "../domain/TaskRecord.ts"
export * as StoredType from "../domain/StoredType.ts"
export * as Seen from "../domain/Seen.ts"
export type { Looked as LookedTask, Seen as SeenState, SeenTask, TaskRef } from "../domain/Seen.ts"
export * as TaskState from "../domain/TaskState.ts"
export { bytesOf, fitting, type Texts } from "./Admission.ts"
export { type Admission, admit, Budget, offeredBytes, writtenBytes } from "./Admission.ts"
export {
  alone,
  asRevised,
  type Besides,
  type Conflict as GroupConflict,
  type Decided as DecidedGroup,
  type Known,
  nameOf as keyName,
  type Owner as KeyOwner,
  refused as refusedGroup,
  type Revised as RevisedTask,
  type Writes as AdmittedWrites
} from "./Draft.ts"
export * as Uniqueness from "../domain/Uniqueness.ts"
export type { Hold as KeyHold, Unique as StoredUnique, Window as KeyWindow } from "../domain/Uniqueness.ts"
export * as Atomically from "./Atomically.ts"
export type { Outcome as AtomicOutcome } from "./Atomically.ts"
export {
  decideCancel,
  decideExpire,
  decideRerun,
  decideReschedule,
  decideRescue,
  decideSettle,
  type Decision,
  defaultCapacity,
  demandSettings,
  refuseHeadStart,
  refuseLayout,
  type ServerServices,
  settingNames,
  type StoreServices,
  type StoreSettings,
  withoutTransactions
} from "./Driver.ts"
export {
  type Batch as EventBatch,
  EventLog,
  type EventPage,
  keptBytes,
  keptEvents,
  pageOf,
  sizeOf as eventSizeOf
} from "./EventLog.ts"
export {
  aboutOf,
  type Beat,
  byAge,
  instanceOf,
  type InstanceRecord,
  InstanceStore,
  type Load as InstanceLoad,
  type Roll,
  type RunningTask,
  type Sizing
} from "./InstanceStore.ts"
export type { Counts, Totals } from "./Counts.ts"
export {
  type CountedLanes,
  type Coverage,
  coverageOf,
  type LaneCounts,
  type LaneRange,
  type Runnable,
  startOf
} from "./Lanes.ts"
export { announcing, announcingRecords, events, type Hint, Notifier, work } from "./Notifier.ts"
export * as LimitRecords from "./LimitRecords.ts"
export type { Author as LimitAuthor, StoredLimit } from "./LimitRecords.ts"
export type { PausedQueue, Reason as PauseReason } from "./PausedQueues.ts"
export type { Ended as EndedPauses, Paused, Pauses as PausesOfKind } from "./PausedRecords.ts"
export * as Gates from "./Gates.ts"
export * as PausedQueues from "./PausedQueues.ts"
export {
  decideReopen,
  free,
  isBlocking,
  type Reopen,
  type ReopenAnswer,
  type ReopenOptions,
  type Standing
} from "../domain/Reopen.ts"
export type { Reschedule, RescheduleAnswer, RescheduleRequest } from "./Reschedule.ts"
export * as RateLimits from "./RateLimits.ts"
export * as RecordDriver from "./RecordDriver.ts"
export type { PackedChange as PackedRecordChange } from "./RecordDriver.ts"
export {
  absent,
  type Change as RecordChange,
  type Due as DueRecords,
  type Listed as ListedRecords,
  type ListRequest as RecordListRequest,
  RecordStore,
  type Refused,
  type StoredRecord,
  type Together,
  type Written
} from "./RecordStore.ts"
export {
  type Accepted,
  type CancelAnswer,
  type ClaimAnswer,
  type ClaimRef,
  type ClaimRequest,
  type EnqueueAnswer,
  type Expired as ExpiredTask,
  type ExtendAnswer,
  keyedForMs,
  lastClaimForMs,
  type Listed as ListedTasks,
  type ListRequest as TaskListRequest,
  maxExpired,
  maxPromoted,
  type Outcome,
  type ProgressReport,
  promotion,
  type RemoveAnswer,
  type RerunAnswer,
  rescuable,
  type RescueAnswer,
  type Rescued,
  type RescueRequest,
  type Retention,
  type Stranded,
  TaskStore
} from "./TaskStore.ts"
export { probeBytes, type Refusal as RefusedWrites, Refusals, type Room, type WriteHealth } from "./WriteHealth.ts"
