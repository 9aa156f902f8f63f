/** What the API's description says of breakers: examples, and what parameters mean. */
import type { BreakerJson, BreakerKeyJson, BreakerPageJson } from "./api/BreakersApi.ts"

const key: typeof BreakerKeyJson.Type = {
  key: "",
  state: "open",
  since: "2026-01-31T11:59:40.000Z",
  until: "2026-01-31T12:00:10.000Z",
  failures: 0,
  openings: 1,
  last_failure: {
    tag: "MailRefused",
    message: "The mail server does not answer",
    task: "01a20f46-60fe-779b-a926-cef2c43ec95c",
    at: "2026-01-31T11:59:40.000Z"
  },
  by: null,
  reason: null
}

const breaker: BreakerJson = {
  name: "smtp",
  is_keyed: false,
  settings: { failures: 5, within_ms: 60_000, open_for_ms: 30_000, max_open_for_ms: 600_000 },
  state: "open",
  keys: [key]
}

const page: typeof BreakerPageJson.Type = { breakers: [breaker], next: null, timestamp: "2026-01-31T12:00:00.000Z" }

/** Examples by the name of a schema. */
export const examples = {
  Breaker: breaker,
  BreakerKey: key,
  BreakerPage: page,
  NewOpening: { for: "1h", by: "ada", reason: "The mail server moves" },
  BreakerNotFound: {
    error: {
      code: "breaker_not_found",
      message: `No breaker has the name "stmp"; a breaker is known once an instance that runs its type has started`,
      name: "stmp"
    }
  }
}

const name = { description: "The name of the breaker", example: "smtp" }
const ofKey = { name, key: { description: "Only this key", example: "mail.example.org" } }

/** Parameters by operation. */
export const parameters = {
  "breakers.get": { name, key: { description: "How these keys stand; repeated, or separated by commas" } },
  "breakers.open": ofKey,
  "breakers.reset": ofKey
}
