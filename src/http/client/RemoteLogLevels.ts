/** The part of a remote `TaskQueue` that is about the levels of the log. */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import * as LogLevels from "../../queue/LogLevels.ts"
import { logLevelsFromJson, termsJson } from "../api/LogLevelsApi.ts"
import * as WireNames from "../api/WireNames.ts"
import type * as ApiClient from "./ApiClient.ts"
import { inPath } from "./RemoteLimits.ts"
import { refusedAs, type Sending } from "./Sending.ts"

const name = inPath(Bounds.name)

/** A query names modules one by one. */
const refusedModules = refusedAs((option) => option === "module" ? "modules" : WireNames.toOption(option))

/** These operations on a server. */
export const make = (
  api: ApiClient.ApiClient["logLevels"],
  { again, refusedOption }: Sending
): LogLevels.LogLevels => ({
  logLevels: Effect.fnUntraced(function*(instance) {
    yield* Bounds.check("instance", name, instance)
    const asked = instance === undefined ? api.get() : api.getOfInstance({ params: { id: instance } })
    return logLevelsFromJson(yield* again("read the levels of the log", asked))
  }),
  setLogLevels: Effect.fnUntraced(function*(given, options = {}) {
    yield* Bounds.check("instance", name, options.instance)
    const levels = yield* LogLevels.check(given, options)
    const payload = { levels, ...termsJson(options) }
    const set = options.instance === undefined
      ? Effect.catchTag(api.set({ payload }), "InvalidRequest", refusedOption)
      : Effect.catchTag(
        api.setOfInstance({ params: { id: options.instance }, payload }),
        "InvalidRequest",
        refusedOption
      )
    yield* again("set levels of the log", set)
  }),
  unsetLogLevels: Effect.fnUntraced(function*({ instance, modules } = {}) {
    yield* Bounds.check("instance", name, instance)
    const query = modules === undefined ? {} : { module: modules }
    const unset = instance === undefined
      ? Effect.catchTag(api.unset({ query }), "InvalidRequest", refusedModules)
      : Effect.catchTag(api.unsetOfInstance({ params: { id: instance }, query }), "InvalidRequest", refusedModules)
    yield* again("unset levels of the log", unset)
  })
})
