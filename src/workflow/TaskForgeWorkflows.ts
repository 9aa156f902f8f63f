/**
 * Effect's workflows on TaskForge: an execution is a task, so it is durable on every store, and has what tasks have. `Workflow.make`,
 * `Activity.make` and everything else of `effect/workflow` is used as with any other engine of theirs.
 *
 * ```text
 * execute ─► a task, whose id is the execution's ─► attempts, each runs the body from its beginning
 *                                                     activity ─► a step of the task: run once, and kept
 *                                                     wait ─► the attempt ends, the task sleeps without a slot
 * deferred, interrupt, resume, end of a child ─► the record of the execution ─► the task runs again
 * ```
 */
import { type Cause, Context, Effect, Layer, Option, type Schema } from "effect"
import { Workflow, WorkflowEngine } from "effect/workflow"
import * as Bounds from "../domain/Bounds.ts"
import type { Settlement } from "../domain/Settlement.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import { isFinished } from "../domain/TaskState.ts"
import * as ExecutionRecords from "../flow/ExecutionRecords.ts"
import * as JointPuts from "../flow/JointPuts.ts"
import * as KnownWorkflows from "../flow/KnownWorkflows.ts"
import { asking } from "../flow/StepJournal.ts"
import { fromPayload } from "../queue/Submission.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import * as Coalescer from "../store/Coalescer.ts"
import { Notifier } from "../store/Notifier.ts"
import { maxRecords } from "../store/RecordDriver.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { Withdrawn } from "../worker/Attempt.ts"
import { HandlerRegistry } from "../worker/HandlerRegistry.ts"
import type { HandlerContext } from "../worker/TaskContext.ts"
import { ChildEnds } from "./ChildEnds.ts"
import { Execution, type ExecutionHost } from "./Execution.ts"
import { type Definition, definitionOf, failed, failureOf, type Input } from "./ExecutionTask.ts"
import * as ExitJson from "./ExitJson.ts"

export { TaskOptions, WorkflowFailed, WorkflowUnfit } from "./ExecutionTask.ts"

const interrupted: ExitJson.ExitJson = { _tag: "Failure", cause: [{ _tag: "Interrupt" }] }

