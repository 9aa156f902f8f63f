/** Runs each claimed task in a fiber of its own, and judges how the attempt ended. */
import { type Clock, Context, Effect, Exit, Logger, References, Tracer } from "effect"
import * as LogModule from "../domain/LogModule.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { Settlement } from "../domain/Settlement.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import * as Tracing from "../observability/Tracing.ts"
import { AttemptSpans } from "../observability/Tracing.ts"
import { Attempt, type AttemptHost } from "./Attempt.ts"
import type { Attempts } from "./Attempts.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { Endings } from "./Endings.ts"
import * as Executor from "./Executor.ts"
import type { Handler } from "./HandlerRegistry.ts"
import type { PoolBreakers } from "./PoolBreakers.ts"
import type { Slots } from "./Slots.ts"
import { TaskContext } from "./TaskContext.ts"

/** A claimed task, and what runs it. */
export interface Runnable {
  readonly task: ClaimedTask
  readonly handler: Handler
  /** How long it was due when it was claimed, in milliseconds. */
  readonly waitedMs: number
}

/** What the attempts of a handler have in common. */
interface HandlerContext {
  readonly services: Context.Context<never>
  readonly module: string
  readonly annotations: Readonly<Record<string, unknown>> | undefined
  readonly tracer: Tracer.Tracer | undefined
}

/** Gets what handlers log, besides the loggers that they have. */
export type PoolLogger = Logger.Logger<unknown, void> | undefined

/** Answers how to start tasks in free slots. What was started goes on when the scope closes. */
export const make = Effect.fnUntraced(function*(options: {
  readonly clock: Clock.Clock
  readonly attempts: Attempts
  readonly slots: Slots
  readonly deadlines: Deadlines
  readonly endings: Endings
  /** The time limit of attempts whose task has none, in milliseconds. */
  readonly timeoutMs: number
  readonly breakers: PoolBreakers
  readonly host: AttemptHost
  readonly logger: PoolLogger
  /** Called after the tasks of a claim were started. */
  readonly onStarted: () => void
}) {
  const { attempts, clock, deadlines, endings } = options
  const context = yield* Effect.context<never>()
  const contexts = new WeakMap<Handler, HandlerContext>()

  /** What a handler's fibers run with: the pool's context, the services of the handler's layer, and the pool's logger. */
  const contextOf = (handler: Handler): HandlerContext => {
    let known = contexts.get(handler)
    if (known === undefined) {
      const module = LogModule.ofType(handler.definition.type)
      // How the program has built its layers is no part of what a handler does
      const own = Context.add(Context.merge(context, handler.services), References.CurrentStackFrame, undefined)
      const services = Context.add(logging(own), LogModule.Current, module)
      const { [LogModule.annotation]: _, ...given } = Context.get(services, References.CurrentLogAnnotations)
      const annotations = Object.keys(given).length === 0 ? undefined : given
      contexts.set(handler, known = { services, module, annotations, tracer: Tracing.tracerOf(services) })
    }
    return known
  }

  const logging = (services: Context.Context<never>): Context.Context<never> =>
    options.logger === undefined ? services : Context.add(
      services,
      Logger.CurrentLoggers,
      new Set([...Context.get(services, Logger.CurrentLoggers), options.logger])
    )

  const fork = Effect.runForkWith(context)

  /** Called when an attempt's fiber has ended, outside of it, where nothing interrupts. Nearly all succeed. */
  const conclude = (attempt: Attempt, exit: Exit.Exit<string, unknown>): void => {
    attempt.spans?.ran(exit)
    if (Exit.isSuccess(exit)) tell(attempt, Executor.complete(attempt, exit.value), exit)
    else fork(Effect.map(Executor.decide(attempt, exit), (settlement) => tell(attempt, settlement, exit)))
  }

  /** Breakers are told first; nearly all attempts have none, or none that is in trouble. */
  const tell = (attempt: Attempt, settlement: Settlement | undefined, exit: Exit.Exit<string, unknown>): void => {
    const told = options.breakers.tell(attempt, settlement, exit)
    if (told === undefined) end(attempt, settlement)
    else fork(Effect.map(told, () => end(attempt, settlement)))
  }

  const end = (attempt: Attempt, settlement: Settlement | undefined): void => {
    const rest = endings.end(attempt, settlement, MonotonicClock.exactMillis(clock))
    if (rest !== undefined) fork(rest)
  }

  /** What one attempt runs with: its log lines are annotated, and are of the trace that it belongs to. */
  const servicesOf = (attempt: Attempt, handler: Handler, waitedMs: number, claimMs: number) => {
    const { annotations, module, services, tracer } = contextOf(handler)
    const { task } = attempt
    if (tracer !== undefined) {
      attempt.spans = new AttemptSpans(tracer, clock, attempt, { trace: task.trace, waitedMs, claimMs })
    }
    const span = attempt.spans?.run ?? Tracing.spanOf(task.trace)
    // One object for nearly all: a spread costs more than all else here
    const slot = `${attempt.instance}/${attempt.slot}`
    const own = { module, worker_id: slot, job_id: attempt.id, attempt: attempt.attempt }
    attempt.annotations = span === undefined ? own : { ...own, trace_id: span.traceId }
    const noting = annotations === undefined ? attempt.annotations : { ...annotations, ...attempt.annotations }
    const known = Context.add(services, TaskContext, attempt)
    const noted = Context.add(known, References.CurrentLogAnnotations, noting)
    return span === undefined ? noted : Context.add(noted, Tracer.ParentSpan, span)
  }

  const start = ({ handler, task, waitedMs }: Runnable, claimMs: number): void => {
    const now = MonotonicClock.exactMillis(clock)
    const timeoutMs = task.timeoutMs ?? options.timeoutMs
    const attempt = new Attempt(task, handler.definition, options.slots.take(task.queue), now, timeoutMs, options.host)
    attempts.started(attempt)
    const run = Effect.runForkWith(servicesOf(attempt, handler, waitedMs, claimMs))
    const fiber = run(Effect.suspend(() => Executor.perform(handler, attempt)))
    attempt.runsIn(fiber)
    fiber.addObserver((exit) => conclude(attempt, exit))
    deadlines.watch(attempt)
  }

  return (claimed: ReadonlyArray<Runnable>, claimMs: number): void => {
    endings.together(() => claimed.forEach((runnable) => start(runnable, claimMs)))
    options.onStarted()
  }
})
