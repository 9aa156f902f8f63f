/**
 * Group commit. Concurrent calls wait in a list; one fiber sends all that wait as one statement and answers each of
 * them. One caller pays for a round trip and a sync of the server's disk; fifty share one. Each keeps its own fate: a
 * failure that has to do with one of them is met by that one alone.
 *
 * A call from inside the application's transaction must not come here: this fiber would not carry it.
 */
import { Effect, Latch, Result, type Scope, Semaphore } from "effect"
import { StoreError } from "../../domain/Errors.ts"
import * as Thrown from "../../domain/Thrown.ts"
import * as Failure from "./Failure.ts"

/** How long the end of a scope waits for calls that are on their way. */
const closeWithin = "5 seconds"

/** Turns of the scheduler that a statement waits for more calls at most. */
const maxGatherTurns = 4

/** Shares one statement among callers. */
export type Coalescer<I, A> = (inputs: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, StoreError>

interface Waiting<I, A> {
  readonly inputs: ReadonlyArray<I>
  readonly resume: (answer: Effect.Effect<ReadonlyArray<A>, StoreError>) => void
  /** Its caller was interrupted before anything was sent. */
  withdrawn: boolean
}

/** Starts the fiber. Closing the scope sends what still waits. */
export const make = Effect.fnUntraced(function*<I, A>(options: {
  readonly operation: string
  /** Answers each input, in order. */
  readonly send: (inputs: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, StoreError>
  /** How much of a statement's bound an input takes up. */
  readonly weight: (input: I) => number
  /** Weight of one statement at most, unless a single call weighs more. */
  readonly max: number
}): Effect.fn.Return<Coalescer<I, A>, never, Scope.Scope> {
  const some = Latch.makeUnsafe(false)
  const sending = Semaphore.makeUnsafe(1)
  const refusal = new StoreError({ operation: options.operation, reason: "the store is closed" })
  let waiting: Array<Waiting<I, A>> = []
  let closed = false

  /** What the next statement takes: as many calls as fit, in their order. */
  const nextBatch = (): ReadonlyArray<Waiting<I, A>> => {
    waiting = waiting.filter(({ withdrawn }) => !withdrawn)
    let size = 0
    let end = 0
    for (; end < waiting.length; end++) {
      size += waiting[end]!.inputs.reduce((total, input) => total + options.weight(input), 0)
      if (end > 0 && size > options.max) break
    }
    const batch = waiting.slice(0, end)
    waiting = waiting.slice(end)
    return batch
  }

  /**
   * This fiber serves all later callers too: no defect of one statement may end it. What the database ran into is typed;
   * whatever else is thrown was thrown about what is to be sent.
   */
  const typed = (effect: Effect.Effect<ReadonlyArray<A>, StoreError>): Effect.Effect<ReadonlyArray<A>, StoreError> =>
    Effect.catchDefect(
      effect,
      (cause) =>
        Effect.fail(
          new StoreError({ operation: options.operation, reason: Thrown.show(cause).message, refused: true, cause })
        )
    )

  const send = (inputs: ReadonlyArray<I>) => typed(Effect.suspend(() => options.send(inputs)))

  const failAll = (batch: ReadonlyArray<Waiting<I, A>>, error: StoreError) =>
    Effect.sync(() => {
      for (const { resume } of batch) resume(Effect.fail(error))
    })

  const sendBatch = (batch: ReadonlyArray<Waiting<I, A>>): Effect.Effect<void> =>
    send(batch.flatMap(({ inputs }) => inputs)).pipe(
      Effect.matchEffect({
        onSuccess: (answers) =>
          Effect.sync(() => {
            let from = 0
            for (const { inputs, resume } of batch) resume(Effect.succeed(answers.slice(from, from += inputs.length)))
          }),
        onFailure: (error) =>
          batch.length > 1 && Failure.isOneCallersOwn(error) ? sendEach(batch) : failAll(batch, error)
      }),
      Effect.onInterrupt(() => failAll(batch, refusal))
    )

  /** Each caller by itself. A server that does not answer any more is not waited for again and again. */
  const sendEach = Effect.fnUntraced(function*(batch: ReadonlyArray<Waiting<I, A>>) {
    for (const [index, one] of batch.entries()) {
      const result = yield* Effect.result(send(one.inputs))
      one.resume(Effect.fromResult(result))
      if (Result.isFailure(result) && !Failure.isOneCallersOwn(result.failure)) {
        return yield* failAll(batch.slice(index + 1), result.failure)
      }
    }
  })

  /** Every fiber that can run now adds its call before the statement is sent, as long as more keep coming. */
  const gather = Effect.gen(function*() {
    for (let turn = 0, before = 0; turn < maxGatherTurns && waiting.length > before; turn++) {
      before = waiting.length
      yield* Effect.yieldNow
    }
  })

  const flush = sending.withPermit(Effect.gen(function*() {
    while (waiting.length > 0) {
      const batch = nextBatch()
      if (batch.length > 0) yield* sendBatch(batch)
    }
  }))

  const turn = some.await.pipe(
    Effect.andThen(gather),
    Effect.andThen(Effect.suspend(() => {
      // closed before sending, so that a call added during that opens it again
      some.closeUnsafe()
      return flush
    }))
  )
  yield* Effect.forkScoped(Effect.forever(turn))
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      return Effect.ignore(Effect.timeout(Effect.interruptible(flush), closeWithin))
    })
  )

  return (inputs) =>
    Effect.callback<ReadonlyArray<A>, StoreError>((resume) => {
      if (closed) return resume(Effect.fail(refusal))
      const entry: Waiting<I, A> = { inputs, resume, withdrawn: false }
      waiting.push(entry)
      some.openUnsafe()
      return Effect.sync(() => {
        entry.withdrawn = true
      })
    })
})