/** What an engine of Effect has to give. With a registry it runs workflows, without one it executes those of other processes. */
const make = (registry: HandlerRegistry["Service"] | undefined, notifier: Notifier["Service"] | undefined) =>
  Effect.gen(function*() {
    const queue = yield* TaskQueue
    const tasks = yield* TaskStore
    const records = yield* RecordStore
    const stores = Context.make(RecordStore, records).pipe(Context.add(TaskStore, tasks))
    const running = new Map<string, Execution>()
    const definitions = new Map<string, Definition>()
    const knownTypes = new Set<string>()
    const deferredState = WorkflowEngine.makeDeferredState()
    const childEnds = new ChildEnds()
    // Executions that run side by side ask for their records at the same time
    const readTogether = yield* Coalescer.inTurns({
      operation: "read executions",
      run: (ids: ReadonlyArray<string>) => Effect.provideContext(ExecutionRecords.read(ids), stores),
      weightOf: () => 1,
      max: maxRecords,
      isOneCallersOwn: () => false
    })
    const readExecution = (id: string) => Effect.map(asking(readTogether([id])), ([read]) => read!)
    const host: ExecutionHost = {
      records,
      put: yield* JointPuts.make(records, tasks.inTransaction),
      read: tasks.get,
      inTransaction: tasks.inTransaction,
      random: Effect.die(new Error("An execution has no tokens")),
      stores,
      readExecution,
      engine: () => engine,
      deferredState
    }

    const asked = <A, E extends { readonly _tag: string }>(question: Effect.Effect<A, E, RecordStore | TaskStore>) =>
      asking(Effect.provideContext(question, stores) as Effect.Effect<A, any>)

    const defined = (workflow: Workflow.Any): Definition => {
      const known = definitions.get(workflow._tag)
      if (known !== undefined) return known
      const definition = definitionOf(workflow)
      definitions.set(workflow._tag, definition)
      return definition
    }

    /** The execution that a fiber of this process runs. */
    const current = Effect.flatMap(WorkflowEngine.WorkflowInstance, ({ executionId }) => {
      const execution = running.get(executionId)
      return execution === undefined
        ? Effect.die(new Error(`Execution ${executionId} is not run by this process`))
        : Effect.succeed(execution)
    })

    /** What no instance has ever known is a typing error. What one has known waits for the next one, as while instances restart. */
    const demandKnown = Effect.fnUntraced(function*({ task: { type } }: Definition) {
      if (knownTypes.has(type) || registry?.find(type) !== undefined) return
      if (!(yield* asked(KnownWorkflows.has(type)))) {
        return yield* Effect.die(
          new Error(
            `No instance knows the workflow ${JSON.stringify(type.slice(ExecutionRecords.typePrefix.length))}: ` +
              "provide its layer to an engine on this store first"
          )
        )
      }
      knownTypes.add(type)
    })

    /** Ends an attempt whose execution has ended, and brings those forward that wait for it. */
    const end = Effect.fnUntraced(function*(execution: Execution, parent: Input["parent"], exit: ExitJson.ExitJson) {
      const isInterrupt = exit._tag === "Failure" && exit.cause.every(({ _tag }) => _tag === "Interrupt")
      const waiters = [...parent === undefined ? [] : [parent], ...yield* execution.waiters]
      if (waiters.length > 0 || isInterrupt) {
        const { claim, id } = execution.context
        const settlement: Settlement = exit._tag === "Success"
          ? { _tag: "Complete", id, claim, result: JSON.stringify(exit.value) }
          : isInterrupt
          ? { _tag: "Cancel", id, claim }
          : { _tag: "Fail", id, claim, failure: failureOf(exit.cause) }
        for (let done = false; !done;) {
          const known = yield* asked(ExecutionRecords.read(waiters.map((waiter) => waiter.id)))
          const changes = known.map(({ document, version }, index) =>
            ExecutionRecords.replaced(waiters[index]!.id, version, { ...document, news: true })
          )
          done = yield* execution.atomically({ changes, settlements: [settlement] }).pipe(
            Effect.as(true),
            Effect.catchTags({ RecordConflict: () => Effect.succeed(false), LeaseLost: Effect.die })
          )
          // by themselves they know
          if (done) childEnds.take(id)
          if (done) yield* Effect.ignore(asked(ExecutionRecords.bringForward(known.map(({ document }) => document))))
        }
      }
      if (exit._tag === "Success") return exit.value as Schema.Json
      return isInterrupt ? yield* Effect.die(new Withdrawn()) : yield* Effect.fail(failed(exit.cause))
    })

    const register: WorkflowEngine.Encoded["register"] = Effect.fnUntraced(function*(workflow, execute) {
      if (registry === undefined) {
        return yield* Effect.die(
          new Error("TaskForgeWorkflows.layerClient runs no workflows: provide TaskForgeWorkflows.layer")
        )
      }
      definitions.delete(workflow._tag)
      const definition = defined(workflow)
      const services = yield* Effect.context<never>()
      yield* asked(KnownWorkflows.add(definition.task.type))
      yield* registry.register({
        definition: definition.task,
        services,
        run: (input, context: HandlerContext<any>) =>
          Effect.gen(function*() {
            const { parent, payload: encoded } = input as Input
            const execution = new Execution(workflow, context, host)
            running.set(context.id, execution)
            childEnds.runs(context.id)
            // A payload that does not decode now does not by a retry either: it ends the execution, as its body would
            const body = Effect.flatMap(
              Effect.orDie(definition.decodePayload(context.id, encoded)),
              (payload) => execute(payload as object, context.id)
            )
            const exit = yield* execution.perform(body, context.snooze).pipe(
              Effect.ensuring(Effect.sync(() => {
                if (running.get(context.id) === execution) running.delete(context.id)
              })),
              Effect.onInterrupt(() =>
                execution.isCancelled ? Effect.exit(end(execution, parent, interrupted)) : Effect.void
              )
            )
            return yield* end(execution, parent, yield* definition.encodeExit(context.id, exit))
          })
      })
    })

    /** How an execution ended. */
    const outcomeOf = (definition: Definition, task: Pick<TaskRecord, "id" | "state" | "result" | "failure">) =>
      Effect.map(definition.decodeEnd(task), (exit) => new Workflow.Complete({ exit }))

    /** How a child is; the parent is told of its end. */
    const child = Effect.fnUntraced(function*(definition: Definition, id: string, parent: Execution) {
      const look = asked(tasks.get(id)).pipe(
        Effect.flatMap(Effect.fromNullishOr),
        Effect.catch(() => Effect.die(new Error(`Execution ${id} was removed while another one waited for it`)))
      )
      let task = yield* look
      if (!isFinished(task.state)) {
        const input = JSON.parse(task.payload) as Input
        if (input.parent?.id !== parent.id) {
          yield* asked(ExecutionRecords.tell(id, (known) =>
            known.waiters.some((waiter) => waiter.id === parent.id) ||
              known.waiters.length >= ExecutionRecords.maxWaiters
              ? undefined
              : { ...known, waiters: [...known.waiters, parent.address] }))
          task = yield* look
        }
      }
      if (isFinished(task.state)) return yield* outcomeOf(definition, task)
      childEnds.wait(parent.address, id)
      yield* parent.waitsForChild(task)
      return new Workflow.Suspended({})
    })

    /** Tells those that wait for a child that has ended, unless it has told them. */
    const childEnded = Effect.fnUntraced(function*(id: string) {
      const task = yield* asked(tasks.get(id))
      if (task !== undefined && !isFinished(task.state)) return
      for (const parent of childEnds.take(id)) {
        yield* asked(ExecutionRecords.tell(parent.id, (known) => known.news ? undefined : known))
      }
    })
    if (notifier !== undefined) yield* childEnds.listen(notifier, childEnded)

    const execute = Effect.fnUntraced(function*(
      workflow: Workflow.Any,
      options: Parameters<WorkflowEngine.Encoded["execute"]>[1]
    ) {
      const definition = defined(workflow)
      const parent = options.parent === undefined ? undefined : running.get(options.parent.executionId)
      const { executionId: id } = options
      const payload = yield* Effect.orDie(definition.encodePayload(id, options.payload))
      const input: Input = parent === undefined || options.detached === true
        ? { payload: payload as Schema.Json }
        : { payload: payload as Schema.Json, parent: parent.address }
      yield* demandKnown(definition)
      const submission = yield* Effect.orDie(fromPayload(definition.task, input, { id }, 0))
      type Submitted = Effect.Effect<ReadonlyArray<{ readonly duplicate: boolean }>, any>
      const submitted = parent === undefined
        ? yield* asking(queue.submit([submission], "wait") as Submitted)
        // it may be the slot of the parent that those need which fill the queue
        : yield* asking(
          Effect.catchTag(queue.submit([submission]), "QueueFull", () => Effect.undefined) as Effect.Effect<
            Effect.Success<Submitted> | undefined,
            any
          >
        )
      if (submitted === undefined) {
        yield* parent!.waitsForChild("room")
        return options.discard ? yield* Workflow.suspend(options.parent!) : new Workflow.Suspended({})
      }
      if (submitted[0]!.duplicate) yield* definition.demandSame(yield* asked(tasks.get(id)), input)
      if (options.discard) return
      if (parent !== undefined) return yield* child(definition, id, parent)
      const outcome = yield* Effect.orDie(queue.outcome(id))
      return yield* outcomeOf(definition, {
        ...outcome,
        result: Option.match(outcome.result, { onNone: () => null, onSome: (value) => JSON.stringify(value) })
      })
    })

    /** Tells an execution that has not ended something; one that is not known, nothing. */
    const tell = Effect.fnUntraced(function*(
      id: string,
      change: (known: ExecutionRecords.Document) => ExecutionRecords.Document
    ) {
      const task = Bounds.isStorable(id) ? yield* asked(tasks.get(id)) : undefined
      if (task === undefined || isFinished(task.state)) return
      yield* asked(ExecutionRecords.tell(id, (known) => ({ ...change(known), failed: null })))
    })

    const engine: WorkflowEngine.WorkflowEngine["Service"] = WorkflowEngine.makeUnsafe({
      register,
      execute: execute as WorkflowEngine.Encoded["execute"],
      poll: Effect.fnUntraced(function*(workflow, id) {
        const task = Bounds.isStorable(id) ? yield* asked(tasks.get(id)) : undefined
        if (task === undefined) return Option.none()
        if (isFinished(task.state)) return Option.some(yield* outcomeOf(defined(workflow), task))
        if (task.state === "running") return Option.none()
        const [read] = yield* asked(ExecutionRecords.read([id]))
        const { address, failed } = read!.document
        if (address === null) return Option.none()
        return Option.some(
          failed === null
            ? new Workflow.Suspended({})
            : new Workflow.Suspended({
              failed: true,
              cause: ExitJson.toCause(failed.cause as ExitJson.CauseJson) as Cause.Cause<never>
            })
        )
      }),
      interrupt: (_workflow, id) => tell(id, (known) => ({ ...known, interrupt: known.interrupt ?? "safely" })),
      interruptUnsafe: (_workflow, id) =>
        tell(id, (known) => ({ ...known, interrupt: "now" })).pipe(
          Effect.andThen(asked(tasks.cancel([id]))),
          Effect.asVoid
        ),
      resume: (_workflow, id) => tell(id, (known) => known),
      activityExecute: (activity, attempt) =>
        Effect.flatMap(
          current,
          (execution) =>
            Effect.flatMap(
              WorkflowEngine.WorkflowInstance,
              (instance) => execution.activity(activity, attempt, instance)
            )
        ),
      deferredResult: ({ name }) => Effect.flatMap(current, (execution) => execution.deferred(name)),
      deferredDone: Effect.fnUntraced(function*({ deferredName, executionId, exit }) {
        const versions = yield* asked(ExecutionRecords.complete(executionId, deferredName, ExitJson.ofExit(exit)))
        const execution = running.get(executionId)
        if (execution === undefined || versions === undefined) return
        execution.completed(deferredName, versions)
        yield* execution.preempt(deferredName)
      }),
      scheduleClock: (_workflow, { clock, executionId }) =>
        Effect.suspend(() => {
          const execution = running.get(executionId)
          return execution === undefined
            ? Effect.die(new Error(`Execution ${executionId} is not run by this process`))
            : execution.sleep(clock)
        })
    })
    return engine
  })

/**
 * The engine of workflows in a process that runs them. It stands under the layers of the workflows, which are handlers as the layers of
 * tasks are.
 *
 * @example
 * ```ts
 * const Live = Engine.layer(OnboardLive.pipe(Layer.provideMerge(TaskForgeWorkflows.layer))).pipe(
 *   Layer.provide(SqliteStore.layer({ path: "tasks.db" }))
 * )
 * ```
 */
export const layer: Layer.Layer<
  WorkflowEngine.WorkflowEngine,
  never,
  TaskQueue | TaskStore | RecordStore | HandlerRegistry | Notifier
> = Layer.effect(
  WorkflowEngine.WorkflowEngine,
  Effect.gen(function*() {
    return yield* make(yield* HandlerRegistry, yield* Notifier)
  })
)

/** The engine in a process that only executes workflows that others run: with `Engine.layerProducer`. */
export const layerClient: Layer.Layer<
  WorkflowEngine.WorkflowEngine,
  never,
  TaskQueue | TaskStore | RecordStore
> = Layer.effect(
  WorkflowEngine.WorkflowEngine,
  Effect.suspend(() => make(undefined, undefined))
)
