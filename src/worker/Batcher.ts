/**
 * Runs many tasks of one type in one call of their handler. Each task keeps an attempt of its own, which joins the batch
 * that gathers, waits there for its place's result, and leaves when it is interrupted. The handler runs in a fiber of the
 * batch, so that no attempt that leaves takes the others with it.
 */
import { Array as List, Context, Deferred, Duration, Effect, Exit, Fiber, Latch } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { BatchMismatch, InvalidOption } from "../domain/Errors.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { Gathered } from "./Gathering.ts"
import type { Handler } from "./HandlerRegistry.ts"
import { type HandlerContext, TaskContext } from "./TaskContext.ts"

/** How tasks are gathered into batches. */
export interface BatchingOptions {
  /** Tasks of a batch at most, from 1 to 10,000. A batch that has as many goes at once. */
  readonly max: number
  /**
   * How long a batch waits for more tasks after its first one: 0 to 1 hour, and shorter than the definition's timeout. By
   * default it does not wait, and has the tasks that were claimed together.
   */
  readonly within?: Duration.Input | undefined
}

const names: Bounds.Names<BatchingOptions> = { max: 1, within: 1 }

/** One task of a batch. */
export interface BatchItem<out Payload, in out Success> {
  readonly payload: Payload
  /** What the handler of a single task is given: the task's `TaskContext`, and `complete`. */
  readonly context: HandlerContext<Success>
  /**
   * Runs an effect for this task alone: with its `TaskContext`, until the task has stopped. Answers how the effect ended, which
   * is what the handler answers for the task.
   *
   * @example
   * ```ts
   * const SendEmailLive = SendEmail.toBatchLayer(
   *   (items) => Effect.forEach(items, (item) => item.run(send(item.payload)), { concurrency: 5 }),
   *   { max: 100, within: "1 second" }
   * )
   * ```
   */
  readonly run: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<Exit.Exit<A, E>, never, Exclude<R, TaskContext>>
  /**
   * Waits until the task has stopped: it was cancelled, has timed out, was lost to another instance, or is given back by a
   * shutdown. It has left the batch, and its result is ignored. The handler is interrupted when all tasks have stopped.
   */
  readonly stopped: Effect.Effect<void>
  /** Whether the task has stopped. */
  readonly isStopped: Effect.Effect<boolean>
}

/** The code that runs batches: gives the ends of all items in their order, or fails, and all tasks with it. */
export type RunBatch = (
  items: List.NonEmptyReadonlyArray<BatchItem<any, any>>
) => Effect.Effect<ReadonlyArray<Exit.Exit<unknown, unknown>>, unknown>

/** Throws where an option is refused. */
export const demandOptions = ({ timeoutMs, type }: AnyTaskDefinition, options: BatchingOptions): void => {
  Bounds.demandKnown(options, names)
  // Without types it may be missing, which no other bound refuses
  Bounds.demand("max", Bounds.batch, options.max ?? NaN)
  Bounds.demand("within", Bounds.batchWait, options.within)
  if (timeoutMs === undefined || waitOf(options) < timeoutMs) return
  throw new InvalidOption({
    option: "within",
    found: `${waitOf(options)} ms`,
    expected: `a duration shorter than the timeout of task type ${JSON.stringify(type)}, ${timeoutMs} ms`,
    index: 0
  })
}

const waitOf = ({ within = 0 }: BatchingOptions): number => Duration.toMillis(within)

/** A task in a batch. */
interface Member {
  readonly item: BatchItem<unknown, unknown>
  /** Its attempt; nothing where a handler is run without a pool. */
  readonly attempt: Gathered | undefined
  readonly end: Deferred.Deferred<unknown, unknown>
  readonly stop: Latch.Latch
}

/** The tasks that one call of the handler runs. */
interface Batch {
  /** Those that have neither ended nor left, in the order in which they joined. */
  readonly members: Set<Member>
  /** Opened when nothing more is waited for. */
  readonly go: Latch.Latch
  /** From now on nothing joins it. */
  readonly close: () => void
  fiber: Fiber.Fiber<void> | undefined
  /** The attempt in whose span the handler runs: that of the task that came first. */
  readonly first: Gathered | undefined
}

