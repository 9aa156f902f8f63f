/** Files that are either the old one or the whole new one, whenever somebody looks and whatever happens. */
import { Effect, Exit } from "effect"
import { link, open, rename, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { PathRefused } from "./Folders.ts"

/**
 * Gives a path beside the target to write to; once that has succeeded the file is flushed to disk and takes the
 * target's place. Otherwise nothing is left of it. `mark` tells apart who writes at the same time. Without `replace` it
 * fails where there is a file already.
 */
export const write = <A, E, R>(
  target: string,
  mark: string,
  use: (part: string) => Effect.Effect<A, E, R>,
  { replace = true }: { readonly replace?: boolean } = {}
): Effect.Effect<A, E | PathRefused, R> => {
  const part = join(dirname(target), `.${basename(target).slice(0, 180)}.${mark.replaceAll(/[^\w-]/g, "_")}.part`)
  const attempt = <B>(run: () => PromiseLike<B>) =>
    Effect.tryPromise({
      try: run,
      catch: (cause) => new PathRefused({ path: target, reason: `it cannot be written: ${String(cause)}` })
    })
  return use(part).pipe(
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

const flush = (
  path: string,
  attempt: <B>(run: () => PromiseLike<B>) => Effect.Effect<B, PathRefused>
): Effect.Effect<void, PathRefused> =>
  Effect.scoped(Effect.flatMap(
    Effect.acquireRelease(attempt(() => open(path, "r+")), (file) => Effect.promise(() => file.close())),
    (file) => attempt(() => file.sync())
  ))
