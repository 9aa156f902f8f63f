/**
 * What Redis's errors mean to a caller.
 */
import { Effect } from "effect"
import type { RedisError } from "effect/persistence/Redis"
import { StoreError } from "../../domain/Errors.ts"

/** What an error means, and what to do about it where no write will succeed until that is done. */
const hints: ReadonlyArray<readonly [pattern: RegExp, hint: string, advice?: string]> = [
  [
    /ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|EAI_AGAIN|offline/i,
    "it cannot be reached; what is asked of it until then fails"
  ],
  [/closed|terminated|destroyed|ECONNRESET|EPIPE/i, "the connection broke; it is being made again"],
  [
    /\bOOM\b/,
    "its memory is full; raise maxmemory or keep fewer finished tasks",
    "raise Redis's maxmemory, keep fewer finished tasks, or remove some; cancelling and removing tasks still works"
  ],
  [
    /MISCONF/,
    "it cannot write its snapshot and refuses writes; see its log",
    "see Redis's log for why it cannot write to its disk, which may be full"
  ],
  [
    /READONLY/,
    "it has become a replica, or is one; the address has to lead to the primary",
    "let the address of the store lead to the primary, or make this Redis the primary"
  ],
  [
    /NOREPLICAS/,
    "it has too few replicas and refuses writes",
    "start Redis's replicas, or lower min-replicas-to-write"
  ],
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
  const [, hint, advice] = hints.find(([pattern]) => pattern.test(detail + code)) ?? []
  return new StoreError({
    operation,
    reason: hint === undefined ? `Redis: ${detail}` : `Redis: ${hint} (${detail})`,
    ...(hint === undefined && isRefusal(cause) ? { refused: true } : {}),
    ...(advice === undefined ? {} : { advice }),
    cause
  })
}

/**
 * Whether it is what was given that cannot be stored: the client could not write it, or a script failed on it. What a
 * server says about itself begins with another word than `ERR`.
 */
const isRefusal = (cause: unknown): boolean =>
  cause instanceof TypeError || cause instanceof RangeError ||
  (cause instanceof Error && /^ERR .*(script|integer|float|string exceeds)/.test(cause.message))

/** The typed error for a store whose keys were removed, or that has become an empty server. */
export const gone = (root: string): StoreError =>
  new StoreError({
    operation: "find its keys",
    reason: `Redis: the keys of ${root} are gone, with all tasks that were stored`,
    advice: "restore Redis's data; or, if the tasks may be lost, run taskforge migrate or restart a server to go on " +
      "with an empty store"
  })

/** The typed error for an answer that did not come. */
export const noAnswer = (operation: string, afterMs: number): StoreError =>
  new StoreError({ operation, reason: `Redis: no answer within ${afterMs} ms; what it did is unknown` })

/** Writes the arguments of a script. Where something has no text, that is refused. */
export const packing = (
  operation: string,
  pack: () => ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, StoreError> => Effect.try({ try: pack, catch: () => notText(operation) })

/** The typed error for an argument that is no text: the client would take it and lose its place among the answers. */
export const notText = (operation: string): StoreError =>
  new StoreError({ operation, reason: "Redis: something that is no text cannot be stored", refused: true })

/** The typed error for more than one script may carry. */
export const tooLarge = (operation: string): StoreError =>
  new StoreError({
    operation,
    reason: "Redis: too much for one atomic step; ask for less at once",
    refused: true
  })
