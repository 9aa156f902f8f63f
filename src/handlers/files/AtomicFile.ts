/** Files that are either the old one or the whole new one, whenever they are read and whatever happens. */
import { Clock, Duration, Effect, Exit, Option } from "effect"
import { link, open, readdir, rename, rm, stat } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import * as FileName from "./FileName.ts"
import { PathRefused, reasonOf } from "./Folders.ts"

/** Who writes: an attempt of a task. */
export interface Writer {
  readonly id: string
  readonly claim: number
  /** From the second on, files that an earlier attempt has left are removed first. */
  readonly attempt: number
  /** The folders in which that has been done, for an attempt that writes many files. */
  readonly swept?: Set<string>
}

/** A part that was not written to for so long has been left by an attempt that was killed. */
const abandonedAfter = Duration.days(1)

const partName = /^\.taskforge-([\da-f]{32})-(\d+)-[\da-f]{32}\.part$/

/** Whether a name is one of a file that is being written, or was when its attempt was killed. */
export const isPart = (name: string): boolean => partName.test(name)

/** Whether a part that was last written to at this time is used no more. */
export const isAbandoned = (mtimeMs: number): Effect.Effect<boolean> =>
  Effect.map(Clock.currentTimeMillis, (now) => now - mtimeMs > Duration.toMillis(abandonedAfter))

/**
 * Gives a path in the target's folder to write to; once that has succeeded the file is flushed to disk and takes the
 * target's place. Otherwise nothing is left of it. Without `replace` it fails where there is a file already.
 */
export const write = <A, E, R>(
  target: string,
  writer: Writer,
  use: (part: string) => Effect.Effect<A, E, R>,
  { replace = true }: { readonly replace?: boolean } = {}
): Effect.Effect<A, E | PathRefused, R> => {
  const folder = dirname(target)
  // Of digests only: ids and names may be as long as the file system allows, or the same but for a character
  const part = join(folder, `.taskforge-${nameOf(writer)}-${FileName.digest(basename(target))}.part`)
  const attempt = <B>(run: () => PromiseLike<B>) =>
    Effect.tryPromise({
      try: run,
      catch: (cause) => new PathRefused({ path: basename(target), reason: `it cannot be written: ${reasonOf(cause)}` })
    })
  return sweep(folder, writer).pipe(
    Effect.andThen(use(part)),
    Effect.tap(() => flush(part, attempt)),
    // A second name, unlike a new one, never takes the place of a file
    Effect.tap(() => attempt(() => replace ? rename(part, target) : link(part, target))),
    Effect.onExit((exit) =>
      replace && Exit.isSuccess(exit)
        ? Effect.void
        : Effect.ignore(Effect.tryPromise(() => rm(part, { force: true, recursive: true })))
    )
  )
}

/** An attempt in the name of what it makes. */
export const nameOf = ({ claim, id }: Writer): string => `${FileName.digest(id)}-${claim}`

/**
 * Removes what earlier attempts of the task have left in a folder, and what others have abandoned there. A pattern finds
 * {@link nameOf} in the names of what is theirs.
 */
export const sweep = (folder: string, writer: Writer, pattern: RegExp = partName): Effect.Effect<void> =>
  writer.attempt < 2 || writer.swept?.has(folder) === true ? Effect.void : Effect.gen(function*() {
    writer.swept?.add(folder)
    for (const name of yield* Effect.tryPromise(() => readdir(folder))) {
      const [, id, claim] = pattern.exec(name) ?? []
      if (claim === undefined) continue
      const path = join(folder, name)
      // What a later claim has made belongs to an attempt that took this one's place
      const isOurs = id === FileName.digest(writer.id) && Number(claim) < writer.claim
      const changed = yield* Effect.option(Effect.tryPromise(() => stat(path)))
      const isOver = isOurs || (Option.isSome(changed) && (yield* isAbandoned(changed.value.mtimeMs)))
      // What cannot be removed is not in the way
      if (isOver) yield* Effect.ignore(Effect.tryPromise(() => rm(path, { force: true, recursive: true })))
    }
  }).pipe(Effect.ignore)

const flush = (
  path: string,
  attempt: <B>(run: () => PromiseLike<B>) => Effect.Effect<B, PathRefused>
): Effect.Effect<void, PathRefused> =>
  Effect.scoped(Effect.flatMap(
    Effect.acquireRelease(attempt(() => open(path, "r+")), (file) => Effect.promise(() => file.close())),
    (file) => attempt(() => file.sync())
  ))
