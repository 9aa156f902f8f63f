/** The part of a remote `TaskQueue` that is about breakers. */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { InvalidOption } from "../../domain/Errors.ts"
import * as LimitRule from "../../domain/LimitRule.ts"
import * as Breakers from "../../queue/Breakers.ts"
import * as Queues from "../../queue/Queues.ts"
import * as BreakersApi from "../api/BreakersApi.ts"
import type * as ApiClient from "./ApiClient.ts"
import { inPath } from "./RemoteLimits.ts"
import type { Sending } from "./Sending.ts"

const name = inPath(Breakers.name)

const failing = (invalid: InvalidOption | undefined): Effect.Effect<void, InvalidOption> =>
  invalid === undefined ? Effect.void : Effect.fail(invalid)

const queryOf = (key: string | undefined) => key === undefined ? {} : { key }

/** These operations on a server. */
export const make = (api: ApiClient.ApiClient["breakers"], { again, refusedOption }: Sending): Breakers.Breakers => ({
  breakers: Effect.fnUntraced(function*(options = {}) {
    yield* Queues.checkPage("breaker", options)
    const { cursor } = options
    const query = { limit: Queues.sizeOf(options), ...cursor !== undefined && { cursor } }
    return BreakersApi.pageFromJson(yield* again("list the breakers", api.list({ query })))
  }),
  breaker: Effect.fnUntraced(function*(given, keys) {
    yield* Bounds.check("name", name, given)
    yield* failing(Breakers.refuseKeys(keys))
    const read = api.get({ params: { name: given }, query: keys === undefined ? {} : { key: keys } })
    return BreakersApi.breakerFromJson(
      yield* again("read a breaker", Effect.catchTag(read, "InvalidRequest", refusedOption))
    )
  }),
  openBreaker: Effect.fnUntraced(function*(given, options = {}) {
    yield* Bounds.check("name", name, given)
    yield* failing(Breakers.refuseOpening(options))
    const { key, ...rest } = options
    const request = { params: { name: given }, query: queryOf(key), payload: BreakersApi.newOpeningJson(rest) }
    return BreakersApi.breakerFromJson(
      yield* again("open a breaker", Effect.catchTag(api.open(request), "InvalidRequest", refusedOption))
    )
  }),
  resetBreaker: Effect.fnUntraced(function*(given, options = {}) {
    yield* Bounds.check("name", name, given)
    yield* Bounds.check("key", LimitRule.key, options.key)
    const closed = api.reset({ params: { name: given }, query: queryOf(options.key) })
    yield* again("close a breaker", Effect.catchTag(closed, "InvalidRequest", refusedOption))
  })
})
