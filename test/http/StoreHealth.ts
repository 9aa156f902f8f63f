/**
 * What a server's health says of its store's writes, whatever else it says: tasks that nothing runs are a trouble too,
 * once they have waited for long.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { HealthJson } from "../../src/http/api/SystemApi.ts"
import { until } from "../e2e/Server.ts"
import { get } from "./TestServer.ts"

/** The trouble that it names, which makes it red. */
export const trouble = Effect.map(get("/health"), ({ json }) => {
  const { status, troubles } = json as HealthJson
  const found = troubles.find(({ part }) => part === "store writes")
  if (found !== undefined) assert.strictEqual(status, "unhealthy")
  return found
})

/** Waits until writes are refused, and answers the trouble. */
export const untilRed = Effect.gen(function*() {
  let found = yield* trouble
  const look = Effect.map(trouble, (now) => (found = now) !== undefined)
  yield* until("health is red", look)
  return found
})

/** Waits until writes are taken. */
export const untilGreen = until("health is green", Effect.map(trouble, (found) => found === undefined))
