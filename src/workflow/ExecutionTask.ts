/** The task type that a workflow becomes, and how its payloads and ends are stored. */
import { Cause, Context, Effect, Exit, Option, Schema } from "effect"
import type { Workflow } from "effect/workflow"
import * as Bounds from "../domain/Bounds.ts"
import { sameJson } from "../domain/SameJson.ts"
import type { TaskFailure, TaskRecord } from "../domain/TaskRecord.ts"
import * as Thrown from "../domain/Thrown.ts"
import * as ExecutionRecords from "../flow/ExecutionRecords.ts"
import * as Task from "../Task.ts"
import * as ErrorDetails from "../worker/ErrorDetails.ts"
import * as ExitJson from "./ExitJson.ts"

/** How the tasks of a workflow are run: what a task type may say, with the payload of the workflow as JSON. */
export interface Options extends
  Pick<
    Task.Options<typeof Input, typeof Schema.Json, typeof Schema.Json>,
    | "queue"
    | "priority"
    | "timeout"
    | "startWithin"
    | "tags"
    | "limits"
    | "breakers"
    | "orderBy"
    | "fairBy"
    | "description"
  >
{}

/**
 * The annotation of a workflow that says how its tasks are run.
 *
 * @example
 * ```ts
 * const Onboard = Workflow.make("Onboard", { payload: { user: Schema.String }, idempotencyKey: ({ user }) => user })
 *   .annotate(TaskForgeWorkflows.TaskOptions, { queue: "onboarding", limits: [Limit.concurrency({ max: 10 })] })
 * ```
 */
export const TaskOptions: Context.Reference<Options> = Context.Reference<Options>("taskforge/workflow/TaskOptions", {
  defaultValue: () => ({})
})

/** What is stored of an execution: its payload, encoded, and the execution that waits for its end. */
export const Input = Schema.Struct({
  payload: Schema.Json,
  parent: Schema.optionalKey(ExecutionRecords.Address)
})

/** See {@link Input}. */
export type Input = typeof Input.Type

/** How an execution failed, as its task keeps it: what people see first, and the cause. The end is final, so no attempt follows. */
const Failed = Schema.Struct({ _tag: Schema.String, message: Schema.String, cause: ExitJson.CauseJson })

const failedOf = Schema.decodeUnknownOption(Failed)

/** What a task fails with whose execution ended with a cause. The first reason that is no interrupt is shown. */
export const failed = (cause: ExitJson.CauseJson): typeof Failed.Type => {
  const reason = cause.find(({ _tag }) => _tag !== "Interrupt")
  const thrown = reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : reason
  const { message, tag } = Thrown.show(thrown)
  const name = reason?._tag === "Die" && tag === "object" ? nameOf(thrown) : tag
  return { _tag: name, message, cause }
}

/** Of a defect that is JSON by now. */
const nameOf = (defect: unknown): string => {
  const { name } = defect as { readonly name?: unknown }
  return typeof name === "string" && name !== "" ? Thrown.cut(name, Thrown.maxTagLength) : "Error"
}

/** The same as the settlement of an attempt has it. */
export const failureOf = (cause: ExitJson.CauseJson): TaskFailure => {
  const { _tag: tag, message } = failed(cause)
  const { error, note } = ErrorDetails.of({ _tag: tag, message, cause } as unknown as Schema.Json)
  return {
    kind: "error",
    tag,
    message: note === undefined ? message : Thrown.cut(`${message} ${note}`, Thrown.maxMessageLength),
    ...error === undefined ? {} : { error }
  }
}

/** An execution ended with what its schema does not accept. */
export class WorkflowUnfit extends Schema.TaggedError<WorkflowUnfit>()("WorkflowUnfit", {
  workflow: Schema.String,
  execution: Schema.String,
  subject: Schema.Literals(["payload", "stored payload", "result", "error", "stored result", "stored error"]),
  issue: Schema.String
}) {
  override get message(): string {
    return `The ${this.subject} of execution ${this.execution} does not fit the schema of workflow ${
      JSON.stringify(this.workflow)
    }: ${this.issue}`
  }
}

/** The execution failed as a task, and not by its body: it ran longer than its timeout, or its process died too often. */
export class WorkflowFailed extends Schema.TaggedError<WorkflowFailed>()("WorkflowFailed", {
  execution: Schema.String,
  kind: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `Execution ${this.execution} has failed (${this.kind}): ${this.reason}`
  }
}

