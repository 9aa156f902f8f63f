/**
 * `cleanup` removes files that are old, by age and pattern. Unless told otherwise it only says what it would remove. It
 * follows no symbolic links and leaves folders.
 */
import { Clock, Duration, Effect, Schema } from "effect"
import { rm } from "node:fs/promises"
import { join, matchesGlob } from "node:path"
import { DurationText } from "../domain/DurationText.ts"
import * as FileTree from "../files/FileTree.ts"
import { Folders, PathRefused, PathText } from "../files/Folders.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { withDefault } from "./withDefault.ts"

/** Files named in a result. */
const mostNamed = 1000

/** The task type `cleanup`. */
export const Cleanup = Task.make("cleanup", {
  description: "Removes old files by age and pattern; says what it would remove unless dry_run is false",
  payload: {
    folder: withDefault(PathText, "."),
    /** Age since the last change. */
    older_than: withDefault(DurationText, "30d"),
    /** Such as `*.tmp`, or `logs/**` for paths below the folder. */
    pattern: withDefault(Schema.String.check(Schema.isMaxLength(500)), "**"),
    dry_run: withDefault(Schema.Boolean, true)
  },
  success: Schema.Struct({
    dry_run: Schema.Boolean,
    files: Schema.Int,
    bytes: Schema.Int,
    /** Files that were kept because they are younger or match no pattern. */
    kept: Schema.Int,
    /** The first thousand. */
    paths: Schema.Array(Schema.String)
  }),
  error: PathRefused,
  retry: { byTag: { PathRefused: false } }
})

/** Runs `cleanup`. */
export const CleanupLive = Cleanup.toLayer(Effect.fnUntraced(function*({ dry_run, folder, older_than, pattern }) {
  const folders = yield* Folders
  const { progress } = yield* TaskContext
  const root = yield* folders.existing(folder)
  const before = (yield* Clock.currentTimeMillis) - Duration.toMillis(older_than)
  const all = yield* FileTree.list(root)
  const old = all.filter(({ mtimeMs, path }) => mtimeMs < before && matches(path, pattern))
  for (const [index, { path }] of old.entries()) {
    if (dry_run) break
    yield* Effect.promise(() => rm(join(root, path), { force: true }))
    if (index % 100 === 0) yield* progress(index / old.length)
  }
  return {
    dry_run,
    files: old.length,
    bytes: old.reduce((sum, { size }) => sum + size, 0),
    kept: all.length - old.length,
    paths: old.slice(0, mostNamed).map(({ path }) => path)
  }
}))

/** A pattern without a slash is about names. */
const matches = (path: string, pattern: string): boolean =>
  matchesGlob(pattern.includes("/") ? path : path.slice(path.lastIndexOf("/") + 1), pattern)
