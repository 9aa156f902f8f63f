/**
 * Making and taking back API keys, for the command line and for programs.
 *
 * @example
 * ```ts
 * const { key, secret } = yield* ApiKeys.create({ name: "ci", role: "write" })
 * ```
 */
import { DateTime, Effect, Option, Redacted, Schema } from "effect"
import type { SecureRandom } from "effect/crypto"
import { type ApiKey, Role, type StoredKey } from "../domain/ApiKey.ts"
import type { StoreError } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import * as RecordStore from "../store/RecordStore.ts"
import * as Secret from "./Secret.ts"

/** Characters in a name at most. */
const maxNameLength = 100

/** A name that no key may have. */
export class InvalidKeyName extends Schema.TaggedError<InvalidKeyName>()("InvalidKeyName", { name: Schema.String }) {
  override get message(): string {
    return `A key needs a name of 1 to ${maxNameLength} characters without control characters, ` +
      `not ${JSON.stringify(this.name.slice(0, maxNameLength))}`
  }
}

/** No key has this id. */
export class KeyNotFound extends Schema.TaggedError<KeyNotFound>()("KeyNotFound", { id: Schema.String }) {
  override get message(): string {
    return `No key has the id ${JSON.stringify(this.id)}`
  }
}

/** A key that has just been made, with its secret, which cannot be shown again. */
export interface Created {
  readonly key: ApiKey
  readonly secret: Redacted.Redacted
}

/** The kind of the records that keys are, by their ids. */
const kind = "api-key"

/** What is stored of a key. It was made when its record was written. */
const Document = Schema.fromJsonString(Schema.Struct({ name: Schema.String, role: Role, hash: Schema.String }))

const encode = Schema.encodeSync(Document)
const decode = Schema.decodeOption(Document)

/** Makes a key. */
export const create = Effect.fnUntraced(function*(
  { name, role }: { readonly name: string; readonly role: Role }
): Effect.fn.Return<Created, InvalidKeyName | StoreError, RecordStore.RecordStore | SecureRandom.SecureRandom> {
  if (name.trim() === "" || name.length > maxNameLength || /\p{Cc}/u.test(name)) {
    return yield* new InvalidKeyName({ name })
  }
  const { id, text } = yield* Secret.make
  const document = encode({ name, role, hash: Secret.hashOf(text) })
  const store = yield* RecordStore.RecordStore
  const [record] = yield* store.put([{ kind, id, expects: RecordStore.absent, document }]).pipe(
    Effect.andThen(store.get(kind, [id])),
    // an id of 48 random bits is new
    Effect.catchTags({ InvalidOption: Effect.die, RecordConflict: Effect.die })
  )
  const createdAt = utc(record?.writtenAt ?? 0)
  return { key: { id, name, role, createdAt }, secret: Redacted.make(text) }
})

/** Every key with what its secret hashes to, the oldest first. */
export const stored: Effect.Effect<ReadonlyArray<StoredKey>, StoreError, RecordStore.RecordStore> = Effect.map(
  RecordStore.all(kind),
  (records) =>
    records.flatMap(({ document, id, writtenAt }) =>
      // one that a newer version has written opens nothing here
      Option.match(decode(document), { onNone: () => [], onSome: (key) => [{ id, ...key, createdAt: utc(writtenAt) }] })
    ).toSorted((a, b) => DateTime.Order(a.createdAt, b.createdAt) || (a.id < b.id ? -1 : 1))
)

/** Every key, the oldest first. */
export const list: Effect.Effect<ReadonlyArray<ApiKey>, StoreError, RecordStore.RecordStore> = Effect.map(
  stored,
  (keys) => keys.map(({ hash: _hash, ...key }) => key)
)

/** Takes a key back. Servers stop taking it within five seconds. */
export const revoke = (id: string): Effect.Effect<void, KeyNotFound | StoreError, RecordStore.RecordStore> =>
  Effect.flatMap(
    RecordStore.remove(kind, id),
    (found) => found ? Effect.void : Effect.fail(new KeyNotFound({ id }))
  )
