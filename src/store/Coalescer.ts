/**
 * Callers that ask for the same at the same time share one request to the server, each with its own answer: fifty callers
 * pay for one round trip, and for one sync of the server's disk. Each keeps its own fate: a failure that has to do with one
 * of them is met by that one alone.
 *
 * {@link inTurns} waits for an answer before it sends again, which is right for a server that takes long for a request,
 * however small it is. {@link inParts} does not, so that the server works on one part while the callers of another prepare
 * their next.
 */
import { Cause, Effect, Exit, Latch, type Scope, Semaphore } from "effect"
import { StoreError } from "../domain/Errors.ts"
import type { Settlement } from "../domain/Settlement.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import * as Thrown from "../domain/Thrown.ts"

/** An operation with one answer for each input, in order. Interrupting a shared one takes back what was not sent yet. */
export type Coalesced<I, A> = (inputs: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, StoreError>

/** What is shared, and how much at once. */
export interface Options<I, A> {
  /** Asks the server. */
  readonly run: Coalesced<I, A>
  /** How much of a request's bound an input takes up. */
  readonly weightOf: (input: I) => number
  /** Weight of one request, unless a single call weighs more. */
  readonly max: number
}

/** How much groups of tasks and ends of attempts weigh: one each, and one more for so many characters of a text. */
export const weights = (sizePerTask: number) => ({
  ofGroup: (group: ReadonlyArray<NewTask>): number =>
    group.reduce((weight, { payload }) => weight + 1 + payload.length / sizePerTask, 0),
  ofEnd: (settlement: Settlement): number =>
    settlement._tag === "Complete" ? 1 + settlement.result.length / sizePerTask : 1
})

interface Caller<I, A> {
  readonly inputs: ReadonlyArray<I>
  readonly resume: (answer: Effect.Effect<ReadonlyArray<A>, StoreError>) => void
  /** It was interrupted. */
  withdrawn: boolean
}

/** Those that wait for their inputs to be sent, in their order. */
class Callers<I, A> {
  private waiting: Array<Caller<I, A>> = []
  private readonly options: Options<I, A>

  constructor(options: Options<I, A>) {
    this.options = options
  }

  get size(): number {
    return this.waiting.length
  }

  /** Answers when its inputs were sent and answered for. */
  join(inputs: ReadonlyArray<I>, joined: () => void): Effect.Effect<ReadonlyArray<A>, StoreError> {
    return Effect.callback((resume) => {
      const caller: Caller<I, A> = { inputs, resume, withdrawn: false }
      this.waiting.push(caller)
      joined()
      return Effect.sync(() => {
        caller.withdrawn = true
      })
    })
  }

  /** Takes as many of the first as one request has room for. */
  take(): ReadonlyArray<Caller<I, A>> {
    const all = this.waiting.some(({ withdrawn }) => withdrawn)
      ? this.waiting.filter(({ withdrawn }) => !withdrawn)
      : this.waiting
    let end = 0
    for (let weight = 0; end < all.length && weight < this.options.max; end++) {
      for (const input of all[end]!.inputs) weight += this.options.weightOf(input)
    }
    this.waiting = all.slice(end)
    return this.waiting.length === 0 ? all : all.slice(0, end)
  }
}

const inputsOf = <I, A>(callers: ReadonlyArray<Caller<I, A>>): ReadonlyArray<I> =>
  callers.length === 1 ? callers[0]!.inputs : callers.flatMap(({ inputs }) => inputs)

const answer = <I, A>(callers: ReadonlyArray<Caller<I, A>>, exit: Exit.Exit<ReadonlyArray<A>, StoreError>): void => {
  if (Exit.isFailure(exit) || callers.length === 1) {
    for (const { resume } of callers) resume(exit)
    return
  }
  let from = 0
  for (const { inputs, resume } of callers) resume(Exit.succeed(exit.value.slice(from, from += inputs.length)))
}

/** How long the end of a scope waits for calls that are on their way. */
const closeWithin = "5 seconds"

/** Turns of the scheduler that a request waits for more calls at most. */
const maxGatherTurns = 4

/**
 * Starts one fiber that does something for all that waits, turn after turn: every fiber that can run now adds what it has
 * before one begins, as long as more keeps coming, for so many turns of the scheduler at most. Answers what is to be called
 * when something waits.
 */
export const inOneFiber = Effect.fnUntraced(function*(
  waiting: () => number,
  maxTurns: number,
  flush: Effect.Effect<void>
): Effect.fn.Return<() => void, never, Scope.Scope> {
  const some = Latch.makeUnsafe(false)
  const gather = Effect.gen(function*() {
    for (let turn = 0, before = 0; turn < maxTurns && waiting() > before; turn++) {
      before = waiting()
      yield* Effect.yieldNow
    }
  })
  const turn = some.await.pipe(
    Effect.andThen(gather),
    Effect.andThen(Effect.suspend(() => {
      // closed before, so that what is added by a caller that is answered opens it again
      some.closeUnsafe()
      return flush
    }))
  )
  yield* Effect.forkScoped(Effect.forever(turn))
  return () => some.openUnsafe()
})

/**
 * Starts one fiber that sends all that wait as one request, one after the other. Closing the scope sends what still waits.
 *
 * A call from inside an application's transaction must not come here: this fiber would not carry it.
 */
export const inTurns = Effect.fnUntraced(function*<I, A>(
  options: Options<I, A> & {
    readonly operation: string
    /** Whether a failure has to do with one of the callers, so that others need not fail with it. */
    readonly isOneCallersOwn: (error: StoreError) => boolean
  }
): Effect.fn.Return<Coalesced<I, A>, never, Scope.Scope> {
  const { operation } = options
  const sending = Semaphore.makeUnsafe(1)
  const refusal = Exit.fail(new StoreError({ operation, reason: "the store is closed" }))
  const callers = new Callers(options)
  let closed = false

  /**
   * This fiber serves all later callers too: no defect of one request may end it. What the server ran into is typed;
   * whatever else is thrown was thrown about what is to be sent.
   */
  const send = (inputs: ReadonlyArray<I>) =>
    Effect.exit(Effect.catchDefect(
      Effect.suspend(() => options.run(inputs)),
      (cause) => Effect.fail(new StoreError({ operation, reason: Thrown.show(cause).message, refused: true, cause }))
    ))

  const isOneCallersOwn = (exit: Exit.Exit<unknown, StoreError>): boolean =>
    Exit.isFailure(exit) &&
    exit.cause.reasons.some((reason) => Cause.isFailReason(reason) && options.isOneCallersOwn(reason.error))

  const sendAll = (batch: ReadonlyArray<Caller<I, A>>): Effect.Effect<void> =>
    Effect.flatMap(
      send(inputsOf(batch)),
      (exit) => batch.length > 1 && isOneCallersOwn(exit) ? sendEach(batch) : Effect.sync(() => answer(batch, exit))
    )

  /** Each caller by itself. A server that does not answer any more is not waited for again and again. */
  const sendEach = Effect.fnUntraced(function*(batch: ReadonlyArray<Caller<I, A>>) {
    for (const [index, one] of batch.entries()) {
      const exit = yield* send(one.inputs)
      one.resume(exit)
      if (Exit.isFailure(exit) && !isOneCallersOwn(exit)) return answer(batch.slice(index + 1), exit)
    }
  })

  const flush = sending.withPermit(Effect.gen(function*() {
    while (callers.size > 0) {
      const batch = callers.take()
      if (batch.length > 0) {
        yield* Effect.onInterrupt(sendAll(batch), () => Effect.sync(() => answer(batch, refusal)))
      }
    }
  }))

  const wake = yield* inOneFiber(() => callers.size, maxGatherTurns, flush)
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      return Effect.ignore(Effect.timeout(Effect.interruptible(flush), closeWithin))
    })
  )

  return (inputs) => Effect.suspend(() => closed ? refusal : callers.join(inputs, wake))
})

