/** Who sent a request, as far as the server knows. */
import { Context } from "effect"
import type { ApiKey } from "../domain/ApiKey.ts"

/**
 * - `Caller`: came with a key of this server
 * - `Anonymous`: came without a key, and this server asks for none
 * - `Stranger`: came without a key that this server asks for, or with one that it does not know
 */
export type Visitor =
  | { readonly _tag: "Caller"; readonly key: ApiKey }
  | { readonly _tag: "Anonymous" }
  | { readonly _tag: "Stranger"; readonly hasKey: boolean }

/** Came without a key, and needs none. */
export const anonymous: Visitor = { _tag: "Anonymous" }

/** Came without a key, and needs one. */
export const keyless: Visitor = { _tag: "Stranger", hasKey: false }

/** Came with a key that no one has been given, or that was taken back. */
export const withUnknownKey: Visitor = { _tag: "Stranger", hasKey: true }

/**
 * The visitor whose request the fiber answers; set by the gate before any handler runs, unless the server asks for no key:
 * every entry of a fiber's context costs each request.
 */
export class CurrentVisitor extends Context.Reference<Visitor>("taskforge/http/CurrentVisitor", {
  defaultValue: () => anonymous
}) {}

/** The key of a visitor, if it came with one. */
export const keyOf = (visitor: Visitor): ApiKey | undefined => visitor._tag === "Caller" ? visitor.key : undefined
