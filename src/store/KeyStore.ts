/**
 * Where API keys are kept, beside the tasks they give access to. A driver stores what it is given: secrets are made,
 * hashed and compared in `access`.
 */
import { Context, type Effect } from "effect"
import type { ApiKey, NewKey, StoredKey } from "../domain/ApiKey.ts"
import type { StoreError } from "../domain/Errors.ts"

/** Keys of one store, shared by all instances on it. */
export class KeyStore extends Context.Service<KeyStore, {
  /** Stores a key whose id is new; repeating it changes nothing. */
  readonly create: (key: NewKey) => Effect.Effect<ApiKey, StoreError>
  /** Every key, the oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<StoredKey>, StoreError>
  /** Forgets a key; answers whether it was there. */
  readonly revoke: (id: string) => Effect.Effect<boolean, StoreError>
}>()("taskforge/store/KeyStore") {}
