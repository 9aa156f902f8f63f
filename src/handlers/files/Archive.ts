/** `.tar.gz` archives that carry a manifest of what they hold as their last entry: `manifest.json`, or another name where that is taken. */
import { DateTime, Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { createReadStream, createWriteStream } from "node:fs"
import { join } from "node:path"
import { type Duplex, Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGunzip, createGzip } from "node:zlib"
import { extract, pack } from "tar-stream"
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

const attempt = <A>(run: (signal: AbortSignal) => PromiseLike<A>): Effect.Effect<A, ArchiveFailed> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new ArchiveFailed({ reason: cause instanceof Error ? cause.message : String(cause) })
  })

/** The pipeline tells of an error; the stream may say it once more when it has no listener any longer. */
const handled = <S extends Duplex>(stream: S): S => stream.on("error", () => {})

/** Writes the files below `root` to an archive. Gives what it holds, and the name of its manifest. */
export const write = Effect.fnUntraced(function*(archive: string, root: string, files: ReadonlyArray<FileEntry>) {
  const tar = pack()
  const found = noFiles()
  const name = manifestNameBeside(files)
  const filling = Effect.gen(function*() {
    for (const { mtimeMs, path, size } of files) {
      // A file that has changed its size since it was listed does not fit its entry, and that fails
      const sha256 = yield* copy(join(root, path), tar.entry({ name: path, size, mtime: dateOf(mtimeMs) }))
      found[path] = { size, sha256 }
    }
    const mtime = yield* DateTime.nowAsDate
    tar.entry({ name, mtime }, JSON.stringify({ created_at: mtime.toISOString(), files: found }, null, 2))
    tar.finalize()
  })
  const writing = attempt((signal) => pipeline(tar, handled(createGzip()), createWriteStream(archive), { signal }))
  yield* Effect.all([writing, filling], { concurrency: "unbounded", discard: true })
  return { name, files: found }
})

const dateOf = (millis: number): Date => DateTime.toDateUtc(DateTime.makeUnsafe(millis))

const copy = (path: string, entry: NodeJS.WritableStream): Effect.Effect<string, ArchiveFailed> =>
  Effect.suspend(() => {
    const hash = createHash("sha256")
    const hashing = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        hash.update(chunk)
        done(null, chunk)
      }
    })
    return Effect.map(
      attempt((signal) => pipeline(createReadStream(path), hashing, entry, { signal })),
      () => hash.digest("hex")
    )
  })

/** Reads an archive to its end: what is really in it, and the manifest that it carries under this name. */
export const read = Effect.fnUntraced(function*(archive: string, manifestName = "manifest.json") {
  const files = noFiles()
  const text: Array<Buffer> = []
  const reading = extract()
  reading.on("error", () => {})
  reading.on("entry", (header, entry, next) => {
    const hash = createHash("sha256")
    let size = 0
    entry.on("error", () => {})
    entry.on("data", (data: unknown) => {
      const chunk = data as Buffer
      hash.update(chunk)
      size += chunk.byteLength
      if (header.name === manifestName) text.push(chunk)
    })
    entry.on("end", () => {
      if (header.name !== manifestName) files[header.name] = { size, sha256: hash.digest("hex") }
      next()
    })
  })
  yield* attempt((signal) => pipeline(createReadStream(archive), handled(createGunzip()), reading, { signal }))
  const carried = yield* attempt(() => Promise.resolve(JSON.parse(Buffer.concat(text).toString()) as Manifest))
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
