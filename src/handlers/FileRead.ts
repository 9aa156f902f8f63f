/** `file_read` reads a file or a part of it: text as it is, everything else as base64. */
import { Effect, Schema } from "effect"
import { isUtf8 } from "node:buffer"
import { open } from "node:fs/promises"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"

/** Bytes read at most: results are stored with their tasks. */
const maxBytes = 1024 * 1024

/** The task type `file_read`. */
export const FileRead = Task.make("file_read", {
  description: "Reads a file, or a part of it, of at most 1 MiB",
  payload: {
    path: PathText,
    offset: withDefault(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), 0),
    max_bytes: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: maxBytes })), maxBytes)
  },
  success: Schema.Struct({
    path: Schema.String,
    /** Bytes of the whole file. */
    size: Schema.Int,
    /** Bytes in `body`. */
    bytes: Schema.Int,
    body: Schema.String,
    encoding: Schema.Literals(["text", "base64"]),
    /** Nothing of the file follows. */
    is_end: Schema.Boolean
  }),
  error: PathRefused,
  retry: { byTag: { PathRefused: false } }
})

/** Runs `file_read`. */
export const FileReadLive = FileRead.toLayer(Effect.fnUntraced(function*({ max_bytes, offset, path }) {
  const folders = yield* Folders
  const real = yield* folders.existing(path)
  const file = yield* Effect.acquireRelease(
    Effect.promise(() => open(real, "r")),
    (file) => Effect.promise(() => file.close())
  )
  const stats = yield* Effect.promise(() => file.stat())
  if (!stats.isFile()) return yield* new PathRefused({ path, reason: "it is no file" })
  const buffer = Buffer.alloc(Math.max(0, Math.min(max_bytes, stats.size - offset)))
  const { bytesRead } = yield* Effect.promise(() => file.read(buffer, 0, buffer.byteLength, offset))
  const body = buffer.subarray(0, bytesRead)
  const encoding = isUtf8(body) ? "text" as const : "base64" as const
  return {
    path: folders.display(real),
    size: stats.size,
    bytes: bytesRead,
    body: body.toString(encoding === "text" ? "utf8" : "base64"),
    encoding,
    is_end: offset + bytesRead >= stats.size
  }
}, Effect.scoped))
