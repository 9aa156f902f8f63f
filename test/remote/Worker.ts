/** A worker in another process, as the tests play one: it speaks the protocol and nothing else. */
import { Effect } from "effect"
import type { HttpClient } from "effect/http"
import { expecting, send } from "../http/TestServer.ts"

/** A claim as it is on the wire. */
export interface Claim {
  readonly token: string
  readonly lease_ms: number
  readonly timeout_ms: number | null
  readonly task: {
    readonly id: string
    readonly type: string
    readonly payload: unknown
    readonly attempt: number
    readonly failures: number
  }
}

type Requirements = HttpClient.HttpClient

const itemsOf = <A>(path: string, body: object): Effect.Effect<ReadonlyArray<A>, never, Requirements> =>
  Effect.map(
    expecting(200, send("POST", `/api/v1/claims${path}`, body)),
    ({ json }) => (json as { readonly claims: ReadonlyArray<A> }).claims
  )

/** Claims tasks for a worker. */
export const claim = (types: ReadonlyArray<string>, more: object = {}, name = "py-1") =>
  itemsOf<Claim>("", { worker: { name }, types, ...more })

/** Asks for more time. */
export const extend = (tokens: ReadonlyArray<string>, more: object = {}) =>
  Effect.map(
    itemsOf<{ readonly state: string }>("/extend", { claims: tokens.map((token) => ({ token })), ...more }),
    (claims) => claims.map(({ state }) => state)
  )

/** What became of an end. */
export interface Settled {
  readonly state: string
  readonly outcome?: string
  readonly delay_ms?: number
  readonly issue?: string
}

/** Says how attempts ended. */
export const settle = (...claims: ReadonlyArray<object>) => itemsOf<Settled>("/settle", { claims })

/** Says how far attempts are. */
export const progress = (...claims: ReadonlyArray<object>) =>
  itemsOf<{ readonly state: string }>("/progress", { claims })

/** Says what attempts log. */
export const log = (...claims: ReadonlyArray<object>) => itemsOf<{ readonly state: string }>("/log", { claims })
