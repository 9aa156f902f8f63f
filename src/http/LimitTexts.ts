/** What the API's description says of limits: examples, and what parameters mean. */
import type { LimitDetailJson, LimitJson, LimitKeyJson, LimitPageJson } from "./api/LimitsApi.ts"
import type { LimitWaitingJson } from "./api/LimitWaitingJson.ts"
import type { PauseJson } from "./api/QueuesApi.ts"

const setting = { kind: "concurrency", max: 5 } as const
const limit: LimitJson = {
  name: "sync:concurrency",
  key: null,
  setting,
  set_by: "operator",
  by: "ada",
  reason: "More machines",
  definition: { kind: "concurrency", max: 2 },
  changed_at: "2026-01-31T11:30:00.000Z"
}
const key: LimitKeyJson = {
  key: "acme",
  setting,
  is_own: false,
  running: 1,
  holders: ["01a20f46-60fe-779b-a926-cef2c43ec95c"],
  tokens: null,
  blocked_by: null,
  pause: null
}

/** Examples by the name of a schema. */
export const examples = (pause: PauseJson) => {
  const page: typeof LimitPageJson.Type = {
    limits: [limit],
    next: null,
    paused_types: [{ type: "email", ...pause }],
    paused_keys: [{ limit: "sync:concurrency", key: "acme", ...pause }]
  }
  const detail: typeof LimitDetailJson.Type = {
    ...limit,
    key: null,
    is_keyed: true,
    keys: [key],
    timestamp: "2026-01-31T12:00:00.000Z"
  }
  return {
    LimitWaiting: {
      limit: "sync:concurrency",
      key: "acme",
      count: 128,
      complete: true,
      looked: 911,
      first: ["01a20f46-60fe-779b-a926-cef2c43ec95c"],
      timestamp: "2026-01-31T12:00:00.000Z"
    } satisfies typeof LimitWaitingJson.Type,
    NewLimit: { max: 5, by: "ada", reason: "More machines" },
    Limit: limit,
    LimitSetting: setting,
    LimitKey: key,
    LimitPage: page,
    LimitDetail: detail,
    LimitNotFound: {
      error: {
        code: "limit_not_found",
        message: `No limit has the name "snyc:rate"; a limit is known once an instance that runs its type has started`,
        name: "snyc:rate"
      }
    },
    PausedType: page.paused_types[0],
    PausedKey: page.paused_keys[0]
  }
}

const name = { description: "The name of the limit", example: "sync:concurrency" }
const ofKey = { name, key: { description: "Only for this key", example: "acme" } }
const oneKey = { name, key: { description: "The key; empty for a limit that has none", example: "acme" } }
const type = { type: { description: "The type", example: "email" } }

/** Parameters by operation. */
export const parameters = {
  "limits.get": { name, key: { description: "How these keys stand; repeated, or separated by commas" } },
  "limits.waiting": oneKey,
  "limits.set": ofKey,
  "limits.reset": ofKey,
  "limits.release": oneKey,
  "limits.pauseKey": oneKey,
  "limits.resumeKey": oneKey,
  "limits.pauseType": type,
  "limits.resumeType": type
}
