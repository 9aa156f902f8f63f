/**
 * `backup` puts a folder or a SQLite file into a `.tar.gz` with a manifest of hashes, reads the archive again, and
 * compares: only one that holds exactly what it should takes its place. A SQLite file is copied by SQLite itself, so it
 * is whole also while others write to it. Without a source it only says what it would archive.
 */
import { DateTime, Effect, Schema } from "effect"
import { open, stat } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { backup as backupSqlite, DatabaseSync } from "node:sqlite"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import * as AtomicFile from "./files/AtomicFile.ts"
import * as FileName from "./files/FileName.ts"
import * as FileTree from "./files/FileTree.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"
import * as Scratch from "./files/Scratch.ts"

/** The archive does not hold what it should: what was archived changed while it was read, or the disk is bad. */
export class BackupDamaged extends Schema.TaggedError<BackupDamaged>()("BackupDamaged", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

/** The task type `backup`. */
export const Backup = Task.make("backup", {
  description: "Archives a folder or a SQLite file with a manifest of hashes, and verifies the archive",
  payload: {
    /** A folder or a SQLite file. */
    source: Schema.optionalKey(PathText),
    /** The archive. Default: `backups/<name>-<time>.tar.gz`. */
    output: Schema.optionalKey(PathText),
    /** Default: false where there is a source. */
    dry_run: Schema.optionalKey(Schema.Boolean)
  },
  success: Schema.Struct({
    dry_run: Schema.Boolean,
    kind: Schema.Literals(["folder", "sqlite"]),
    files: Schema.Int,
    /** Of all files together. */
    bytes: Schema.Int,
    archive: Schema.NullOr(Schema.String),
    /** Of the archive. */
    archive_bytes: Schema.NullOr(Schema.Int),
    archive_sha256: Schema.NullOr(Schema.String)
  }),
  error: Schema.Union([PathRefused, BackupDamaged]),
  retry: { byTag: { PathRefused: false } }
})

/** Runs `backup`. */
export const BackupLive = Backup.toLayer(Effect.fnUntraced(function*({ dry_run, output, source: given }) {
  const folders = yield* Folders
  const context = yield* TaskContext
  const source = given ?? "."
  const isDry = dry_run ?? given === undefined
  const real = yield* folders.existing(source)
  const isFolder = (yield* Effect.promise(() => stat(real))).isDirectory()
  if (!isFolder && !(yield* isSqlite(real))) {
    return yield* new PathRefused({ path: source, reason: "it is neither a folder nor a SQLite file" })
  }
  const time = DateTime.formatIso(yield* DateTime.now).replaceAll(/[:.]/g, "-")
  const target = yield* folders.target(output ?? join("backups", FileName.fit(basename(real), `-${time}.tar.gz`)))
  const root = isFolder || isDry ? (isFolder ? real : dirname(real)) : yield* copyOf(real)
  const all = yield* FileTree.list(root, [dirname(target)])
  const files = isFolder ? all : all.filter(({ path }) => path === basename(real))
  const summary = {
    dry_run: isDry,
    kind: isFolder ? "folder" as const : "sqlite" as const,
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0)
  }
  if (isDry) return { ...summary, archive: null, archive_bytes: null, archive_sha256: null }
  const Archive = yield* Effect.promise(() => import("./files/Archive.ts"))
  yield* AtomicFile.write(target, context, (part) =>
    Effect.gen(function*() {
      const manifest = yield* Archive.write(part, root, files)
      const found = yield* Archive.read(part, manifest.name)
      const problem = Archive.difference(manifest, found)
      if (problem !== undefined) return yield* new BackupDamaged({ path: folders.display(target), reason: problem })
    }).pipe(Effect.catchTag("ArchiveFailed", ({ reason }) =>
      Effect.fail(new BackupDamaged({ path: folders.display(target), reason })))))
  return {
    ...summary,
    archive: folders.display(target),
    archive_bytes: (yield* Effect.promise(() => stat(target))).size,
    archive_sha256: yield* FileTree.sha256(target)
  }
}, Effect.scoped))

/** Every SQLite file begins with these bytes. */
const magic = "SQLite format 3\0"

const isSqlite = (path: string): Effect.Effect<boolean> =>
  Effect.scoped(Effect.gen(function*() {
    const file = yield* Effect.acquireRelease(
      Effect.promise(() => open(path)),
      (file) => Effect.promise(() => file.close())
    )
    const { buffer, bytesRead } = yield* Effect.promise(() => file.read(Buffer.alloc(magic.length), 0, magic.length, 0))
    return buffer.toString("latin1", 0, bytesRead) === magic
  }))

/** A folder with a copy of a SQLite file, as it was at one moment, under the same name. */
const copyOf = Effect.fnUntraced(function*(path: string) {
  const folder = yield* Scratch.make(yield* TaskContext)
  const database = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(path, { readOnly: true, timeout: lockTimeoutMillis })),
    (database) => Effect.sync(() => database.close())
  )
  yield* Effect.promise(() => backupSqlite(database, join(folder, basename(path)), { rate: allPages }))
  return folder
})

/**
 * All pages in one step, which is one read transaction. With several steps SQLite lets go of the file between them and
 * starts over when another connection has written to it, so the backup of a busy file would not end. In WAL mode writers
 * go on during the step; with a rollback journal they wait for it.
 */
const allPages = 2 ** 31 - 1

/** How long the backup waits for a writer that locks the whole file. It waits on a thread. */
const lockTimeoutMillis = 10_000
