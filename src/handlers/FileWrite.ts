/**
 * `file_write` writes a file, atomically: a reader sees the old file or the whole new one, and a crash
 * leaves one of the two.
 */
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { writeFile } from "node:fs/promises"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import * as AtomicFile from "./files/AtomicFile.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"

/** Node reads what it can as base64 and leaves out the rest, so a text by mistake would be an empty or a damaged file. */
const isEncoded = Schema.makeFilter(({ body, encoding }: { readonly body: string; readonly encoding: string }) =>
  encoding !== "base64" || isBase64(body) || "Expected base64 as body"
)

const isBase64 = Schema.is(Schema.String.check(Schema.isBase64()))

/** The task type `file_write`. */
export const FileWrite = Task.make("file_write", {
  description: "Writes a file atomically",
  payload: Schema.Struct({
    path: PathText,
    body: Schema.String,
    encoding: withDefault(Schema.Literals(["text", "base64"]), "text"),
    /** `create` fails where there is a file already. */
    mode: withDefault(Schema.Literals(["replace", "create"]), "replace")
  }).check(isEncoded),
  success: Schema.Struct({ path: Schema.String, bytes: Schema.Int, sha256: Schema.String }),
  error: PathRefused,
  retry: { byTag: { PathRefused: false } }
})

/** Runs `file_write`. */
export const FileWriteLive = FileWrite.toLayer(Effect.fnUntraced(function*({ body, encoding, mode, path }) {
  const folders = yield* Folders
  const context = yield* TaskContext
  const bytes = Buffer.from(body, encoding === "text" ? "utf8" : "base64")
  const target = yield* folders.target(path)
  yield* AtomicFile.write(target, context, (part) => Effect.promise(() => writeFile(part, bytes)), {
    replace: mode === "replace"
  })
  return {
    path: folders.display(target),
    bytes: bytes.byteLength,
    sha256: createHash("sha256").update(bytes).digest("hex")
  }
}))
