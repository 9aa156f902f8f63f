/**
 * Making and taking back API keys, for the command line and for programs.
 *
 * @example
 * ```ts
 * const { key, secret } = yield* ApiKeys.create({ name: "ci", role: "write" })
 * ```
 */
import { Effect, Redacted, Schema } from "effect"
import type { SecureRandom } from "effect/crypto"
import type { ApiKey, Role } from "../domain/ApiKey.ts"
import type { StoreError } from "../domain/Errors.ts"
import { KeyStore } from "../store/KeyStore.ts"
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

/** A key that has just been made, with its secret: nobody can show that again. */
export interface Created {
  readonly key: ApiKey
  readonly secret: Redacted.Redacted
}

/** Makes a key. */
export const create = Effect.fnUntraced(function*(
  { name, role }: { readonly name: string; readonly role: Role }
): Effect.fn.Return<Created, InvalidKeyName | StoreError, KeyStore | SecureRandom.SecureRandom> {
  if (name.trim() === "" || name.length > maxNameLength || /\p{Cc}/u.test(name)) {
    return yield* new InvalidKeyName({ name })
  }
  const store = yield* KeyStore
  const { id, text } = yield* Secret.make
  const key = yield* store.create({ id, name, role, hash: Secret.hashOf(text) })
  return { key, secret: Redacted.make(text) }
})

/** Every key, the oldest first. */
export const list: Effect.Effect<ReadonlyArray<ApiKey>, StoreError, KeyStore> = KeyStore.use((store) =>
  Effect.map(store.list, (keys) => keys.map(({ hash: _hash, ...key }) => key))
)

/** Takes a key back. Servers stop taking it within five seconds. */
export const revoke = (id: string): Effect.Effect<void, KeyNotFound | StoreError, KeyStore> =>
  KeyStore.use((store) =>
    Effect.flatMap(store.revoke(id), (found) => found ? Effect.void : Effect.fail(new KeyNotFound({ id })))
  )
