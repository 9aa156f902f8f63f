/** `.tar.gz` archives that carry a manifest of what they hold as their last entry: `manifest.json`, or another name where that is taken. */
import { DateTime, Effect, Schema, Stream } from "effect"
import { Tar } from "effect/encoding"
import { createHash } from "node:crypto"
import { createReadStream, createWriteStream } from "node:fs"
import { join } from "node:path"
import { pipeline as pipe, type Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGunzip, createGzip } from "node:zlib"
import type { FileEntry } from "./FileTree.ts"

/** The archive cannot be written or read. */
export class ArchiveFailed extends Schema.TaggedError<ArchiveFailed>()("ArchiveFailed", { reason: Schema.String }) {}

/** What an archive holds, by path. */
export interface Manifest {
  readonly files: Readonly<Record<string, { readonly size: number; readonly sha256: string }>>
}

/** Files by path, which may be a name that objects inherit. */
type Files = Record<string, { readonly size: number; readonly sha256: string }>
const noFiles = (): Files => Object.create(null) as Files

/** `manifest.json`, or the first of `manifest-2.json`, … that no file or folder has: its entry would replace that one. */
const manifestNameBeside = (files: ReadonlyArray<FileEntry>): string => {
  // Not all file systems tell the case
  const taken = new Set(files.map(({ path }) => path.split("/", 1)[0]!.toLowerCase()))
  let name = "manifest.json"
  for (let number = 2; taken.has(name); number++) name = `manifest-${number}.json`
  return name
}

const failed = (cause: unknown): ArchiveFailed =>
  cause instanceof ArchiveFailed
    ? cause
    : new ArchiveFailed({ reason: cause instanceof Error ? cause.message : String(cause) })

/** The bytes of a stream of Node, which is opened when they are read. */
const bytesOf = (open: () => Readable): Stream.Stream<Uint8Array, ArchiveFailed> =>
  // An error that comes before the first read is kept for it
  Stream.suspend(() => Stream.fromAsyncIterable<Uint8Array, ArchiveFailed>(open().on("error", () => {}), failed))

/** The bytes as they are; `files` has their size and hash once all have passed. */
const recorded = <E>(bytes: Stream.Stream<Uint8Array, E>, files: Files, path: string): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    const hash = createHash("sha256")
    let size = 0
    return bytes.pipe(
      Stream.map((chunk) => {
        hash.update(chunk)
        size += chunk.byteLength
        return chunk
      }),
      Stream.onEnd(Effect.sync(() => {
        files[path] = { size, sha256: hash.digest("hex") }
      }))
    )
  })

/** Writes the files below `root` to an archive. Gives what it holds, and the name of its manifest. */
export const write = Effect.fnUntraced(function*(archive: string, root: string, files: ReadonlyArray<FileEntry>) {
  const found = noFiles()
  const name = manifestNameBeside(files)
  const manifest = Effect.map(
    DateTime.nowAsDate,
    (mtime) => Tar.file(name, JSON.stringify({ created_at: mtime.toISOString(), files: found }, null, 2), { mtime })
  )
  const tar = yield* Stream.fromIterable(files).pipe(
    // A file that has changed its size since it was listed does not fit its entry, and that fails
    Stream.map(({ mtimeMs, path, size }) =>
      Tar.fileStream(path, size, recorded(bytesOf(() => createReadStream(join(root, path))), found, path), {
        mtime: DateTime.toDateUtc(DateTime.makeUnsafe(mtimeMs))
      })
    ),
    Stream.concat(Stream.fromEffect(manifest)),
    Stream.pipeThroughChannel(Tar.encode()),
    Stream.toAsyncIterableEffect
  )
  yield* Effect.tryPromise({
    try: (signal) => pipeline(tar, createGzip(), createWriteStream(archive), { signal }),
    catch: failed
  })
  return { name, files: found }
})

/** Reads an archive to its end: what is really in it, and the manifest that it carries under this name. */
export const read = Effect.fnUntraced(function*(archive: string, manifestName = "manifest.json") {
  const files = noFiles()
  let text = ""
  // An error destroys the last stream too, and is read from it
  yield* bytesOf(() => pipe(createReadStream(archive), createGunzip(), () => {})).pipe(
    Stream.pipeThroughChannel(Tar.decode()),
    Stream.runForEach(({ body, header: { path } }) =>
      path === manifestName
        ? Effect.map(Stream.mkString(Stream.decodeText(body)), (more) => {
          text += more
        })
        : Stream.runDrain(recorded(body, files, path))
    ),
    Effect.mapError(failed)
  )
  const carried = yield* Effect.try({ try: () => JSON.parse(text) as Manifest, catch: failed })
  return { files, carried }
})

/** What an archive holds that it should not, or the other way round. */
export const difference = (
  { files }: Manifest,
  found: { readonly files: Manifest["files"]; readonly carried: Manifest }
): string | undefined => {
  const paths = new Set([...Object.keys(files), ...Object.keys(found.files), ...Object.keys(found.carried.files)])
  for (const path of paths) {
    const hashes = [files, found.files, found.carried.files].map((manifest) => manifest[path]?.sha256)
    if (hashes.some((hash) => hash === undefined || hash !== hashes[0])) {
      return `${path} is not in the archive as it was`
    }
  }
  return undefined
}
