/**
 * What a remote worker holds of a claim: a token with everything that the server needs to know of it later, signed by the store's own
 * secret. So any server on the store answers for it without a read, and no worker can make one for a claim that it was not given.
 */
import { Exit, Schema } from "effect"
import { Base64Url } from "effect/encoding"
import { createHmac, timingSafeEqual } from "node:crypto"
import * as Gate from "../domain/Gate.ts"

/** What is known of a claim. */
export const ClaimFacts = Schema.Struct({
  id: Schema.String,
  /** The number of the claim, which fences it. */
  claim: Schema.Int,
  type: Schema.String,
  queue: Schema.String,
  /** The number of the attempt. */
  attempt: Schema.Int,
  failures: Schema.Int,
  maxRetries: Schema.Int,
  /** The store's clock, in milliseconds. */
  claimedAt: Schema.Int,
  /** Time limit of the attempt in milliseconds; `null` for none. */
  timeoutMs: Schema.NullOr(Schema.Int),
  gate: Schema.NullOr(Schema.String),
  /** The instance that the worker is to others. */
  instance: Schema.String,
  /** The number of the place in which the worker runs it. */
  slot: Schema.Int
})

export type ClaimFacts = typeof ClaimFacts.Type

/** Characters of a token at most: five names of 255 characters and a gate, each byte of which may be escaped. */
const maxTokenLength: number = 16 * 1024 + 4 * Gate.maxGateBytes

const encode = Schema.encodeSync(Schema.fromJsonString(ClaimFacts))
const decode = Schema.decodeUnknownExit(Schema.fromJsonString(ClaimFacts))

const signatureOf = (body: string, secret: Uint8Array): Buffer => createHmac("sha256", secret).update(body).digest()

/** The token of a claim. */
export const make = (facts: ClaimFacts, secret: Uint8Array): string => {
  const body = Base64Url.encode(encode(facts))
  return `${body}.${signatureOf(body, secret).toString("base64url")}`
}

/** The claim of a token; `undefined` where none was given under this secret. */
export const read = (token: string, secret: Uint8Array): ClaimFacts | undefined => {
  if (token.length > maxTokenLength) return undefined
  const [body = "", signature = "", ...rest] = token.split(".")
  if (rest.length > 0) return undefined
  const [given, expected] = [Buffer.from(signature, "base64url"), signatureOf(body, secret)]
  // A signature has one spelling
  if (given.length !== expected.length || given.toString("base64url") !== signature) return undefined
  if (!timingSafeEqual(given, expected)) return undefined
  const facts = decode(Buffer.from(body, "base64url").toString("utf8"))
  return Exit.isSuccess(facts) ? facts.value : undefined
}
