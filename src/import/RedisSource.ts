/** What readers of queues in Redis share: the connection, scripts, and a search for keys. */
import { Effect, type Scope } from "effect"
import type { Redis, RedisError } from "effect/persistence/Redis"
import * as Redaction from "../domain/Redaction.ts"
import * as Connection from "../store/redis/Connection.ts"
import { SourceError } from "./ImportedJob.ts"

/** How long an answer is waited for, in milliseconds. */
const answerWithinMs = 10_000

/** A connection to the Redis of another queue, and what is asked of it. */
export interface RedisSource {
  readonly send: <A>(command: string, ...args: ReadonlyArray<string>) => Effect.Effect<A, SourceError>
  /** Runs a script on keys of one slot. */
  readonly run: <A>(
    script: string,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>
  ) => Effect.Effect<A, SourceError>
  /** Keys that match a pattern, `max` at most. */
  readonly find: (pattern: string, max: number) => Effect.Effect<ReadonlyArray<string>, SourceError>
}

/** Connects until the scope closes. */
export const connect = Effect.fnUntraced(function*(
  url: string
): Effect.fn.Return<RedisSource, SourceError, Scope.Scope> {
  const shown = Redaction.url(url)
  const redis: Redis["Service"] = yield* Effect.mapError(
    Connection.make({ url, answerWithinMs }),
    ({ reason }) => unreachable(shown, reason)
  )
  const asked = <A>(answer: Effect.Effect<A, RedisError>): Effect.Effect<A, SourceError> =>
    answer.pipe(
      Effect.mapError(({ cause }) => unreachable(shown, cause instanceof Error ? cause.message : String(cause))),
      Effect.timeoutOrElse({
        duration: answerWithinMs,
        orElse: () => Effect.fail(unreachable(shown, `no answer within ${answerWithinMs} ms`))
      })
    )
  const send = <A>(command: string, ...args: ReadonlyArray<string>) => asked(redis.send<A>(command, ...args))
  return {
    send,
    run: (script, keys, args) => send("EVAL", script, String(keys.length), ...keys, ...args.map(String)),
    find: Effect.fnUntraced(function*(pattern, max) {
      const found = new Set<string>()
      let cursor = "0"
      do {
        const [next, keys] = yield* send<[string, Array<string>]>(
          "SCAN",
          cursor,
          "MATCH",
          pattern,
          "COUNT",
          "1000"
        )
        for (const key of keys) if (found.size < max) found.add(key)
        cursor = String(next)
      } while (cursor !== "0" && found.size < max)
      return [...found].sort()
    })
  }
})

const unreachable = (url: string, reason: string): SourceError =>
  new SourceError({
    kind: "unreachable",
    problem: `${url} does not answer: ${reason}`,
    advice: "Give the URL of the Redis that the other queue uses: redis://host:6379/0"
  })

/** A text in a pattern of `SCAN`, where it stands for itself. */
export const literal = (text: string): string => text.replace(/[\\*?[\]]/g, "\\$&")
