/** The files below a folder. Symbolic links are neither followed nor listed, so that nothing outside is reached. */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { readdir, stat } from "node:fs/promises"
import { basename, join } from "node:path"
import { pipeline } from "node:stream/promises"
import * as AtomicFile from "./AtomicFile.ts"
import { PathRefused, reasonOf } from "./Folders.ts"

/** Files in one tree at most. */
const maxFiles = 100_000

/** A file. */
export interface FileEntry {
  /** Below the folder, with forward slashes. */
  readonly path: string
  readonly size: number
  readonly mtimeMs: number
}

/**
 * All files, in alphabetical order. Files that are still being written are left out, or are the only ones with `parts`; the
 * folders named in `except`, by their real paths, are left out too.
 */
export const list = Effect.fnUntraced(function*(
  folder: string,
  except: ReadonlyArray<string> = [],
  { parts = false }: { readonly parts?: boolean } = {}
): Effect.fn.Return<ReadonlyArray<FileEntry>, PathRefused> {
  const found: Array<FileEntry> = []
  const folders = [""]
  for (let current = folders.pop(); current !== undefined; current = folders.pop()) {
    for (const entry of yield* entriesIn(folder, current)) {
      const path = current === "" ? entry.name : `${current}/${entry.name}`
      if (entry.isDirectory() && !except.includes(join(folder, path))) folders.push(path)
      if (!entry.isFile() || AtomicFile.isPart(entry.name) !== parts) continue
      // It may have gone since it was listed
      const stats = yield* Effect.option(Effect.tryPromise(() => stat(join(folder, path))))
      if (stats._tag === "None") continue
      if (found.length === maxFiles) {
        return yield* new PathRefused({ path: basename(folder), reason: `it holds more than ${maxFiles} files` })
      }
      found.push({ path, size: stats.value.size, mtimeMs: stats.value.mtimeMs })
    }
  }
  return found.toSorted((one, other) => one.path < other.path ? -1 : 1)
})

const entriesIn = (folder: string, below: string) =>
  Effect.tryPromise({
    try: () => readdir(join(folder, below), { withFileTypes: true }),
    catch: (cause) => new PathRefused({ path: basename(folder), reason: `it cannot be listed: ${reasonOf(cause)}` })
  })

/** The SHA-256 of a file, in hexadecimal. */
export const sha256 = Effect.fnUntraced(function*(path: string): Effect.fn.Return<string, PathRefused> {
  const hash = createHash("sha256")
  yield* Effect.tryPromise({
    try: (signal) => pipeline(createReadStream(path), hash, { signal }),
    catch: (cause) => new PathRefused({ path: basename(path), reason: `it cannot be read: ${reasonOf(cause)}` })
  })
  return hash.digest("hex")
})
