/** The work of `hash`. */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { chunksOf } from "./data/FileChunks.ts"
import { HashWork } from "./Hash.ts"

const chunkBytes = 1024 * 1024

/** Rounds between two reports. */
const reportEvery = 100_000

export const handler = ThreadHandler.make(
  HashWork,
  Effect.fnUntraced(function*({ algorithm, file, rounds, text }) {
    const { progress } = yield* TaskContext
    const hash = createHash(algorithm)
    let bytes = 0
    for (
      const { chunk, part } of file === null
        ? [{ chunk: Buffer.from(text), part: 1 }]
        : chunksOf(file, chunkBytes)
    ) {
      hash.update(chunk)
      bytes += chunk.byteLength
      yield* progress(part / rounds)
    }
    let digest = hash.digest()
    for (let round = 1; round < rounds; round++) {
      digest = createHash(algorithm).update(digest).digest()
      if (round % reportEvery === 0) yield* progress(round / rounds)
    }
    return { algorithm, digest: digest.toString("hex"), bytes }
  })
)
