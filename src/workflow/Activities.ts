/**
 * The activities of one attempt at an execution. One that has ended is not run again: how it ended is a step of the task, and every
 * later run of the body is given that. One that was interrupted has not ended.
 */
import { Cause, Clock, Deferred, Effect, Exit, Schema, SchemaAST } from "effect"
import { Workflow, WorkflowEngine } from "effect/workflow"
import type { Activity } from "effect/workflow"
import * as Bounds from "../domain/Bounds.ts"
import * as JsonText from "../domain/JsonText.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { StepRefused, StepUnfit } from "../domain/StepErrors.ts"
import type { Restore, StepJournal } from "../flow/StepJournal.ts"
import * as StepRecords from "../flow/StepRecords.ts"
import type { TaskContext } from "../worker/TaskContext.ts"
import * as ExitJson from "./ExitJson.ts"

type Instance = WorkflowEngine.WorkflowInstance["Service"]
type Result = Workflow.Result<unknown, unknown>

/** What activities ask of their execution. */
interface Host {
  readonly workflow: Workflow.Any
  readonly context: Pick<TaskContext["Service"], "id" | "attempt">
  /** Whether a new one must not begin. */
  readonly isInterrupted: Effect.Effect<boolean>
  /** The run stops at a wait. */
  readonly waits: () => void
}

/** See above. */
export class Activities {
  private readonly execution: Host
  private readonly journal: StepJournal
  /** Of those that run. */
  readonly instances = new Set<Instance>()
  /** By their steps: another one of the same name waits for the first. */
  private readonly inFlight = new Map<string, Deferred.Deferred<void>>()

  constructor(execution: Host, journal: StepJournal) {
    this.execution = execution
    this.journal = journal
  }

