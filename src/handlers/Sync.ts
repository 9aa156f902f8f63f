/**
 * `sync` makes one folder like another: files that are missing or differ are copied, each atomically, and with `delete`
 * files that exist only in the target are removed. Files are compared by size, then by hash, so an attempt that was interrupted goes
 * on where it was. Without `from` and `to` it only says what it would do.
 */
import { Effect, Schema } from "effect"
import { copyFile, rm } from "node:fs/promises"
import { join, sep } from "node:path"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import * as AtomicFile from "./files/AtomicFile.ts"
import * as FileTree from "./files/FileTree.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"

/** Changes named in a result. */
const maxNamed = 1000

/** The task type `sync`. */
export const Sync = Task.make("sync", {
  description: "Makes one folder like another by hash; without from and to it says what it would do",
  payload: {
    from: Schema.optionalKey(PathText),
    to: Schema.optionalKey(PathText),
    /** Remove from `to` what is not in `from`. */
    delete: withDefault(Schema.Boolean, false),
    /** Default: false where both folders are given. */
    dry_run: Schema.optionalKey(Schema.Boolean)
  },
  success: Schema.Struct({
    dry_run: Schema.Boolean,
    copied: Schema.Int,
    removed: Schema.Int,
    unchanged: Schema.Int,
    bytes: Schema.Int,
    /** The first thousand. */
    changes: Schema.Array(Schema.Struct({ path: Schema.String, action: Schema.Literals(["copy", "remove"]) }))
  }),
  error: PathRefused,
  retry: { byTag: { PathRefused: false } }
})

/** Runs `sync`. */
export const SyncLive = Sync.toLayer(Effect.fnUntraced(function*({ delete: isMirror, dry_run, from = ".", to }) {
  const folders = yield* Folders
  const { attempt, claim, id, progress } = yield* TaskContext
  const isDry = dry_run ?? to === undefined
  const source = yield* folders.existing(from)
  // A path to a folder, through a file that it might hold
  const target = (yield* folders.target(join(to ?? "mirror", "-"))).slice(0, -2)
  if (target === source || source.startsWith(target + sep)) {
    return yield* new PathRefused({ path: to ?? "mirror", reason: "it holds the folder to copy from" })
  }
  const wanted = yield* FileTree.list(source, [target])
  const present = new Map((yield* FileTree.list(target)).map((file) => [file.path, file]))
  const changes: Array<{ readonly path: string; readonly action: "copy" | "remove" }> = []
  const writer = { id, claim, attempt, swept: new Set<string>() }
  let bytes = 0
  for (const [index, { path, size }] of wanted.entries()) {
    const other = present.get(path)
    present.delete(path)
    const isSame = other?.size === size &&
      (yield* FileTree.sha256(join(source, path))) === (yield* FileTree.sha256(join(target, path)))
    if (isSame) continue
    changes.push({ path, action: "copy" })
    bytes += size
    if (!isDry) {
      const place = yield* folders.target(join(target, path))
      yield* AtomicFile.write(
        place,
        writer,
        (part) => Effect.promise(() => copyFile(join(source, path), part))
      )
    }
    yield* progress(index / wanted.length)
  }
  for (const path of isMirror ? present.keys() : []) {
    changes.push({ path, action: "remove" })
    if (!isDry) yield* Effect.promise(() => rm(join(target, path), { force: true }))
  }
  const copied = changes.filter(({ action }) => action === "copy").length
  return {
    dry_run: isDry,
    copied,
    removed: changes.length - copied,
    unchanged: wanted.length - copied,
    bytes,
    changes: changes.slice(0, maxNamed)
  }
}))
