/**
 * The folders that tasks may read and write. Every path of a payload goes through here: it is resolved with all its
 * symbolic links, and what lies outside is refused.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { mkdir, realpath, stat } from "node:fs/promises"
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path"

/** The path lies outside of the folders for tasks, or there is nothing, or it cannot be used. */
export class PathRefused extends Schema.TaggedError<PathRefused>()("PathRefused", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

/** What the system says of a failure, without the paths in it: where the folders are is this machine's own business. */
export const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message.replace(/^([A-Z\d]+: [^,]*), .*$/s, "$1") : String(cause)

/** A path in a payload: inside the first folder for tasks, or absolute and inside any. */
export const PathText = Schema.String.check(
  Schema.isNonEmpty(),
  Schema.isMaxLength(4096),
  Schema.makeFilter((path: string) => !path.includes("\0"), { expected: "a path" })
)

/** Resolves paths. */
export class Folders extends Context.Service<Folders, {
  /** The real path of a file or folder that exists. */
  readonly existing: (path: string) => Effect.Effect<string, PathRefused>
  /** The real path of a file to be written; the folders above it are made. */
  readonly target: (path: string) => Effect.Effect<string, PathRefused>
  /** A real path as payloads would write it. */
  readonly display: (path: string) => string
}>()("taskforge/handlers/files/Folders") {
  /** The first folder is made when it is first needed. */
  static readonly layer = (folders: readonly [string, ...ReadonlyArray<string>]): Layer.Layer<Folders> =>
    Layer.sync(Folders, () => {
      const roots = folders.map((folder) => resolve(folder))
      const [home] = roots as [string]

      /** The roots with their own links resolved; those that do not exist hold nothing. */
      const realRoots = Effect.gen(function*() {
        yield* Effect.ignore(Effect.tryPromise(() => mkdir(home, { recursive: true })))
        const found = yield* Effect.forEach(roots, (root) => Effect.option(realPath(root)))
        return found.flatMap((root) => root._tag === "Some" ? [root.value] : [])
      })

      const inside = (path: string, real: string, known: ReadonlyArray<string>): Effect.Effect<string, PathRefused> =>
        known.some((root) => real === root || real.startsWith(root + sep))
          ? Effect.succeed(real)
          : Effect.fail(new PathRefused({ path, reason: "it lies outside of the folders for tasks" }))

      const absolute = (path: string): string => isAbsolute(path) ? resolve(path) : resolve(home, path)

      const existing = Effect.fnUntraced(function*(path: string) {
        const known = yield* realRoots
        const full = absolute(path)
        const real = yield* Effect.option(realPath(full))
        if (real._tag === "Some") return yield* inside(path, real.value, known)
        // A task must not learn what exists outside
        yield* inside(path, join(yield* realAncestor(dirname(full)), basename(full)), known)
        return yield* new PathRefused({ path, reason: "there is no such file or folder" })
      })

      const target = Effect.fnUntraced(function*(path: string) {
        const known = yield* realRoots
        const full = absolute(path)
        const parent = dirname(full)
        const there = yield* Effect.option(realPath(parent))
        if (there._tag === "Some") {
          const folder = yield* inside(path, there.value, known)
          if (yield* isFolder(folder)) return join(folder, basename(full))
          return yield* new PathRefused({ path, reason: "what should be its folder is a file" })
        }
        yield* inside(path, yield* realAncestor(parent), known)
        yield* Effect.tryPromise({
          try: () => mkdir(parent, { recursive: true }),
          catch: (cause) => new PathRefused({ path, reason: `its folder cannot be made: ${reasonOf(cause)}` })
        })
        const made = yield* Effect.mapError(
          realPath(parent),
          ({ cause }) => new PathRefused({ path, reason: `its folder cannot be used: ${reasonOf(cause)}` })
        )
        return join(yield* inside(path, made, known), basename(full))
      })

      return Folders.of({
        existing,
        target,
        display: (path) => {
          const shown = relative(home, path)
          return shown.startsWith("..") || isAbsolute(shown) ? path : shown === "" ? "." : shown
        }
      })
    })
}

const realPath = (path: string) => Effect.tryPromise(() => realpath(path))

const isFolder = (path: string) => Effect.promise(() => stat(path)).pipe(Effect.map((stats) => stats.isDirectory()))

/** The real path of the closest folder above that exists, with what does not exist yet behind it. */
const realAncestor = (path: string): Effect.Effect<string> =>
  realPath(path).pipe(
    Effect.catch(() =>
      dirname(path) === path
        ? Effect.succeed(path)
        : Effect.map(realAncestor(dirname(path)), (real) => join(real, basename(path)))
    )
  )
