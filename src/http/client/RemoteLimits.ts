/** The part of a remote `TaskQueue` that is about limits, and about pauses of types and keys. */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { InvalidOption } from "../../domain/Errors.ts"
import * as LimitRule from "../../domain/LimitRule.ts"
import type { Breakers } from "../../queue/Breakers.ts"
import * as Limits from "../../queue/Limits.ts"
import * as LimitViews from "../../queue/LimitViews.ts"
import * as Pauses from "../../queue/Pauses.ts"
import * as Queues from "../../queue/Queues.ts"
import * as LimitsApi from "../api/LimitsApi.ts"
import { waitingFromJson } from "../api/LimitWaitingJson.ts"
import { newPauseJson } from "../api/QueuesApi.ts"
import type * as ApiClient from "./ApiClient.ts"
import type { Sending } from "./Sending.ts"

/** What a URL can name: no path ends with a dot segment. */
export const inPath = (bound: Bounds.Bound<string>): Bounds.Bound<string> => ({
  expected: `${bound.expected}, and neither "." nor "..", which no URL can name`,
  accepts: (text) => bound.accepts(text) && text !== "." && text !== ".."
})

const name = inPath(Limits.name)
const typeName = inPath(Bounds.name)

const failing = (invalid: InvalidOption | undefined): Effect.Effect<void, InvalidOption> =>
  invalid === undefined ? Effect.void : Effect.fail(invalid)

/** These operations on a server. */
export const make = (
  api: ApiClient.ApiClient["limits"],
  { again, refusedOption }: Sending
): Omit<Limits.Limits, keyof Breakers> => {
  const list = again("list the limits", api.list({ query: { limit: 1 } }))
  const queryOf = (key: string | undefined) => key === undefined ? {} : { key }

  return {
    limits: Effect.fnUntraced(function*(options = {}) {
      yield* Queues.checkPage("limit", options)
      const { cursor } = options
      const query = { limit: Queues.sizeOf(options), ...cursor !== undefined && { cursor } }
      const page = yield* again("list the limits", api.list({ query }))
      return { limits: page.limits.map(LimitsApi.limitFromJson), next: page.next }
    }),
    limit: Effect.fnUntraced(function*(given, keys) {
      yield* Bounds.check("name", name, given)
      yield* failing(Limits.refuseKeys(keys))
      const query = keys === undefined ? {} : { key: keys }
      return LimitsApi.detailFromJson(
        yield* again(
          "read a limit",
          Effect.catchTag(api.get({ params: { name: given }, query }), "InvalidRequest", refusedOption)
        )
      )
    }),
    waiting: Effect.fnUntraced(function*(given, key) {
      yield* Bounds.check("name", name, given)
      yield* Bounds.check("key", LimitRule.key, key)
      const read = api.waiting({ params: { name: given }, query: { key } })
      return waitingFromJson(
        yield* again("read what waits for a limit", Effect.catchTag(read, "InvalidRequest", refusedOption))
      )
    }),
    setLimit: Effect.fnUntraced(function*(given, change) {
      yield* Bounds.check("name", name, given)
      yield* failing(LimitViews.refuseChange(change))
      const { key, ...settings } = change
      const request = { params: { name: given }, query: queryOf(key), payload: LimitsApi.newLimitJson(settings) }
      return LimitsApi.limitFromJson(
        yield* again("change a limit", Effect.catchTag(api.set(request), "InvalidRequest", refusedOption))
      )
    }),
    liftLimit: Effect.fnUntraced(function*(given, options = {}) {
      yield* Bounds.check("name", name, given)
      yield* failing(LimitViews.refuseOptions(options))
      const { key, ...author } = options
      const payload = { ...LimitsApi.newLimitJson(author), lifted: true as const }
      return LimitsApi.limitFromJson(
        yield* again(
          "lift a limit",
          Effect.catchTag(
            api.set({ params: { name: given }, query: queryOf(key), payload }),
            "InvalidRequest",
            refusedOption
          )
        )
      )
    }),
    resetLimit: Effect.fnUntraced(function*(given, options = {}) {
      yield* Bounds.check("name", name, given)
      yield* failing(LimitViews.refuseOptions(options))
      yield* again(
        "reset a limit",
        Effect.catchTag(
          api.reset({ params: { name: given }, query: queryOf(options.key) }),
          "InvalidRequest",
          refusedOption
        )
      )
    }),
    letGo: Effect.fnUntraced(function*(given, key) {
      yield* Bounds.check("name", name, given)
      yield* Bounds.check("key", LimitRule.key, key)
      yield* again(
        "release a key",
        Effect.catchTag(api.release({ params: { name: given }, query: { key } }), "InvalidRequest", refusedOption)
      )
    }),
    pauseType: Effect.fnUntraced(function*(type, options = {}) {
      yield* Bounds.check("type", typeName, type)
      yield* Pauses.check(options)
      const paused = api.pauseType({ params: { type }, payload: newPauseJson(options) })
      yield* again("pause a type", Effect.catchTag(paused, "InvalidRequest", refusedOption))
    }),
    resumeType: Effect.fnUntraced(function*(type) {
      yield* Bounds.check("type", typeName, type)
      yield* again("resume a type", api.resumeType({ params: { type } }))
    }),
    pausedTypes: Effect.map(list, LimitsApi.pausedTypesFromJson),
    pauseKey: Effect.fnUntraced(function*(given, key, options = {}) {
      yield* Bounds.check("name", name, given)
      yield* Bounds.check("key", LimitRule.key, key)
      yield* Pauses.check(options)
      const request = { params: { name: given }, query: { key }, payload: newPauseJson(options) }
      yield* again("pause a key", Effect.catchTag(api.pauseKey(request), "InvalidRequest", refusedOption))
    }),
    resumeKey: Effect.fnUntraced(function*(given, key) {
      yield* Bounds.check("name", name, given)
      yield* Bounds.check("key", LimitRule.key, key)
      yield* again(
        "resume a key",
        Effect.catchTag(api.resumeKey({ params: { name: given }, query: { key } }), "InvalidRequest", refusedOption)
      )
    }),
    pausedKeys: Effect.map(list, LimitsApi.pausedKeysFromJson)
  }
}
