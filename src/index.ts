export * as ApiKeys from "./access/ApiKeys.ts"
export * as Batch from "./Batch.ts"
export * as Breaker from "./Breaker.ts"
export * as Engine from "./engine/Engine.ts"
export * as Errors from "./domain/Errors.ts"
export * as Limit from "./Limit.ts"
export * as Signal from "./Signal.ts"
export * as Step from "./Step.ts"
export * as Unique from "./Unique.ts"
export * as Task from "./Task.ts"
export * as TaskState from "./domain/TaskState.ts"
export * as Versions from "./domain/Versions.ts"
export { Signals } from "./flow/Signals.ts"
export * as LocalTaskQueue from "./queue/LocalTaskQueue.ts"
export { TaskQueue } from "./queue/TaskQueue.ts"
export { EventFeed } from "./events/EventFeed.ts"
export { EventLog } from "./store/EventLog.ts"
export { Instance } from "./store/InstanceStore.ts"
export { InstanceStore } from "./store/InstanceStore.ts"
export { Notifier } from "./store/Notifier.ts"
export { RecordStore } from "./store/RecordStore.ts"
export { RemoteClaims } from "./remote/RemoteClaims.ts"
export { Schedules } from "./schedule/Schedules.ts"
export { Statistics } from "./statistics/Statistics.ts"
export { TaskStore } from "./store/TaskStore.ts"
export { Supervisor } from "./observability/Supervisor.ts"
export { HandlerRegistry } from "./worker/HandlerRegistry.ts"
export { TaskContext } from "./worker/TaskContext.ts"
export { WorkerPool } from "./worker/WorkerPool.ts"
export * as MemoryStore from "./store/memory/MemoryStore.ts"
export * as ThreadHandler from "./threads/ThreadHandler.ts"
export { onThread } from "./threads/onThread.ts"
export { ThreadCrashed } from "./threads/Thread.ts"
export { ThreadModulesMissing, ThreadPool } from "./threads/ThreadPool.ts"

