/**
 * Spans of what the engine does for a task, in the tracer that the program has: none is made where it has none.
 *
 * ```text
 * enqueue TYPE ──► task TYPE          from when it was due until its end is stored
 *                    ├─ wait          until an instance asked for it
 *                    ├─ claim         until the store had answered
 *                    ├─ run           the handler, with its steps and whatever it does
 *                    └─ settle        until the store has kept how it ended
 * ```
 *
 * The first attempt is a child of the enqueue. Later attempts, and the tasks of a write of many, begin traces of their own with a link to
 * it: a trace that lasts for days, or has thousands of tasks, cannot be read. What the engine does for itself, such as looking for
 * work, has no span.
 */
import { type Clock, Context, Effect, Exit, Option, References, Tracer } from "effect"
import { isTracing } from "../domain/Spans.ts"
import * as TraceContext from "../domain/TraceContext.ts"

/** The tracer of a context, if spans that it makes go anywhere. */
export const tracerOf = (context: Context.Context<never>): Tracer.Tracer | undefined => {
  const tracer = Context.get(context, Tracer.Tracer)
  return tracer === Tracer.nativeTracer || !Context.get(context, References.TracerEnabled) ? undefined : tracer
}

/**
 * Enqueues tasks of these types in a span of their own, and is given what is to be kept with each of them. Without a tracer, that is the
 * span that the fiber is in, which may be that of another process.
 */
export const enqueueing = <A, E, R>(
  tasks: ReadonlyArray<{ readonly definition: { readonly type: string } }>,
  enqueue: (trace: string | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const { span } = fiber.cache
    const isFannedOut = tasks.length > 1
    if (!isTracing(fiber)) return enqueue(span === undefined ? undefined : TraceContext.textOf(span, isFannedOut))
    const types = new Set(tasks.map(({ definition }) => definition.type))
    const name = types.size === 1 ? `enqueue ${tasks[0]!.definition.type}` : "enqueue"
    return Effect.useSpan(
      name,
      {
        kind: "producer",
        attributes: { "messaging.system": "taskforge", "messaging.batch.message_count": tasks.length }
      },
      (own) => enqueue(TraceContext.textOf(own, isFannedOut))
    )
  })

/** What an attempt is of. */
export interface Subject {
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly attempt: number
  readonly instance: string
  readonly slot: number
}

/** How it came to be claimed. */
export interface Arrival {
  /** The span that it was enqueued in. */
  readonly trace: string | null
  /** How long it was due when it was claimed, in milliseconds. */
  readonly waitedMs: number
  /** How long the claim took that has just been answered. */
  readonly claimMs: number
}

/** Runs a step in a span of its own. */
export const ofStep = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    isTracing(fiber)
      ? Effect.withSpan(effect, `step ${name}`, { captureStackTrace: false }) as Effect.Effect<A, E, R>
      : effect
  )

/** The span of another process that a task was enqueued in. */
export const spanOf = (text: string | null): Tracer.ExternalSpan | undefined => {
  const stored = text === null ? undefined : TraceContext.fromText(text)
  return stored && Tracer.externalSpan(stored)
}

/** Links of a span at most, as OpenTelemetry has it. */
const maxLinks = 128

/** When a span began, in milliseconds since the epoch. */
export const startOf = ({ status }: Tracer.Span): number => Number(status.startTime / 1_000_000n)

/** The spans of one attempt. */
export class AttemptSpans {
  readonly whole: Tracer.Span
  /** The span that its handler runs in. */
  readonly run: Tracer.Span
  private readonly tracer: Tracer.Tracer
  private readonly clock: Clock.Clock
  private ranUntil: bigint | undefined
  private exit: Exit.Exit<unknown, unknown> | undefined

  constructor(tracer: Tracer.Tracer, clock: Clock.Clock, subject: Subject, { claimMs, trace, waitedMs }: Arrival) {
    this.tracer = tracer
    this.clock = clock
    const now = clock.currentTimeNanosUnsafe()
    const askedAt = now - nanos(claimMs)
    const dueAt = earlier(askedAt, now - nanos(waitedMs))
    const stored = trace === null ? undefined : TraceContext.fromText(trace)
    const enqueued = stored && Tracer.externalSpan(stored)
    const isChild = stored !== undefined && subject.attempt === 1 && !stored.isFannedOut
    this.whole = tracer.span({
      name: `task ${subject.type}`,
      parent: isChild ? Option.some(enqueued!) : Option.none(),
      annotations: Context.empty(),
      links: enqueued === undefined || isChild ? [] : [{ span: enqueued, attributes: {} }],
      startTime: dueAt,
      kind: "consumer",
      root: !isChild,
      sampled: stored?.sampled ?? true
    })
    if (!this.whole.sampled) {
      this.run = this.whole
      return
    }
    this.whole.attribute("messaging.system", "taskforge")
    this.whole.attribute("messaging.destination.name", subject.queue)
    this.whole.attribute("messaging.message.id", subject.id)
    this.whole.attribute("taskforge.task.id", subject.id)
    this.whole.attribute("taskforge.task.type", subject.type)
    this.whole.attribute("taskforge.queue", subject.queue)
    this.whole.attribute("taskforge.attempt", subject.attempt)
    this.whole.attribute("taskforge.instance", subject.instance)
    this.whole.attribute("taskforge.slot", subject.slot)
    this.part("wait", dueAt, askedAt)
    this.part("claim", askedAt, now)
    this.run = this.begin("run", now)
  }

  /**
   * The handler runs it together with others, in the span of this one: this one is linked to those of the others, and each of them to this one.
   * A batch may have thousands: the first {@link maxLinks} are linked.
   */
  ranWith(others: ReadonlyArray<AttemptSpans>): void {
    if (this.run === this.whole) return
    const linked = others.filter((other) => other !== this && other.run !== other.whole).slice(0, maxLinks)
    if (linked.length === 0) return
    this.run.addLinks(linked.map(({ run }) => ({ span: run, attributes: {} })))
    for (const { run } of linked) run.addLinks([{ span: this.run, attributes: {} }])
  }

  /** Its handler has ended. */
  ran(exit: Exit.Exit<unknown, unknown>): void {
    this.ranUntil = this.clock.currentTimeNanosUnsafe()
    this.exit = exit
  }

  /** The store has kept how it ended, or its end has been left to others. Only failures of the task are errors. */
  settled(outcome: string, hasFailed: boolean): void {
    const now = this.clock.currentTimeNanosUnsafe()
    const exit = hasFailed && this.exit !== undefined ? this.exit : Exit.void
    if (this.run !== this.whole) {
      // an attempt that was given up runs on
      const ranUntil = this.ranUntil ?? now
      this.run.end(ranUntil, exit)
      this.part("settle", ranUntil, now)
      this.whole.attribute("taskforge.outcome", outcome)
    }
    this.whole.end(now, exit)
  }

  private part(name: string, from: bigint, to: bigint): void {
    this.begin(name, from).end(to, Exit.void)
  }

  private begin(name: string, startTime: bigint): Tracer.Span {
    return this.tracer.span({
      name,
      parent: Option.some(this.whole),
      annotations: Context.empty(),
      links: [],
      startTime,
      kind: "internal",
      root: false,
      sampled: true
    })
  }
}

const nanos = (ms: number): bigint => BigInt(Math.max(0, Math.round(ms * 1e6)) || 0)

const earlier = (a: bigint, b: bigint): bigint => a < b ? a : b
