/** The endpoints of claims: thin doors into `RemoteClaims`. */
import { DateTime, Duration, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { UnknownTaskType } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import type { Level } from "../logs/LogLine.ts"
import { RemoteClaims } from "../remote/RemoteClaims.ts"
import type { RemoteClaim, RemoteEnd, Settled } from "../remote/RemoteTask.ts"
import type { RemoteType } from "../remote/RemoteType.ts"
import { Api } from "./api/Api.ts"
import type { ClaimsJson, EndJson, NewClaimsJson, NewDefinitionJson, SettledJson } from "./api/ClaimsApi.ts"
import { timestamp } from "./api/TaskJson.ts"
import * as AuditLog from "./AuditLog.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { TaskCatalog } from "./TaskCatalog.ts"

/** Handles the endpoints of {@link Api}'s claims. */
export const claims = HttpApiBuilder.group(
  Api,
  "claims",
  Effect.fnUntraced(function*(handlers) {
    const remote = yield* RemoteClaims
    const catalog = yield* TaskCatalog

    const leaseOf = (lease: Duration.Duration | undefined) => lease && Duration.toMillis(lease)
    const noted = (known: ReadonlyArray<boolean>) => ({
      claims: known.map((isKnown) => ({ state: isKnown ? "noted" as const : "unknown" as const }))
    })

    const claim = Effect.fnUntraced(function*(body: typeof NewClaimsJson.Type) {
      const { host = "", name, pid = 0, slots = 1, version = "" } = body.worker
      const types = [...new Set(body.types)]
      yield* catalog.knowing(types)
      const claimed = yield* remote.claim(catalog.find, {
        worker: { name, host, pid, version, slots },
        types,
        queues: [...new Set(body.queues)],
        max: body.max ?? 1,
        waitMs: body.wait === undefined ? 0 : Duration.toMillis(body.wait),
        leaseMs: leaseOf(body.lease),
        request: body.request
      }).pipe(
        Effect.catchTag(
          "UnknownTaskType",
          ({ index, type }) => Effect.fail(new UnknownTaskType({ type, known: catalog.types, index }))
        )
      )
      return { claims: claimed.map(claimJson) }
    })

    const define = (type: string, body: typeof NewDefinitionJson.Type) => {
      const { retry, timeout, ...given } = body
      return catalog.define(type, {
        ...given as RemoteType,
        ...timeout !== undefined && { timeoutMs: Duration.toMillis(timeout) },
        ...retry !== undefined && {
          retry: {
            ...retry.times !== undefined && { times: retry.times },
            ...retry.delay !== undefined && { delayMs: Duration.toMillis(retry.delay) },
            ...retry.max_delay !== undefined && { maxDelayMs: Duration.toMillis(retry.max_delay) }
          }
        }
      }).pipe(
        Effect.catchTag(
          "InvalidOption",
          (invalid) => RequestCheckLive.refused(invalid.option === "type" ? "path" : "body")(invalid)
        ),
        Effect.asVoid
      )
    }

    return handlers.handleAll({
      define: ({ params: { type }, payload }) => AuditLog.recorded("define_type", { type }, define(type, payload)),
      undefine: ({ params: { type } }) => AuditLog.recorded("undefine_type", { type }, catalog.undefine(type)),
      claim: ({ payload }) => claim(payload),
      extend: ({ payload: { claims, lease } }) =>
        remote.extend(catalog.find, claims.map(({ token }) => token), leaseOf(lease)).pipe(
          Effect.map((states) => ({ claims: states.map((state) => ({ state })) }))
        ),
      progress: ({ payload: { claims } }) => Effect.map(remote.report(claims), noted),
      log: ({ payload: { claims } }) =>
        Effect.map(
          remote.log(claims.map(({ lines, token }) => ({
            token,
            lines: lines.map(({ at, level = "info", text }) => ({
              at: at && DateTime.toEpochMillis(at),
              level: levels[level],
              text
            }))
          }))),
          noted
        ),
      settle: ({ payload: { claims }, request }) =>
        RequestCheckLive.exactBody(request, () =>
          Effect.gen(function*() {
            yield* catalog.knowing()
            const ends = claims.map((end) => ({ token: end.token, end: endOf(end) }))
            return { claims: (yield* remote.settle(catalog.find, ends)).map(settledJson) }
          }))
    })
  })
)

const levels: Readonly<Record<"trace" | "debug" | "info" | "warn" | "error" | "fatal", Level>> = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  fatal: "Fatal"
}

const claimJson = (claim: RemoteClaim): (typeof ClaimsJson.Type)["claims"][number] => ({
  token: claim.token,
  lease_ms: claim.leaseMs,
  timeout_ms: claim.timeoutMs,
  task: {
    id: claim.id,
    type: claim.type,
    queue: claim.queue,
    payload: claim.payload,
    priority: claim.priority,
    attempt: claim.attempt,
    failures: claim.failures,
    crashes: claim.crashes,
    max_retries: claim.maxRetries,
    due_at: timestamp(utc(claim.dueAt)),
    traceparent: claim.trace?.replace(/-many$/, "") ?? null
  }
})

const endOf = (end: EndJson): RemoteEnd => {
  switch (end.end) {
    case "complete":
      return { _tag: "Complete", result: end.result ?? null }
    case "fail": {
      const { delay, error: { details, message, tag = "RemoteError" }, retry = true } = end
      return { _tag: "Fail", tag, message, details, retry, delayMs: delay && Duration.toMillis(delay), timeout: false }
    }
    case "timeout":
      return {
        _tag: "Fail",
        tag: "Timeout",
        message: "",
        details: undefined,
        retry: true,
        delayMs: undefined,
        timeout: true
      }
    case "snooze":
      return { _tag: "Snooze", delayMs: Duration.toMillis(end.delay) }
    case "release":
      return { _tag: "Release" }
    case "cancel":
      return { _tag: "Cancel" }
  }
}

const settledJson = ({ delayMs, issue, outcome, state }: Settled): (typeof SettledJson.Type)["claims"][number] => ({
  state,
  ...outcome !== undefined && { outcome },
  ...delayMs !== undefined && { delay_ms: delayMs },
  ...issue !== undefined && { issue }
})