  /** Runs an activity, or gives what it gave before. */
  run(activity: Activity.Any, attempt: number, instance: Instance): Effect.Effect<Result> {
    const step = `${activity.name}/${attempt}`
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const invalid = Bounds.refuse("activity", StepRecords.name, activity.name)
        if (invalid !== undefined) return yield* Effect.die(invalid)
        for (;;) {
          yield* restore(this.journal.loaded)
          const known = this.journal.ends.get(step)
          if (known !== undefined) return yield* this.stored(activity, step, known)
          const other = this.inFlight.get(step)
          if (other === undefined) break
          yield* restore(Deferred.await(other))
        }
        const done = Deferred.makeUnsafe<void>()
        this.inFlight.set(step, done)
        return yield* Effect.ensuring(
          this.start(activity, step, instance, restore),
          Effect.sync(() => {
            this.inFlight.delete(step)
            Deferred.doneUnsafe(done, Exit.void)
          })
        )
      })
    )
  }

  private start(activity: Activity.Any, step: string, outer: Instance, restore: Restore): Effect.Effect<Result> {
    return Effect.gen({ self: this }, function*() {
      if (yield* restore(this.execution.isInterrupted)) return new Workflow.Suspended({})
      const { bytes, count } = this.journal.size
      if (count >= StepRecords.maxSteps || bytes >= StepRecords.maxTaskBytes) {
        const reason = `is one too many: an execution has ${StepRecords.maxSteps} activities and sleeps at most, ` +
          `of ${StepRecords.maxTaskBytes} bytes`
        return yield* Effect.die(new StepRefused({ id: this.execution.context.id, step, reason }))
      }
      yield* restore(this.journal.taken)
      // An attempt that did not know that it had lost the task may have ended it until then
      const ended = this.journal.ends.get(step)
      if (ended !== undefined) return yield* this.stored(activity, step, ended)
      const instance = WorkflowEngine.WorkflowInstance.initial(this.execution.workflow, this.execution.context.id)
      instance.interrupted = outer.interrupted
      this.instances.add(instance)
      const [clock, startedAt] = yield* Effect.map(
        Clock.Clock,
        (clock) => [clock, clock.currentTimeMillisUnsafe()] as const
      )
      const begin = MonotonicClock.exactMillis(clock)
      this.journal.running.add(step)
      const exit = yield* Effect.exit(restore(activity.executeEncoded.pipe(
        Workflow.intoResult,
        Effect.provideService(WorkflowEngine.WorkflowInstance, instance)
      ) as Effect.Effect<Result>))
      this.journal.running.delete(step)
      this.instances.delete(instance)
      if (Exit.isSuccess(exit) && exit.value._tag === "Suspended") {
        this.execution.waits()
        return exit.value
      }
      const own = this.named(
        activity,
        step,
        Exit.isSuccess(exit) ? (exit.value as Workflow.Complete<unknown, unknown>).exit : exit
      )
      // It was told to stop, and has not ended
      if (Exit.isFailure(own) && Cause.hasInterruptsOnly(own.cause)) return yield* exit
      const end = endOf(own)
      const ms = Math.round((MonotonicClock.exactMillis(clock) - begin) * 1000) / 1000
      yield* this.journal.keep({ name: step, attempt: this.execution.context.attempt, startedAt, ms, end }, restore)
      return end._tag === "Unfit" ? yield* this.stored(activity, step, end) : new Workflow.Complete({ exit: own })
    })
  }

  /** The same exit, in which what its own schemas could not encode says of which activity it is. */
  private named(activity: Activity.Any, step: string, exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> {
    if (Exit.isSuccess(exit)) return exit
    const { errorSchema, successSchema } = activity as Activity.Any & Activity.AnyWithProps
    for (const { defect } of exit.cause.reasons.filter(Cause.isDieReason)) {
      if (!Schema.isSchemaError(defect)) continue
      if (isOf(successSchema, defect)) return unfit(this.execution.context.id, step, "result", defect.message)
      if (isOf(errorSchema, defect)) return unfit(this.execution.context.id, step, "error", defect.message)
    }
    return exit
  }

  /** What an activity gave before. */
  private stored(activity: Activity.Any, step: string, end: StepRecords.End): Effect.Effect<Result> {
    const exit = end._tag === "Value"
      ? Exit.succeed(end.value)
      : end._tag === "Error"
      ? ExitJson.toExit({ _tag: "Failure", cause: end.error as ExitJson.CauseJson })
      : unfit(
        this.execution.context.id,
        step,
        "result",
        end._tag === "Unfit" ? end.issue : "it was no activity in an earlier attempt"
      )
    // Its schema may have changed: the error says which activity it is
    const { exitSchemaPartial } = activity as Activity.Activity<Schema.Codec<unknown>, Schema.Codec<unknown>>
    return Effect.match(Schema.decodeEffect(exitSchemaPartial)(exit), {
      onSuccess: () => new Workflow.Complete({ exit }),
      onFailure: ({ message }) =>
        new Workflow.Complete({
          exit: unfit(this.execution.context.id, step, end._tag === "Value" ? "stored result" : "stored error", message)
        })
    })
  }
}

/** Whether an error is of encoding by this schema, and not one that the activity met in its work. */
const isOf = (schema: Schema.Top, { issue }: Schema.SchemaError): boolean =>
  "ast" in issue && issue.ast === SchemaAST.flip(Schema.toCodecJson(schema).ast)

/** What is kept of how an activity ended. */
const endOf = (exit: Exit.Exit<unknown, unknown>): StepRecords.End => {
  const json = ExitJson.ofExit(exit)
  const [subject, value] = json._tag === "Success" ? ["result", json.value] as const : ["error", json.cause] as const
  const text = JsonText.encode(value, StepRecords.maxResultBytes)
  if (Exit.isFailure(text)) return { _tag: "Unfit", subject, issue: StepRecords.issueOf(text.cause) }
  return subject === "result"
    ? { _tag: "Value", value: JSON.parse(text.value) }
    : { _tag: "Error", error: JSON.parse(text.value) }
}

const unfit = (id: string, step: string, subject: StepUnfit["subject"], issue: string): Exit.Exit<never> =>
  Exit.die(new StepUnfit({ id, step, subject, issue }))
