/**
 * `SecureRandom` that draws its bytes from a pool, so that the ids of a thousand tasks cost one call into the
 * operating system's generator instead of a thousand.
 */
import { Effect, Layer } from "effect"
import { SecureRandom, WebCrypto } from "effect/crypto"

const poolSize = 8192

/** Random bytes from the `WebCrypto` reference, in blocks. */
export const layer: Layer.Layer<SecureRandom.SecureRandom> = Layer.effect(
  SecureRandom.SecureRandom,
  Effect.map(WebCrypto.WebCrypto, (source) => {
    let pool = new Uint8Array(0)
    let used = 0
    return SecureRandom.make((size) => {
      if (size > poolSize) return source.getRandomValues(new Uint8Array(size))
      if (used + size > pool.length) {
        // A new block each time: bytes handed out are never written again.
        pool = source.getRandomValues(new Uint8Array(poolSize))
        used = 0
      }
      used += size
      return pool.subarray(used - size, used)
    })
  })
)
