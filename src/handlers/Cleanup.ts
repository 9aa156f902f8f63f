/**
 * `cleanup` removes files that are old, by age and pattern. Unless told otherwise it only says what it would remove. It
 * follows no symbolic links and leaves folders. Parts of files that killed attempts have left go too, whatever the pattern.
 */
import { Clock, Duration, Effect, Result, Schema } from "effect"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { DurationText } from "../domain/DurationText.ts"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import * as AtomicFile from "./files/AtomicFile.ts"
import * as FileTree from "./files/FileTree.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"
import * as PathPattern from "./files/PathPattern.ts"

/** Files named in a result. */
const maxNamed = 1000

/** Files that are matched before other work of the process has its turn. */
const matchedAtOnce = 10

const Pattern = Schema.String.check(
  Schema.isMaxLength(PathPattern.maxLength),
  Schema.makeFilter((text: string) => {
    const compiled = PathPattern.compile(text)
    return Result.isFailure(compiled) ? `Expected a pattern for paths, not one with ${compiled.failure}` : undefined
  })
)

/** The task type `cleanup`. */
export const Cleanup = Task.make("cleanup", {
  description: "Removes old files by age and pattern; says what it would remove unless dry_run is false",
  payload: {
    folder: withDefault(PathText, "."),
    /** Age since the last change. */
    older_than: withDefault(DurationText, "30d"),
    /** Such as `*.tmp`, or `logs/**` for paths below the folder; see `PathPattern`. */
    pattern: withDefault(Pattern, "**"),
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
  const matches = Result.getOrThrow(PathPattern.compile(pattern))
  const old: Array<FileTree.FileEntry> = []
  for (const [index, file] of all.entries()) {
    if (index % matchedAtOnce === 0) yield* Effect.yieldNow
    if (file.mtimeMs < before && matches(file.path)) old.push(file)
  }
  const abandoned = yield* Effect.filter(
    yield* FileTree.list(root, [], { parts: true }),
    ({ mtimeMs }) => AtomicFile.isAbandoned(mtimeMs)
  )
  const removed = [...old, ...abandoned]
  for (const [index, { path }] of removed.entries()) {
    if (dry_run) break
    yield* Effect.promise(() => rm(join(root, path), { force: true }))
    if (index % 100 === 0) yield* progress(index / removed.length)
  }
  return {
    dry_run,
    files: removed.length,
    bytes: removed.reduce((sum, { size }) => sum + size, 0),
    kept: all.length - old.length,
    paths: removed.slice(0, maxNamed).map(({ path }) => path)
  }
}))
