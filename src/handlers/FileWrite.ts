/**
 * `file_write` writes a file, atomically: whoever reads meanwhile sees the old file or the whole new one, and a crash
 * leaves one of the two.
 */
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { writeFile } from "node:fs/promises"
import * as AtomicFile from "../files/AtomicFile.ts"
import { Folders, PathRefused, PathText } from "../files/Folders.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { withDefault } from "./withDefault.ts"

/** The task type `file_write`. */
export const FileWrite = Task.make("file_write", {
  description: "Writes a file atomically",
  payload: {
    path: PathText,
    body: Schema.String,
    encoding: withDefault(Schema.Literals(["text", "base64"]), "text"),
    /** `create` fails where there is a file already. */
    mode: withDefault(Schema.Literals(["replace", "create"]), "replace")
  },
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
