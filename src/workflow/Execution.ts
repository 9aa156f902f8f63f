/**
 * One attempt at an execution of a workflow. Its body is run from the beginning, and is given what has ended before: activities and
 * sleeps are steps of the task, fenced by its claim. Where it has to wait, the attempt ends and gives its slot back, in the same write
 * that says so; if something came since the attempt began, it is run again instead.
 */
import { Clock, Context, Duration, Effect, Exit, Fiber, Option, Scope } from "effect"
import { Workflow, WorkflowEngine } from "effect/workflow"
import type { Activity, DurableClock } from "effect/workflow"
import * as Bounds from "../domain/Bounds.ts"
import { type LeaseLost, type RecordConflict, type StoreError } from "../domain/Errors.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import * as ExecutionRecords from "../flow/ExecutionRecords.ts"
import { asking, type StepHost, StepJournal } from "../flow/StepJournal.ts"
import * as StepRecords from "../flow/StepRecords.ts"
import { type RecordStore } from "../store/RecordStore.ts"
import { type TaskStore } from "../store/TaskStore.ts"
import { Attempt } from "../worker/Attempt.ts"
import type { TaskContext } from "../worker/TaskContext.ts"
import { Activities } from "./Activities.ts"
import * as ExitJson from "./ExitJson.ts"
import { type Run, runOf } from "./Run.ts"
import { Waits } from "./Waits.ts"

type Instance = WorkflowEngine.WorkflowInstance["Service"]
type Result = Workflow.Result<unknown, unknown>

/** What executions ask of the process. */
export interface ExecutionHost extends StepHost {
  readonly stores: Context.Context<RecordStore | TaskStore>
  /** What has come to an execution, asked for together with others. */
  readonly readExecution: (id: string) => Effect.Effect<ExecutionRecords.Read>
  readonly engine: () => WorkflowEngine.WorkflowEngine["Service"]
  readonly deferredState: WorkflowEngine.DeferredState
}

/** An execution while it runs in this process. */
export class Execution {
  readonly workflow: Workflow.Any
  readonly context: TaskContext["Service"]
  private readonly host: ExecutionHost
  private readonly journal: StepJournal
  private readonly activities: Activities
  private instance: Instance
  private read: ExecutionRecords.Read = { version: 0, document: ExecutionRecords.empty }
  private interrupt: ExecutionRecords.Document["interrupt"] = null
  /** Whether the record has just been read. */
  private isFresh = false
  /** How the body ended, once its compensations run. */
  private bodyExit: Exit.Exit<unknown, unknown> | undefined
  /** A compensation has to wait. */
  private waitsInCompensation = false
  /** Something came that the run has to see. */
  private again = false
  private waitsOf = new Waits()
  private scope = Scope.makeUnsafe()
  private writes = 0

  constructor(workflow: Workflow.Any, context: TaskContext["Service"], host: ExecutionHost) {
    this.workflow = workflow
    this.context = context
    this.host = host
    this.journal = new StepJournal(context, host, () => {})
    this.activities = new Activities(this, this.journal)
    this.instance = WorkflowEngine.WorkflowInstance.initial(workflow, context.id)
  }

  get id(): string {
    return this.context.id
  }

  /** Where it is found when it is to be brought forward. */
  get address(): ExecutionRecords.Address {
    const { id, queue, type } = this.context
    return { id, type, queue }
  }

  /** Runs the body until it has ended; otherwise the attempt ends. */
  readonly perform = (
    body: Effect.Effect<unknown, unknown, WorkflowEngine.WorkflowInstance | WorkflowEngine.WorkflowEngine>,
    leave: (delayMs: number) => Effect.Effect<never>
  ): Effect.Effect<Exit.Exit<unknown, unknown>> =>
    Effect.gen({ self: this }, function*() {
      for (;;) {
        yield* this.open
        const run = yield* this.runOnce(body)
        if (run._tag === "Ended") return run.exit
        if (run._tag === "Again") continue
        const delayMs = yield* this.suspend(run.failed)
        if (delayMs !== undefined) return yield* leave(delayMs)
      }
    })

  private readonly open: Effect.Effect<void> = Effect.suspend(() =>
    Effect.map(this.host.readExecution(this.id), (read) => {
      this.read = read
      this.interrupt = read.document.interrupt
      this.isFresh = true
      this.bodyExit = undefined
      this.waitsInCompensation = false
      this.again = false
      this.waitsOf = new Waits()
    })
  )

  /** Asks the stores until they answer. */
  private asked<A>(question: Effect.Effect<A, StoreError, RecordStore | TaskStore>): Effect.Effect<A> {
    return asking(Effect.provideContext(question, this.host.stores))
  }

