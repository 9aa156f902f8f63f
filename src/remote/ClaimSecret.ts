/** The secret by which the tokens of claims are signed: one per store, made by whichever server needs it first. */
import { Effect, Option, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import type { StoreError } from "../domain/Errors.ts"
import * as RecordStore from "../store/RecordStore.ts"

/** The kind of the record, of which there is one. */
const kind = "claim-secret"

const id = "current"

const Document = Schema.fromJsonString(Schema.Struct({ secret: Schema.String.check(Schema.isMinLength(43)) }))

const encode = Schema.encodeSync(Document)
const decode = Schema.decodeOption(Document)

/** Reads it, or makes it. */
export const load: Effect.Effect<
  Uint8Array,
  StoreError,
  RecordStore.RecordStore | SecureRandom.SecureRandom
> = Effect.gen(function*() {
  const store = yield* RecordStore.RecordStore
  const random = yield* SecureRandom.SecureRandom
  const [record] = yield* store.get(kind, [id])
  const known = Option.flatMap(Option.fromUndefinedOr(record), ({ document }) => decode(document))
  if (Option.isSome(known)) return Buffer.from(known.value.secret, "base64url")
  const secret = Buffer.from(yield* random.randomBytes(32))
  const document = encode({ secret: secret.toString("base64url") })
  yield* store.put([{ kind, id, expects: record?.version ?? RecordStore.absent, document }])
  return secret
}).pipe(
  // Another server was faster: its secret counts
  Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict", times: 10 }),
  Effect.catchTags({ InvalidOption: Effect.die, RecordConflict: Effect.die })
)
