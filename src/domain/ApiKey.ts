/** Who may use a server over HTTP: keys with roles. */
import { type DateTime, Schema } from "effect"

/**
 * What a key may do. Of `read`, `write` and `admin` each includes the ones before it; `admin` includes `work`, which includes nothing.
 *
 * - `work`: claim tasks over HTTP, and say how they ended; nothing else is shown to it
 * - `read`: look at tasks, events, instances and metrics
 * - `write`: create, cancel, rerun and remove tasks
 * - `admin`: stop and resume queues, and say how many slots instances have and which of them drain
 */
export const Role = Schema.Literals(["work", "read", "write", "admin"])

export type Role = typeof Role.Type

/** Whether a role is enough for something that needs another one. */
export const allows = (role: Role, needed: Role): boolean => role === needed || included[role].includes(needed)

const included: Readonly<Record<Role, ReadonlyArray<Role>>> = {
  work: [],
  read: [],
  write: ["read"],
  admin: ["read", "write", "work"]
}

/** A key as people see it. Its secret is shown once, when it is made, and is stored nowhere. */
export interface ApiKey {
  /** The public part of the secret: names the key in logs and commands. */
  readonly id: string
  /** Who or what uses it. */
  readonly name: string
  readonly role: Role
  /** By the store's clock. */
  readonly createdAt: DateTime.Utc
}

/** A key as it is stored: what its secret hashes to, and not the secret. */
export interface StoredKey extends ApiKey {
  /** SHA-256 of the secret, in hexadecimal. */
  readonly hash: string
}
