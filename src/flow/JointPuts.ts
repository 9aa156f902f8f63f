/**
 * Puts of different tasks, written together: where many attempts keep the ends of steps at the same time, they share a request to the
 * store, and a sync of its disk. Each put keeps its own fate: where one of them meets another version, nothing was written, and each is
 * put by itself.
 */
import { Effect, Exit } from "effect"
import type { InvalidOption, RecordConflict, StoreError } from "../domain/Errors.ts"
import * as Coalescer from "../store/Coalescer.ts"
import type { Change, RecordStore } from "../store/RecordStore.ts"

type Put = (changes: ReadonlyArray<Change>) => Effect.Effect<number, InvalidOption | RecordConflict | StoreError>

type Fate = Exit.Exit<number, InvalidOption | RecordConflict>

/** Changes of one request, unless a single put has more. A document counts as one more for so many characters. */
const maxChanges = 64
const charactersPerChange = 4096

const weightOf = (changes: ReadonlyArray<Change>): number =>
  changes.reduce((weight, { document }) => weight + 1 + (document?.length ?? 0) / charactersPerChange, 0)

/** Puts on this store. A put inside a transaction of the application stays in it, and is by itself. */
export const make = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  inTransaction: Effect.Effect<boolean>
): Effect.fn.Return<Put> {
  const alone = (changes: ReadonlyArray<Change>): Effect.Effect<Fate, StoreError> =>
    records.put(changes).pipe(
      Effect.map((version): Fate => Exit.succeed(version)),
      Effect.catchTags({
        InvalidOption: (error) => Effect.succeed<Fate>(Exit.fail(error)),
        RecordConflict: (error) => Effect.succeed<Fate>(Exit.fail(error))
      })
    )
  const together = yield* Coalescer.inParts<ReadonlyArray<Change>, Fate>({
    run: (puts) =>
      puts.length === 1
        ? Effect.map(alone(puts[0]!), (fate) => [fate])
        : Effect.flatMap(alone(puts.flat()), (fate) =>
          Exit.isSuccess(fate) ? Effect.succeed(puts.map(() => fate)) : Effect.forEach(puts, alone)),
    weightOf,
    max: maxChanges
  })
  return (changes) =>
    Effect.flatMap(
      inTransaction,
      (inside) => inside ? records.put(changes) : Effect.flatMap(together([changes]), ([fate]) => fate!)
    )
})
