/**
 * What Redis's errors mean to a caller.
 */
import type { RedisError } from "effect/persistence/Redis"
import { StoreError } from "../../domain/Errors.ts"

const hints: ReadonlyArray<readonly [pattern: RegExp, hint: string]> = [
  [
    /ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|EAI_AGAIN|offline/i,
    "it cannot be reached; what is asked of it meanwhile fails"
  ],
  [/closed|terminated|destroyed|ECONNRESET|EPIPE/i, "the connection broke; it is being made again"],
  [/\bOOM\b/, "its memory is full; raise maxmemory or keep fewer finished tasks"],
  [/MISCONF/, "it cannot write its snapshot and refuses writes; see its log"],
  [/READONLY/, "it has become a replica, or is one; the address has to lead to the primary"],
  [/NOAUTH|WRONGPASS|NOPERM/, "it refuses this user; check the credentials and what they may do"],
  [/LOADING/, "it is still loading its data"],
  [
    /MOVED/,
    "another node of the cluster has the tasks; the store's own client goes there, another one must be for clusters"
  ],
  [/ASK|TRYAGAIN/, "the tasks are being moved to another node of the cluster"],
  [/CLUSTERDOWN/, "its cluster has no node for the tasks now"],
  [/WRONGTYPE/, "another program uses keys of the same prefix; choose another prefix"]
]

/** The typed error for what a command ran into, with what it means where that is known. */
export const storeError = (operation: string, error: RedisError): StoreError => {
  const cause = error.cause
  const detail = cause instanceof AggregateError ? cause.errors.map(String).join(", ") : String(cause)
  const code = typeof cause === "object" && cause !== null && "code" in cause ? ` ${String(cause.code)}` : ""
  const hint = hints.find(([pattern]) => pattern.test(detail + code))?.[1]
  return new StoreError({
    operation,
    reason: hint === undefined ? `Redis: ${detail}` : `Redis: ${hint} (${detail})`,
    cause
  })
}

/** The typed error for an answer that did not come. */
export const noAnswer = (operation: string, afterMs: number): StoreError =>
  new StoreError({ operation, reason: `Redis: no answer within ${afterMs} ms; what it did is unknown` })

/** The typed error for more than one script may carry. */
export const tooLarge = (operation: string): StoreError =>
  new StoreError({ operation, reason: "Redis: too much for one atomic step; ask for less at once" })
