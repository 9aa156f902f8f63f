/** What the API's description says of claims: examples, and what parameters mean. */
import type * as ClaimsApi from "./api/ClaimsApi.ts"

const id = "01a20f46-60fe-779b-a926-cef2c43ec95c"

/** Shortened: a real one is a few hundred characters. */
const token = "eyJpZCI6IjAxYTIwZjQ2In0.q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c"

const claims: typeof ClaimsApi.ClaimsJson.Type = {
  claims: [{
    token,
    lease_ms: 30_000,
    timeout_ms: 300_000,
    task: {
      id,
      type: "transcribe",
      queue: "default",
      payload: { url: "https://example.org/talk.ogg" },
      priority: 1,
      attempt: 1,
      failures: 0,
      crashes: 0,
      max_retries: 3,
      due_at: "2026-01-31T12:00:00.000Z",
      traceparent: null
    }
  }]
}

const settled: typeof ClaimsApi.SettledJson.Type = {
  claims: [{ state: "applied", outcome: "completed" }, { state: "applied", outcome: "retry", delay_ms: 2143 }]
}

/** Examples by the name of a schema. */
export const examples = {
  NewClaims: { worker: { name: "transcriber-1", host: "gpu-1", slots: 2 }, types: ["echo"], max: 2, wait: "0s" },
  Claim: claims.claims[0],
  Claims: claims,
  ExtendClaims: { claims: [{ token }], lease: "30s" },
  ExtendedClaims: { claims: [{ state: "held" }] },
  ClaimsProgress: { claims: [{ token, progress: 0.5 }] },
  ClaimsLog: { claims: [{ token, lines: [{ text: "12 of 40 minutes", level: "info" }] }] },
  NotedClaims: { claims: [{ state: "noted" }] },
  SettleClaims: {
    claims: [
      { token, end: "complete", result: { words: 1200 } },
      { token, end: "fail", error: { tag: "Busy", message: "The model is loading" } }
    ]
  },
  SettledClaims: settled,
  NewDefinition: {
    description: "Writes down what is said in a recording",
    payload: {
      type: "object",
      properties: { url: { type: "string" } },
      required: ["url"],
      additionalProperties: false
    },
    timeout: "10m",
    retry: { times: 5, delay: "2s" }
  },
  TooManyWorkers: {
    error: {
      code: "too_many_workers",
      message:
        "This server takes 1000 workers that ask and wait at the same time, and no more: let each worker run more " +
        "tasks, or start another server",
      max: 1000
    }
  }
}

const type = { description: "The type, as tasks name it", example: "transcribe" }

/** Parameters by operation. */
export const parameters = {
  "claims.define": { type },
  "claims.undefine": { type }
}
