/**
 * Callers that ask for the same at the same time share one script, each with its own answer: fifty callers pay for one
 * round trip.
 *
 * What waits is sent after every fiber that can run now has had its turn. It is sent in parts: while Redis works on one,
 * the callers of the one before it already prepare the next. Nothing waits for an answer before it is sent.
 */
import { Effect, Exit } from "effect"
import type { StoreError } from "../../domain/Errors.ts"

interface Waiting<I, A> {
  readonly inputs: ReadonlyArray<I>
  readonly resume: (answer: Effect.Effect<ReadonlyArray<A>, StoreError>) => void
  /** Its caller was interrupted. */
  withdrawn: boolean
}

/** Sends inputs with those of other callers; answers one for each. Interrupting it takes back what was not sent yet. */
export type Coalesced<I, A> = (inputs: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, StoreError>

/** Shares an operation. `most` is the size, as `sizeOf` reckons it, above which what waits is sent in parts. */
export const make = Effect.fnUntraced(function*<I, A>(options: {
  readonly run: Coalesced<I, A>
  readonly sizeOf: (input: I) => number
  readonly most: number
}): Effect.fn.Return<Coalesced<I, A>> {
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  let waiting: Array<Waiting<I, A>> = []

  const send = (part: ReadonlyArray<Waiting<I, A>>): void => {
    const inputs = part.length === 1 ? part[0]!.inputs : part.flatMap((entry) => entry.inputs)
    fork(options.run(inputs)).addObserver((exit) => {
      if (Exit.isFailure(exit)) {
        for (const { resume } of part) resume(exit)
        return
      }
      let from = 0
      for (const { inputs, resume } of part) resume(Effect.succeed(exit.value.slice(from, from += inputs.length)))
    })
  }

  const flush = Effect.sync(() => {
    const all = waiting
    waiting = []
    let part: Array<Waiting<I, A>> = []
    let size = 0
    for (const entry of all) {
      if (entry.withdrawn) continue
      part.push(entry)
      for (const input of entry.inputs) size += options.sizeOf(input)
      if (size >= options.most) {
        send(part)
        part = []
        size = 0
      }
    }
    if (part.length > 0) send(part)
  })

  return (inputs) =>
    Effect.callback<ReadonlyArray<A>, StoreError>((resume) => {
      const entry: Waiting<I, A> = { inputs, resume, withdrawn: false }
      if (waiting.push(entry) === 1) fork(Effect.andThen(Effect.yieldNow, flush))
      return Effect.sync(() => {
        entry.withdrawn = true
      })
    })
})