/** Makes the code that runs one task of what runs batches. */
export const make = (definition: AnyTaskDefinition, runBatch: RunBatch, options: BatchingOptions): Handler["run"] => {
  const waitMs = waitOf(options)
  let gathering: Batch | undefined

  const begin = (services: Context.Context<never>, first: Gathered | undefined): Batch => {
    const batch: Batch = {
      first,
      members: new Set(),
      go: Latch.makeUnsafe(false),
      close: () => {
        if (batch.go.isOpen()) return
        if (gathering === batch) gathering = undefined
        for (const { attempt } of batch.members) attempt?.gathering.done(attempt)
        batch.go.openUnsafe()
      },
      fiber: undefined
    }
    batch.fiber = Effect.runForkWith(services)(perform(batch))
    return batch
  }

  const join = (member: Member, services: Context.Context<never>): Batch => {
    const { attempt } = member
    if (attempt === undefined) {
      const alone = begin(services, attempt)
      alone.members.add(member)
      alone.close()
      return alone
    }
    const batch = gathering ??= begin(services, attempt)
    batch.members.add(member)
    // A task that may run no longer than the wait has no time for it
    if (batch.members.size >= options.max || attempt.deadline - attempt.startedAt <= waitMs) batch.close()
    else attempt.gathering.wait(attempt, batch.close)
    return batch
  }

  const perform = Effect.fnUntraced(function*(batch: Batch) {
    if (waitMs > 0) yield* Effect.timeoutOption(batch.go.await, waitMs)
    // Tasks that are claimed together start in one turn
    yield* Effect.yieldNow
    batch.close()
    const members = [...batch.members]
    if (!List.isReadonlyArrayNonEmpty(members)) return
    batch.first?.spans?.ranWith(members.flatMap(({ attempt }) => attempt?.spans ?? []))
    const exit = yield* Effect.suspend(() => runBatch(List.map(members, ({ item }) => item))).pipe(
      // Within the handler's exit: what it gave may throw when it is looked at
      Effect.map((results) => endsOf(definition.type, members.length, results)),
      Effect.exit
    )
    batch.members.clear()
    const endAt = Exit.isSuccess(exit) ? (index: number) => exit.value[index]! : () => exit
    const ends = () => members.forEach(({ end }, index) => Deferred.doneUnsafe(end, endAt(index)))
    // The attempts of a batch are those of one pool, unless several share their handlers
    if (members[0].attempt === undefined) ends()
    else members[0].attempt.gathering.end(ends)
  })

  /** A task ends before its batch does. */
  const leave = (batch: Batch, member: Member): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!batch.members.delete(member)) return Effect.void
      member.stop.openUnsafe()
      member.attempt?.gathering.done(member.attempt)
      if (batch.members.size === 0) {
        batch.close()
        batch.fiber?.interruptUnsafe()
      }
      return Effect.andThen(Effect.yieldNow, finalized(batch))
    })

  return (payload, context) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.context<TaskContext>(), (services) => {
        const member = memberOf(payload, context)
        // Each task has a context of its own, and the batch has none
        const batch = join(member, Context.omit(TaskContext)(services))
        return Effect.onInterrupt(restore(Deferred.await(member.end)), () => leave(batch, member))
      })
    )
}

/** How each task ends, by what the handler gave. */
const endsOf = (type: string, tasks: number, results: unknown): ReadonlyArray<Exit.Exit<unknown, unknown>> => {
  const mismatch = (found: string) => Exit.die(new BatchMismatch({ type, tasks, found }))
  // With one too few or too many, no result is certain to be that of the task at its place
  if (!Array.isArray(results) || results.length !== tasks) {
    return List.replicate(mismatch(Array.isArray(results) ? `${results.length}` : "no array"), tasks)
  }
  return Array.from(
    results,
    (result: unknown, index) => Exit.isExit(result) ? result : mismatch(`no Exit at place ${index + 1}`)
  )
}

/** Tasks that leave together, as at a shutdown, end after the handler's finalizers. Those that others outlast do not wait. */
const finalized = (batch: Batch): Effect.Effect<unknown> =>
  Effect.suspend(() => batch.members.size === 0 && batch.fiber !== undefined ? Fiber.await(batch.fiber) : Effect.void)

const memberOf = (payload: unknown, context: HandlerContext<any>): Member => {
  const stop = Latch.makeUnsafe(false)
  return {
    item: {
      payload,
      context,
      run: (effect) =>
        Effect.exit(
          Effect.raceFirst(
            Effect.provideService(effect, TaskContext, context),
            Effect.andThen(stop.await, Effect.interrupt)
          )
        ),
      stopped: Effect.asVoid(stop.await),
      isStopped: Effect.sync(() => stop.isOpen())
    },
    attempt: context instanceof Gathered ? context : undefined,
    end: Deferred.makeUnsafe(),
    stop
  }
}
