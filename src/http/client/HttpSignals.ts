/**
 * `Signals` over HTTP: a program completes signals remotely when this layer takes the place of an engine's.
 *
 * @example
 * ```ts
 * const program = Approval.complete(token, { by: "ada" })
 *
 * program.pipe(Effect.provide(HttpSignals.layer({ url: "https://tasks.example.org", apiKey })))
 * ```
 */
import { Effect, Layer } from "effect"
import { FetchHttpClient, type HttpClient } from "effect/http"
import { SignalNotFound } from "../../domain/StepErrors.ts"
import * as SignalRecords from "../../flow/SignalRecords.ts"
import { Signals } from "../../flow/Signals.ts"
import { Api } from "../api/Api.ts"
import * as SignalJson from "../api/SignalJson.ts"
import * as ApiClient from "./ApiClient.ts"
import type { Options } from "./ApiClient.ts"
import { refusedOption, unsent } from "./Sending.ts"

export type { Options }

/** The signals of a server, reached by `fetch`. */
export const layer = (options: Options): Layer.Layer<Signals> =>
  Layer.provide(layerHttpClient(options), FetchHttpClient.layer)

/** The signals of a server, reached by the `HttpClient` that is provided. */
export const layerHttpClient = (options: Options): Layer.Layer<Signals, never, HttpClient.HttpClient> =>
  Layer.effect(Signals, make(options))

const make = Effect.fnUntraced(function*(options: Options) {
  const { signals: api } = yield* ApiClient.make(Api, options)
  // The same end twice is the same as once
  const repeatable = ApiClient.repeatable(options.retry)
  const again = <A, E extends { readonly _tag: string }>(operation: string, request: Effect.Effect<A, E>) =>
    repeatable(unsent(operation, request))
  /** What cannot be a token is asked for nowhere: a dot segment is no path. */
  const named = (token: string) =>
    SignalRecords.tokenPattern.test(token)
      ? Effect.succeed({ params: { token } })
      : Effect.fail(new SignalNotFound({ token }))

  return Signals.of({
    complete: Effect.fnUntraced(function*(token, end) {
      const request = { ...yield* named(token), payload: SignalJson.bodyOf(end) }
      const done = Effect.catchTag(api.complete(request), "InvalidRequest", refusedOption)
      return SignalJson.signalFromJson(token, yield* again("complete a signal", done))
    }),
    get: Effect.fnUntraced(function*(token) {
      const { params } = yield* named(token)
      return SignalJson.signalFromJson(token, yield* again("read a signal", api.get({ params })))
    })
  })
})
