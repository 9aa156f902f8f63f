/**
 * Callers that ask for the same at the same time share one script, each with its own answer: fifty callers pay for one
 * round trip.
 *
 * A lone caller is sent at once. While others are in flight, new calls are gathered for one scheduler turn and sent in parts
 * of `max`; calls made on an answer are sent at once. One part is sent in a turn: while Redis works on it, the callers of
 * another already prepare their next. Sent together, all would be answered together, and each side would be idle while the other works.
 * Nothing waits for an answer before it is sent. A part that is refused for what one caller asked is sent again caller by
 * caller, so that each has its own fate.
 */
import { Cause, Effect, Exit } from "effect"
import type { StoreError } from "../../domain/Errors.ts"

interface Waiting<I, A> {
  readonly inputs: ReadonlyArray<I>
  readonly resume: (answer: Effect.Effect<ReadonlyArray<A>, StoreError>) => void
  /** Its caller was interrupted. */
  withdrawn: boolean
}

/** Sends inputs with those of other callers; answers one for each. Interrupting it takes back what was not sent yet. */
export type Coalesced<I, A> = (inputs: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, StoreError>

/** Shares an operation. A part is full when its size, as `sizeOf` reckons it, is `most`. */
export const make = Effect.fnUntraced(function*<I, A>(options: {
  readonly run: Coalesced<I, A>
  readonly sizeOf: (input: I) => number
  readonly max: number
}): Effect.fn.Return<Coalesced<I, A>> {
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  let waiting: Array<Waiting<I, A>> = []
  /** The turn in which something was added or sent is not over. */
  let inTurn = false
  /** Callers are being answered, and may ask again. */
  let answering = false
  let underWay = 0

  const send = (part: ReadonlyArray<Waiting<I, A>>): void => {
    const inputs = part.length === 1 ? part[0]!.inputs : part.flatMap((entry) => entry.inputs)
    underWay++
    fork(Effect.suspend(() => options.run(inputs))).addObserver((exit) => {
      underWay--
      if (part.length > 1 && isOneCallersOwn(exit)) {
        for (const entry of part) send([entry])
        return
      }
      answering = true
      answer(part, exit)
      answering = false
      if (!inTurn) sendPart()
    })
  }

  const sendPart = (): void => {
    const all = waiting.some(({ withdrawn }) => withdrawn) ? waiting.filter(({ withdrawn }) => !withdrawn) : waiting
    let end = 0
    for (let size = 0; end < all.length && size < options.max; end++) {
      for (const input of all[end]!.inputs) size += options.sizeOf(input)
    }
    waiting = all.slice(end)
    if (end === 0) return
    inTurn = true
    send(waiting.length === 0 ? all : all.slice(0, end))
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
    Effect.callback<ReadonlyArray<A>, StoreError>((resume) => {
      const entry: Waiting<I, A> = { inputs, resume, withdrawn: false }
      waiting.push(entry)
      if (!inTurn && !answering) {
        if (underWay === 0) sendPart()
        else beginTurn()
      }
      return Effect.sync(() => {
        entry.withdrawn = true
      })
    })
})

const answer = <I, A>(part: ReadonlyArray<Waiting<I, A>>, exit: Exit.Exit<ReadonlyArray<A>, StoreError>): void => {
  if (Exit.isFailure(exit)) {
    for (const { resume } of part) resume(exit)
    return
  }
  if (part.length === 1) return part[0]!.resume(exit)
  let from = 0
  for (const { inputs, resume } of part) resume(Effect.succeed(exit.value.slice(from, from += inputs.length)))
}

/** A script may be refused, or the client throw, because of what one of the callers asked. */
const isOneCallersOwn = (exit: Exit.Exit<unknown, StoreError>): boolean =>
  Exit.isFailure(exit) && !Cause.hasInterrupts(exit.cause) &&
  exit.cause.reasons.some((reason) =>
    Cause.isDieReason(reason) || (Cause.isFailReason(reason) && reason.error.refused === true)
  )
