/** The work of `hash`. */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { closeSync, fstatSync, openSync, readSync } from "node:fs"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import { TaskContext } from "../worker/TaskContext.ts"
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
    for (const { chunk, part } of file === null ? [{ chunk: Buffer.from(text), part: 1 }] : chunksOf(file)) {
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

function* chunksOf(path: string): IterableIterator<{ readonly chunk: Buffer; readonly part: number }> {
  const file = openSync(path, "r")
  try {
    const { size } = fstatSync(file)
    const buffer = Buffer.allocUnsafe(chunkBytes)
    let read = 0
    for (let bytes = readSync(file, buffer); bytes > 0; bytes = readSync(file, buffer)) {
      read += bytes
      yield { chunk: buffer.subarray(0, bytes), part: Math.min(1, read / size) }
    }
  } finally {
    closeSync(file)
  }
}
