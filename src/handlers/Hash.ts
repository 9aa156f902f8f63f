/**
 * `hash` gives the digest of a text or of a file of any size, on a worker thread. `rounds` hashes the digest again and
 * again, as one does to make guessing slow, or to keep a processor busy.
 */
import { Effect, Schema } from "effect"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { onThread } from "../threads/onThread.ts"
import { moduleBeside } from "../threads/ThreadModule.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"

/** Some seconds of work. */
const maxRounds = 10_000_000

const Algorithm = Schema.Literals(["sha256", "sha512", "sha3-256", "blake2b512", "sha1", "md5"])
const Rounds = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxRounds }))

const Success = Schema.Struct({
  algorithm: Algorithm,
  /** In hexadecimal. */
  digest: Schema.String,
  bytes: Schema.Int
})

/** The task type `hash`. */
export const Hash = Task.make("hash", {
  description: "Gives the digest of a text or a file, SHA-256 unless said",
  payload: Schema.Struct({
    algorithm: withDefault(Algorithm, "sha256"),
    text: Schema.optionalKey(Schema.String),
    file: Schema.optionalKey(PathText),
    rounds: withDefault(Rounds, 1)
  }).check(
    Schema.makeFilter(({ file, text }) =>
      file !== undefined && text !== undefined ? "Expected text or file, not both" : undefined
    )
  ),
  success: Success,
  error: PathRefused,
  retry: { byTag: { PathRefused: false } }
})

/** What the thread does. */
export const HashWork = Task.make("hash", {
  payload: { algorithm: Algorithm, text: Schema.String, file: Schema.NullOr(Schema.String), rounds: Rounds },
  success: Success
})

const work = onThread(HashWork, moduleBeside(import.meta.url, "Hash.thread"))

/** Runs `hash`. */
export const HashLive = Hash.toLayer(Effect.fnUntraced(function*({ algorithm, file, rounds, text = "" }) {
  const folders = yield* Folders
  const path = file === undefined ? null : yield* folders.existing(file)
  return yield* work({ algorithm, rounds, text, file: path })
}))