/**
 * A lone caller is sent at once. While others are in flight, new calls are gathered for one scheduler turn and sent in parts;
 * calls made on an answer are sent at once. One part is sent in a turn. Sent together, all would be answered together, and
 * each side would be idle while the other works. A part that is refused for what one caller asked is sent again caller by
 * caller.
 */
export const inParts = Effect.fnUntraced(function*<I, A>(
  options: Options<I, A>
): Effect.fn.Return<Coalesced<I, A>> {
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const callers = new Callers(options)
  /** The turn in which something was added or sent is not over. */
  let inTurn = false
  /** Callers are being answered, and may ask again. */
  let answering = false
  let underWay = 0

  const send = (part: ReadonlyArray<Caller<I, A>>): void => {
    const inputs = inputsOf(part)
    underWay++
    fork(Effect.suspend(() => options.run(inputs))).addObserver((exit) => {
      underWay--
      if (part.length > 1 && isRefused(exit)) {
        for (const caller of part) send([caller])
        return
      }
      answering = true
      answer(part, exit)
      answering = false
      if (!inTurn) sendPart()
    })
  }

  const sendPart = (): void => {
    const part = callers.take()
    if (part.length === 0) return
    inTurn = true
    send(part)
    // After it, or the turn would be over before the client has written the part, and the next one be written with it
    beginTurn()
  }

  const beginTurn = (): void => {
    inTurn = true
    fork(turn)
  }

  const turn = Effect.andThen(
    Effect.yieldNow,
    Effect.sync(() => {
      inTurn = false
      sendPart()
    })
  )

  return (inputs) =>
    callers.join(inputs, () => {
      if (inTurn || answering) return
      if (underWay === 0) sendPart()
      else beginTurn()
    })
})

/** A request may be refused, or the client throw, because of what one of the callers asked. */
const isRefused = (exit: Exit.Exit<unknown, StoreError>): boolean =>
  Exit.isFailure(exit) && !Cause.hasInterrupts(exit.cause) &&
  exit.cause.reasons.some((reason) =>
    Cause.isDieReason(reason) || (Cause.isFailReason(reason) && reason.error.refused === true)
  )
