/** Tasks that run until the test lets them end, however long that takes: they wait for an answer of its site. */
import { Effect, type Scope } from "effect"
import type { ServerResponse } from "node:http"
import * as Site from "../handlers/outbound/Site.ts"
import type { Environment, NewTask } from "./Server.ts"

/** A site that keeps its answers back. */
export interface Gate {
  /** What a server needs to run the tasks. */
  readonly environment: Environment
  /** So many tasks, to be posted. */
  readonly tasks: (count: number) => ReadonlyArray<NewTask>
  /** How many attempts have come so far. */
  readonly arrived: () => number
  /** Lets all attempts end that wait now. */
  readonly release: Effect.Effect<void>
  /** Lets all attempts end that wait now or come later. */
  readonly open: Effect.Effect<void>
}

/** Opens a site; it closes with the scope, which its attempts take for a failure. */
export const make: Effect.Effect<Gate, never, Scope.Scope> = Effect.gen(function*() {
  let waiting: Array<ServerResponse> = []
  let isOpen = false
  const site = yield* Site.start((_, response) => {
    if (isOpen) response.end()
    else waiting.push(response)
  })
  const release = Effect.sync(() => {
    for (const response of waiting) response.end()
    waiting = []
  })
  return {
    environment: { TASKFORGE_OUTBOUND_ALLOW: "127.0.0.1", TASKFORGE_OUTBOUND_TIMEOUT: "10m" },
    tasks: (count) => Array.from({ length: count }, () => ({ type: "http_request", payload: { url: site.url } })),
    arrived: () => site.asked.length,
    release,
    open: Effect.andThen(
      Effect.sync(() => {
        isOpen = true
      }),
      release
    )
  }
})