/** The task type of a workflow. */
export type Definition = ReturnType<typeof definitionOf>

/** Makes the task type of a workflow. */
export const definitionOf = (workflow: Workflow.Any) => {
  const { _tag: name, annotations, errorSchema, payloadSchema, successSchema } = workflow as Workflow.AnyWithProps
  const task = Task.make(`${ExecutionRecords.typePrefix}${name}`, {
    // Activities take as long as they take
    timeout: Bounds.maxTimeout,
    ...Context.get(annotations, TaskOptions),
    payload: Input,
    success: Schema.Json,
    error: Failed as unknown as Schema.Codec<typeof Failed.Type, any>,
    retry: { retryable: () => false }
  })
  const [payload, success, error] = [payloadSchema, successSchema, errorSchema].map((schema) =>
    Schema.toCodecJson(schema)
  )
  const encode = (schema: Schema.Top) => Schema.encodeUnknownEffect(schema as Schema.Codec<unknown>)
  const decode = (schema: Schema.Top) => Schema.decodeUnknownEffect(schema as Schema.Codec<unknown>)
  const unfit = (execution: string, subject: WorkflowUnfit["subject"], issue: string) =>
    new WorkflowUnfit({ workflow: name, execution, subject, issue })
  return {
    task,
    encodePayload: (id: string, value: unknown): Effect.Effect<unknown, WorkflowUnfit> =>
      Effect.mapError(encode(payload!)(value), ({ message }) => unfit(id, "payload", message)),
    decodePayload: (id: string, json: unknown): Effect.Effect<unknown, WorkflowUnfit> =>
      Effect.mapError(decode(payload!)(json), ({ message }) => unfit(id, "stored payload", message)),
    /** How it ended, as it is stored. What does not fit its schema is a defect that says so. */
    encodeExit: (id: string, exit: Exit.Exit<unknown, unknown>): Effect.Effect<ExitJson.ExitJson> =>
      ExitJson.encoded(exit, encode(success!), encode(error!)).pipe(
        Effect.catch(({ message }) =>
          Effect.succeed(Exit.die(unfit(id, Exit.isSuccess(exit) ? "result" : "error", message)))
        ),
        Effect.map(ExitJson.ofExit)
      ),
    /** How a task that has finished ended. */
    decodeEnd: (
      { failure, id, result, state }: Pick<TaskRecord, "id" | "state" | "result" | "failure">
    ): Effect.Effect<Exit.Exit<unknown, unknown>> => {
      if (state === "completed") {
        return Effect.match(decode(success!)(JSON.parse(result ?? "null")), {
          onSuccess: Exit.succeed,
          onFailure: ({ message }) => Exit.die(unfit(id, "stored result", message))
        })
      }
      if (state === "cancelled") return Effect.succeed(Exit.interrupt())
      const kept = failedOf(failure?.error)
      if (Option.isNone(kept)) {
        const { kind = state, message: reason = "it was not started in time" } = failure ?? {}
        return Effect.succeed(Exit.die(new WorkflowFailed({ execution: id, kind, reason })))
      }
      const cause = ExitJson.toCause(kept.value.cause)
      return Effect.map(
        Effect.forEach(cause.reasons, (reason): Effect.Effect<Cause.Reason<unknown>> =>
          reason._tag === "Fail"
            ? Effect.match(decode(error!)(reason.error), {
              onSuccess: (error): Cause.Reason<unknown> => Cause.makeFailReason(error),
              onFailure: ({ message }) => Cause.makeDieReason(unfit(id, "stored error", message))
            })
            : Effect.succeed(reason)),
        (reasons) => Exit.failCause(Cause.fromReasons(reasons))
      )
    },
    /** Says so where an execution was asked for before with another payload, or is another task. */
    demandSame: (known: TaskRecord | undefined, input: Input): Effect.Effect<void> => {
      if (known === undefined) return Effect.void
      if (known.type !== task.type) {
        return Effect.die(
          new Error(
            `${known.id} is no execution of workflow ${JSON.stringify(name)}, but a task of type ${
              JSON.stringify(known.type)
            }`
          )
        )
      }
      const before = JSON.parse(known.payload) as Input
      return sameJson(JSON.stringify(before.payload), JSON.stringify(input.payload))
        ? Effect.void
        : Effect.logWarning(
          `Execution ${known.id} of workflow ${name} has another payload than it is executed with now: the first one counts`
        )
    }
  }
}