  private runOnce(
    body: Effect.Effect<unknown, unknown, WorkflowEngine.WorkflowInstance | WorkflowEngine.WorkflowEngine>
  ): Effect.Effect<Run> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const instance = this.instance = WorkflowEngine.WorkflowInstance.initial(this.workflow, this.id)
        this.scope = yield* Scope.make()
        const running = body.pipe(
          Effect.onExit((exit) => this.bodyEnds(instance, exit)),
          Workflow.intoResult,
          Effect.provideService(WorkflowEngine.WorkflowEngine, this.host.engine()),
          (run) => this.host.deferredState.trackRun(instance, run)
        )
        const fiber = yield* Effect.forkChild(running, { startImmediately: true })
        const exit = yield* restore(Fiber.await(fiber)).pipe(
          Effect.onInterrupt(() => this.abandon(fiber)),
          Effect.ensuring(Scope.close(this.scope, Exit.void))
        )
        return this.waitsInCompensation
          ? { _tag: "Waits", failed: null }
          : runOf(instance, exit, this.bodyExit, this.again)
      })
    )
  }

  /** Whether the task was cancelled while it ran. */
  get isCancelled(): boolean {
    return this.context instanceof Attempt && this.context.reason === "cancelled"
  }

  /** The attempt was asked to stop. The execution goes on in another one, so nothing is compensated, unless it was cancelled. */
  private abandon(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isCancelled) this.instance.interrupted = true
      else for (const instance of [this.instance, ...this.activities.instances]) instance.abandoned = true
      return Fiber.interrupt(fiber)
    })
  }

  /** An interrupt takes effect where the body would wait, and at once where it is to be `now`. */
  private bodyEnds(instance: Instance, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (instance.abandoned || instance.interrupted || (this.again && instance.suspended)) return Effect.void
      const suspends = Context.get(this.workflow.annotations, Workflow.SuspendOnFailure) && Exit.isFailure(exit)
      const isInterrupted = this.interrupt === "now" ||
        (this.interrupt !== null && (instance.suspended || suspends))
      if (!isInterrupted) {
        if (!instance.suspended && !suspends) this.bodyExit = exit
        return Effect.void
      }
      this.bodyExit = Exit.interrupt()
      instance.interrupted = true
      instance.suspended = false
      return Effect.andThen(
        this.interruptTakesEffect,
        Effect.withFiber((fiber) => Effect.interruptible(Fiber.interrupt(fiber)))
      )
    })
  }

  /** It is undone from now on, also by another attempt for which what it waited for has come. */
  private readonly interruptTakesEffect: Effect.Effect<void> = Effect.suspend(() => {
    if (this.interrupt === "now") return Effect.void
    this.interrupt = "now"
    const told = ExecutionRecords.tell(this.id, (known) => ({ ...known, interrupt: "now" }))
    return Effect.map(this.asked(told), (versions) => {
      if (versions?.before !== this.read.version) return
      this.read = { version: versions.after, document: { ...this.read.document, interrupt: "now" } }
    })
  })

  /** Ends the attempt in the write that says what it waits for. Answers for how long, or nothing where something came. */
  private suspend(failed: ExecutionRecords.Document["failed"]): Effect.Effect<number | undefined> {
    return Effect.gen({ self: this }, function*() {
      const now = yield* this.storeNow
      const { kept: waits, sleepsUntil } = this.waitsOf
      const delayMs = failed !== null ? StepRecords.forEverMs : this.waitsOf.delayMs(now)
      const document = { ...this.read.document, address: this.address, news: false, failed, waits, sleepsUntil }
      const change = ExecutionRecords.replaced(this.id, this.read.version, document)
      const { claim, id } = this.context
      const parts = { changes: [change], settlements: [{ _tag: "Snooze", id, claim, delayMs } as const] }
      return yield* this.atomically(parts).pipe(
        Effect.as(delayMs),
        Effect.catchTags({ RecordConflict: () => Effect.undefined, LeaseLost: Effect.die })
      )
    })
  }

  /** Writes records and the end of the attempt together. */
  atomically(
    parts: Parameters<RecordStore["Service"]["atomically"]>[1]
  ): Effect.Effect<void, RecordConflict | LeaseLost> {
    const nonce = `workflow/${this.context.claim}/${this.writes++}`
    return asking(
      this.host.records.atomically(nonce, parts).pipe(
        Effect.asVoid,
        Effect.catchTags({
          RecordConflict: (conflict) => Effect.succeed(conflict),
          LeaseLost: (lost) => Effect.succeed(lost),
          KeyConflict: Effect.die,
          UnknownDependency: Effect.die,
          DependencyCycle: Effect.die,
          QueueFull: Effect.die
        })
      )
    ).pipe(Effect.flatMap((refused) => refused === undefined ? Effect.void : Effect.fail(refused)))
  }

  /** An execution that waits for the end of this one, besides its parent, as far as is known. */
  get waiters(): Effect.Effect<ReadonlyArray<ExecutionRecords.Address>> {
    return this.read.version === 0
      ? Effect.succeed([])
      : Effect.map(this.host.readExecution(this.id), ({ document }) => document.waiters)
  }

  /** Something came that may be what the run waits for. */
  preempt(name: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.waitsOf.missed.has(name)) return Effect.void
      this.again = true
      return this.host.deferredState.deferredDone(this.id, name)
    })
  }

  /** It has completed a deferred by itself: where it has not asked for it before, nothing came that it does not know. */
  completed(name: string, versions: { readonly before: number; readonly after: number }): void {
    if (versions.before !== this.read.version || this.waitsOf.missed.has(name)) return
    this.read = { ...this.read, version: versions.after }
  }

  /** Whether a new activity must not begin: the execution is interrupted, and runs to build its compensations. */
  readonly isInterrupted: Effect.Effect<boolean> = Effect.suspend(() => {
    // Those of compensations do, also where the body has failed before the interrupt came
    if (this.instance.interrupted || this.bodyExit !== undefined) return Effect.succeed(false)
    if (this.interrupt !== null || this.isFresh) {
      this.isFresh = false
      return Effect.succeed(this.interrupt !== null)
    }
    return Effect.map(this.host.readExecution(this.id), (read) => {
      this.interrupt ??= read.document.interrupt
      return this.interrupt !== null
    })
  })

  /** The run stops at a wait. In a compensation all others are left to the next run, in which this one goes on. */
  waits(): void {
    if (this.bodyExit === undefined) return
    this.waitsInCompensation = true
    this.instance.abandoned = true
  }

  /** Runs an activity, or gives what it gave before. */
  activity(activity: Activity.Any, attempt: number, instance: Instance): Effect.Effect<Result> {
    return this.activities.run(activity, attempt, instance)
  }

  /** What a deferred was completed with, or that a sleep is over. */
  deferred(name: string): Effect.Effect<Option.Option<Exit.Exit<unknown, unknown>>> {
    return Effect.gen({ self: this }, function*() {
      yield* this.journal.loaded
      const sleep = this.journal.ends.get(sleepStep(name))
      if (sleep?._tag === "Sleep") {
        if (sleep.over === true || sleep.until <= (yield* this.storeNow)) return Option.some(Exit.void)
        this.waitsOf.onSleep(sleep.until)
      }
      // before it is asked for: it may come while the answer is on its way
      this.waitsOf.missed.add(name)
      const exit = yield* this.asked(ExecutionRecords.deferred(this.id, name))
      if (exit !== undefined) {
        this.waitsOf.missed.delete(name)
        return Option.some(ExitJson.toExit(exit as ExitJson.ExitJson, true))
      }
      if (sleep === undefined) this.waitsOf.onDeferred(name)
      this.waits()
      return Option.none()
    })
  }

  /** Begins a sleep. The time counts from the first attempt that comes here. */
  sleep(clock: DurableClock.DurableClock): Effect.Effect<void> {
    const { name } = clock.deferred
    const step = sleepStep(name)
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const invalid = Bounds.refuse("duration", Bounds.delay, clock.duration)
        if (invalid !== undefined) return yield* Effect.die(invalid)
        yield* restore(this.journal.loaded)
        const now = yield* restore(this.storeNow)
        let known = this.journal.ends.get(step)
        if (known === undefined) {
          yield* restore(this.journal.taken)
          // An attempt that did not know that it had lost the task may have begun it until then
          known = this.journal.ends.get(step)
        }
        if (known === undefined) {
          const startedAt = yield* Clock.currentTimeMillis
          known = { _tag: "Sleep", until: now + Math.ceil(Duration.toMillis(clock.duration)) }
          yield* this.journal.keep({ name: step, attempt: this.context.attempt, startedAt, ms: 0, end: known }, restore)
        }
        if (known._tag !== "Sleep" || known.until <= now) return
        // While others run, the run hears of the end of the sleep
        yield* Effect.sleep(known.until - now).pipe(
          Effect.andThen(this.preempt(name)),
          Effect.forkIn(this.scope)
        )
      })
    )
  }

  /** The clock that times of sleeps are of. */
  private readonly storeNow: Effect.Effect<number> = Effect.suspend(() =>
    Effect.map(asking(this.host.records.due(StepRecords.clockKind, 1)), ({ now }) => now)
  )

  /** It waits for the end of another execution, or for room for one in a full queue: others have its slot until then. */
  readonly waitsForChild = (child: TaskRecord | "room"): Effect.Effect<void> =>
    Effect.map(this.storeNow, (now) => {
      if (child === "room") this.waitsOf.onFull(now)
      else this.waitsOf.onChild(child, now)
      this.waits()
    })
}

/** The step that a sleep is; those of activities end with a number. */
const sleepStep = (deferred: string): string => `${deferred}/clock`