// What the signatures above show, by name: the compiler writes these names into the declarations of a program
export * from "./domain/Errors.ts"
export * from "./domain/BatchErrors.ts"
export * from "./domain/StepErrors.ts"
export * from "./domain/RemoteErrors.ts"
export type { Options as RemoteClaimsOptions } from "./remote/RemoteOptions.ts"
export type {
  ClaimOrder,
  ExtendState,
  Find as FindDefinition,
  RemoteClaim,
  RemoteEnd,
  RemoteLine,
  RemoteWorker,
  Settled as SettledClaim,
  SettleState
} from "./remote/RemoteTask.ts"
export type { RemoteType } from "./remote/RemoteType.ts"
export { type Created as CreatedKey, InvalidKeyName, KeyNotFound } from "./access/ApiKeys.ts"
export type { ApiKey, Role, StoredKey } from "./domain/ApiKey.ts"
export type { Batch as TaskBatch, MakeError as BatchMakeError, Options as BatchOptions } from "./Batch.ts"
export type { Callbacks as BatchCallbacks, Ends as BatchEnds, Summary as BatchSummary } from "./flow/BatchRecords.ts"
export type { Breaker as TaskBreaker } from "./Breaker.ts"
export type {
  Options as BreakerOptions,
  Phase as BreakerState,
  Rule as BreakerRule,
  Settings as StoredBreakerSettings
} from "./domain/Breaker.ts"
export type { Bucket, Gated, Holder } from "./domain/Gate.ts"
export type {
  ConcurrencyOptions,
  FairOptions,
  Key as LimitKey,
  Limit as LimitOfDefinition,
  LimitRule,
  OrderOptions,
  RateOptions
} from "./domain/LimitRule.ts"
export type { GivenLimits, Limit as TaskLimit, Limits as LimitConstructors } from "./Limit.ts"
export type {
  PostponeOptions,
  UniqueOption,
  UniqueOptions,
  UniqueSettings,
  Window as UniqueWindow
} from "./domain/UniqueRule.ts"
export type { Hold as KeyHold, Merge, OnConflict, Unique as StoredUnique } from "./domain/Uniqueness.ts"
export type { RescheduleError, RescheduleOptions, RescheduleSubmission, RescheduleTimes } from "./queue/Reschedule.ts"
export type { DebounceOptions, GivenUnique, ThrottleOptions, Uniques } from "./Unique.ts"
export type { PriorityInput, PriorityName } from "./domain/Priority.ts"
export type { RetryPolicy, RetryRule } from "./domain/RetryPolicy.ts"
export type { StepOptions, StepSettings } from "./domain/StepOptions.ts"
export type { EndedDependency } from "./domain/Dependencies.ts"
export type { SettleAnswer, Settlement } from "./domain/Settlement.ts"
export type {
  Consequences,
  Dropped as DroppedTask,
  Edges,
  Link,
  LinkPlace,
  Links,
  LinksRequest,
  ReadLinks
} from "./store/Dependencies.ts"
export type { Reopen, ReopenAnswer, ReopenOptions } from "./domain/Reopen.ts"
export type { AnyTaskDefinition, PlainSchema, TaskCodec, TaskDefinition } from "./domain/TaskDefinition.ts"
export type { Fitting as FittingPayload, Versions as PayloadVersions } from "./domain/Versions.ts"
export type { NewTaskEvent, TaskEvent } from "./domain/TaskEvent.ts"
export type { AttemptRecord, ClaimedTask, NewTask, TaskFailure, TaskRecord } from "./domain/TaskRecord.ts"
export type {
  Filter as EventFilter,
  Item as EventItem,
  Subscription,
  WatchedEvent,
  WatchOptions
} from "./events/EventFeed.ts"
export type { Deadline, Explanation, Reason } from "./explain/Explain.ts"
export type {
  Awaitable,
  Event as SignalEvent,
  Options as SignalOptions,
  Signal as TaskSignal,
  SignalError
} from "./Signal.ts"
export type { SignalEnd } from "./flow/SignalRecords.ts"
export type { Signal as StoredSignal } from "./flow/Signals.ts"
export type { ErrorsView, ErrorView, StatisticsOptions, StatisticsView } from "./statistics/Statistics.ts"
export type { Fingerprint } from "./domain/Fingerprint.ts"
export type {
  Counts as StatisticsCounts,
  Depths as StatisticsDepths,
  InstanceSeries,
  Quantiles as StatisticsQuantiles,
  Series as StatisticsSeries,
  TypeSeries
} from "./statistics/Series.ts"
export type { Counted as StatisticsCounted } from "./observability/Tally.ts"
export type { Given as GivenOfStep, RunOptions as StepRunOptions, WaitOptions as StepWaitOptions } from "./Step.ts"
export type { StepCodec } from "./flow/StepCodec.ts"
export type { End as StepEnd } from "./flow/StepRecords.ts"
export type { StepRunner } from "./flow/StepRunner.ts"
export type { QueueLimits } from "./domain/QueueLimits.ts"
export type { DependencyReason } from "./explain/DependencyReasons.ts"
export type { StepReason } from "./explain/StepReasons.ts"
export type { Starts } from "./explain/Starts.ts"
export type { Cause, Verdict, Verdicts } from "./explain/Verdict.ts"
export type { GateReason, LastFailure, OfKey, PauseFacts } from "./explain/GateReasons.ts"
export type { LogLine } from "./logs/LogLine.ts"
export * as LogLevels from "./domain/LogLevels.ts"
export type { LogLevels as ProcessLogLevels } from "./domain/LogLevels.ts"
export type { LogModule } from "./domain/LogModule.ts"
export type {
  LogLevelOptions,
  LogLevels as QueueLogLevels,
  LogLevelSettings,
  SetLogLevel,
  UnsetLogLevels
} from "./queue/LogLevels.ts"
export type { FiberStack, FiberStacks, Frame as StackFrame, RunningStack } from "./worker/RunningStack.ts"
export type { Level as LogLevelName, LoggedAttempt, LoggedLine } from "./logs/TaskLogs.ts"
export type { Options as RetentionOptions } from "./maintenance/Pruner.ts"
export type { Options as RescuerOptions } from "./maintenance/Rescuer.ts"
export type { Stall, Trouble } from "./observability/Supervisor.ts"
export type {
  DeadLetterFilter,
  DeadLetterGroup,
  DeadLetterGroups,
  DeadLetterPart,
  DeadLetters,
  DeadLettersDone
} from "./queue/DeadLetters.ts"
export { OperationNotFound, OperationRefused } from "./domain/Operation.ts"
export type { Action as OperationAction, OperationRefusal, OperationState } from "./domain/Operation.ts"
export type { StoredFilter as StoredTaskFilter, TaskFilter } from "./operation/TaskFilter.ts"
export type { DeedOptions as OperationDeed, NewOperation, Wanted as WantedOperation } from "./queue/NewOperation.ts"
export type {
  OperationError,
  OperationPage,
  Operations,
  OperationView,
  Preview as OperationPreview
} from "./queue/Operations.ts"
export type {
  BreakerError,
  BreakerKey as BreakerKeyState,
  BreakerPage,
  Breakers,
  BreakerSettings,
  BreakerView,
  OpenOptions as BreakerOpening
} from "./queue/Breakers.ts"
export type { LimitError, Limits } from "./queue/Limits.ts"
export type {
  LimitChange,
  LimitDetail,
  LimitKey as LimitKeyState,
  LimitKind,
  LimitOptions,
  LimitPage,
  LimitSetting,
  LimitView
} from "./queue/LimitViews.ts"
export type { LimitWaiting } from "./queue/LimitWaiting.ts"
export type { Pause, PausedKey, PausedQueue, PausedType, PauseOptions } from "./queue/Pauses.ts"
export type {
  PageOptions,
  QueueCounts,
  QueueDetail,
  QueuePage,
  Queues,
  TypeCounts,
  TypePage,
  Unfinished
} from "./queue/Queues.ts"
export type { AddError, AddOptions, BatchError, Batches, NewBatch } from "./queue/Batches.ts"
export type {
  BranchCancelled,
  BranchChangeError,
  BranchError,
  Branches,
  BranchOptions,
  BranchRerun,
  BranchSize,
  RerunBranchOptions,
  Scope as BranchScope
} from "./queue/Branches.ts"
export type { BatchPage, BatchView } from "./queue/BatchViews.ts"
export type { ListOptions, Page as TaskPage } from "./queue/Listing.ts"
export type { EnqueueOptions, Submission } from "./queue/Submission.ts"
export type { OneOrMany } from "./queue/OneOrMany.ts"
export type { Instances, LivingInstance, LivingInstances, RunningNow } from "./queue/Instances.ts"
export type { Scales, Scaling, ScalingOptions } from "./queue/Scaling.ts"
export type { StoredAttempt, StoredFailure, StoredOutcome, StoredTask } from "./queue/StoredTask.ts"
export type { AnyTaskDraft, DraftOptions, HandlesOf, TaskDraft } from "./queue/TaskDraft.ts"
export type { Definition as HandleDefinition, TaskHandle, Unsuccessful } from "./queue/TaskHandle.ts"
export type { Created as CreatedTask, Refusal, WhenFull } from "./queue/TaskQueue.ts"
export type { Options as TaskQueueOptions } from "./queue/LocalTaskQueue.ts"
export type { Declared as DeclaredSchedules } from "./schedule/Declared.ts"
export type { Scheduled } from "./schedule/Scheduled.ts"
export type {
  Missed as MissedTicks,
  Overlap as OverlappingTicks,
  ScheduleOptions,
  TickOptions
} from "./schedule/ScheduleOptions.ts"
export type {
  AuthorOptions as ScheduleAuthor,
  PauseOptions as SchedulePauseOptions,
  ScheduleError,
  SetError as ScheduleSetError
} from "./schedule/Schedules.ts"
export type {
  Preview as SchedulePreview,
  ScheduledTask,
  SchedulePage,
  SchedulePause,
  ScheduleView,
  Tick as ScheduleTick
} from "./schedule/ScheduleView.ts"
export type { Outcome as TickOutcome } from "./schedule/StoredSchedule.ts"
export type { Input as TimetableInput, Timetable } from "./domain/Timetable.ts"
export type { EventPage } from "./store/EventLog.ts"
export type { Charge, PassState } from "./store/Gates.ts"
export type {
  Beat,
  InstanceRecord,
  Load as InstanceLoad,
  QueueShare,
  Roll,
  RunningTask,
  Sizing
} from "./store/InstanceStore.ts"
export type { Counts, Totals } from "./store/Counts.ts"
export type { CountedLanes, LaneCounts, LaneRange, Runnable } from "./store/Lanes.ts"
export type { Hint } from "./store/Notifier.ts"
export type {
  Change as RecordChange,
  Due as DueRecords,
  Listed as ListedRecords,
  ListRequest as RecordListRequest,
  StoredRecord
} from "./store/RecordStore.ts"
export type { ServerServices, StoreServices, StoreSettings } from "./store/Driver.ts"
export type {
  Accepted,
  CancelAnswer,
  ClaimAnswer,
  ClaimRef,
  ClaimRequest,
  EnqueueAnswer,
  Expired as ExpiredTask,
  ExtendAnswer,
  Listed as ListedTasks,
  ListRequest as TaskListRequest,
  Outcome,
  ProgressReport,
  RemoveAnswer,
  RerunAnswer,
  RescueAnswer,
  Rescued,
  RescueRequest,
  Retention,
  Stranded
} from "./store/TaskStore.ts"
export type { Refusal as RefusedWrites, Room, WriteHealth } from "./store/WriteHealth.ts"
export type {
  BatchHandler,
  BatchSettings,
  EarlierResult,
  EnqueueError,
  EnqueueSettings,
  PlainFields,
  Task as TaskType,
  TaskHandler,
  ToSchema
} from "./Task.ts"
export type { OnThreadOptions } from "./threads/onThread.ts"
export type { ThreadHandler as ThreadHandlerType } from "./threads/ThreadHandler.ts"
export type { Listener as ThreadListener } from "./threads/Thread.ts"
export type { Ending as ThreadEnding, Job as ThreadJob, Logged as ThreadLogged } from "./threads/ThreadMessage.ts"
export type { Isolation } from "./threads/ThreadPlatform.ts"
export type { Options as ThreadPoolOptions } from "./threads/ThreadPool.ts"
export type { BatchingOptions, BatchItem } from "./worker/Batcher.ts"
export type { Protecting as ProtectingBreaker } from "./worker/AttemptBreakers.ts"
export type { Handler } from "./worker/HandlerRegistry.ts"
export type { EarlierTask } from "./worker/EarlierTasks.ts"
export type { HandlerContext } from "./worker/TaskContext.ts"
export type { SlotView } from "./worker/SlotView.ts"
export type { Options as SharesOptions, Share } from "./worker/Shares.ts"
export type { Options as WorkerPoolOptions } from "./worker/WorkerPool.ts"
