/**
 * The secret of an API key: `tf_<id>_<random>`. The id is public and finds the key; the whole text is hashed. The
 * random part has 256 bits, so a plain hash is as hard to turn around as a slow one would be.
 */
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import { Base64Url, Hex } from "effect/encoding"
import { hash, timingSafeEqual } from "node:crypto"

/** A secret that has just been made. */
export interface Secret {
  /** The public part. */
  readonly id: string
  /** What the client sends. */
  readonly text: string
}

/** Makes a secret. */
export const make: Effect.Effect<Secret, never, SecureRandom.SecureRandom> = Effect.gen(function*() {
  const random = yield* SecureRandom.SecureRandom
  const id = Hex.encode(yield* random.randomBytes(6))
  return { id, text: `tf_${id}_${Base64Url.encode(yield* random.randomBytes(32))}` }
})

const form = /^tf_([0-9a-f]{12})_[\w-]{43}$/

/** The id in a secret, or `undefined` when the text is none of ours. */
export const idOf = (text: string): string | undefined => form.exec(text)?.[1]

/** What is stored of a secret. */
export const hashOf = (text: string): string => hash("sha256", text, "hex")

/** Whether a text is the secret with this hash; takes the same time whatever the answer. */
export const matches = (text: string, stored: string): boolean =>
  same(hash("sha256", text, "buffer"), Buffer.from(stored, "hex"))

/** Whether two secrets are the same; takes the same time whatever the answer. */
export const equal = (one: string, other: string): boolean => same(Buffer.from(one), Buffer.from(other))

const same = (one: Buffer, other: Buffer): boolean => one.length === other.length && timingSafeEqual(one, other)
