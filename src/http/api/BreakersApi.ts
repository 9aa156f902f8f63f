/** Breakers over HTTP, in snake_case. */
import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import * as Cursor from "../../domain/Cursor.ts"
import * as LimitRule from "../../domain/LimitRule.ts"
import type { BreakerKey, BreakerPage, BreakerView, OpenOptions } from "../../queue/Breakers.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { lastFailureFromJson, LastFailureJson, lastFailureJson } from "./ExplanationJson.ts"
import { NeededRole } from "./NeededRole.ts"
import { cursorText, listOf, MillisOrText, Name, PageSize, within } from "./RequestValues.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

const state = Schema.Literals(["closed", "open", "half_open"])

/** How a key of a breaker stands. */
export const BreakerKeyJson = Schema.Struct({
  key: Schema.String,
  state,
  since: Schema.NullOr(Timestamp).annotate({ description: "When it opened first; null while it is closed" }),
  until: Schema.NullOr(Timestamp).annotate({ description: "When a task may try; null while it is closed" }),
  failures: Schema.Int.annotate({ description: "While it is closed: failures that count" }),
  openings: Schema.Int.annotate({ description: "How often it has opened since it was closed" }),
  last_failure: LastFailureJson,
  by: Schema.NullOr(Schema.String).annotate({ description: "Who opened it by hand" }),
  reason: Schema.NullOr(Schema.String)
}).annotate({ identifier: "BreakerKey" })

/** A breaker, and how some of its keys stand. */
export const BreakerJson = Schema.Struct({
  name: Schema.String,
  is_keyed: Schema.Boolean.annotate({ description: "Whether it has keys; one without has the key \"\"" }),
  settings: Schema.Struct({
    failures: Schema.Int.annotate({ description: "Failures in within_ms that open it" }),
    within_ms: Schema.Finite,
    open_for_ms: Schema.Finite.annotate({ description: "How long it is open the first time" }),
    max_open_for_ms: Schema.Finite.annotate({ description: "How long at most, doubled with each try that fails" })
  }),
  state: state.annotate({ description: "The worst of its keys" }),
  keys: Schema.Array(BreakerKeyJson).annotate({
    description: "Those that were asked for; else those that have failures or are open"
  })
}).annotate({ identifier: "Breaker" })

export type BreakerJson = typeof BreakerJson.Type

/** A page of breakers. */
export const BreakerPageJson = Schema.Struct({
  breakers: Schema.Array(BreakerJson),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "BreakerPage" })

/** How a breaker is opened by hand. */
const NewOpeningJson = Schema.Struct({
  for: Schema.optionalKey(MillisOrText.check(within(Bounds.timeout))).annotate({
    description: "How long: text such as 5m or 1h30m, or milliseconds; what the definition says by default"
  }),
  by: Schema.optionalKey(Name).annotate({ description: "Who opens it; the name of an API key takes its place" }),
  reason: Schema.optionalKey(Schema.String.check(within(Bounds.reason)))
}).annotate({ identifier: "NewOpening" })

const Key = Schema.String.check(within(LimitRule.key), Schema.isMaxLength(Bounds.maxKeyLength))
const params = {
  name: Schema.String.check(
    within(LimitRule.limitName),
    Schema.isNonEmpty(),
    Schema.isMaxLength(LimitRule.maxLimitNameLength)
  )
}
const ofKey = { key: Schema.optionalKey(Key) }
const errors = [ApiErrors.BreakerNotFound, ApiErrors.Unavailable] as const
const needsAdmin = "On a server with keys, this needs the role admin."

/** The endpoints of breakers. */
export class BreakersApi extends HttpApiGroup.make("breakers").add(
  HttpApiEndpoint.get("list", "/breakers", {
    query: {
      limit: Schema.optionalKey(PageSize),
      cursor: Schema.optionalKey(cursorText((text) => Cursor.decodeName("breaker", text) !== undefined))
    },
    success: BreakerPageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List breakers",
    description:
      "By name, with the keys that have failures or are open: 100 at most of each. A breaker is known once an instance that " +
      "runs its type has started."
  })),
  HttpApiEndpoint.get("get", "/breakers/:name", {
    params,
    query: { key: Schema.optionalKey(listOf(Key)) },
    success: BreakerJson,
    error: errors
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Get a breaker",
    description:
      "With the keys that are asked for, 100 at most; without any, with those that have failures or are open."
  })),
  HttpApiEndpoint.put("open", "/breakers/:name", {
    params,
    query: ofKey,
    payload: [NewOpeningJson, Schema.Null],
    success: BreakerJson,
    error: errors
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Open a breaker",
    description:
      "No instance starts tasks that need the dependency until the time has passed; running tasks go on. Then one task " +
      "tries, and closes the breaker if it succeeds. One with keys needs a key. " + needsAdmin
  })),
  HttpApiEndpoint.delete("reset", "/breakers/:name", {
    params,
    query: ofKey,
    success: HttpApiSchema.NoContent,
    error: errors
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Close a breaker",
    description: "Its failures are forgotten, and tasks start as they like; without a key for all of its keys. " +
      needsAdmin
  }))
).prefix("/api/v1") {}

const keyJson = ({ lastFailure, since, until, ...known }: BreakerKey): typeof BreakerKeyJson.Type => ({
  ...known,
  since: timestampOrNull(since),
  until: timestampOrNull(until),
  last_failure: lastFailureJson(lastFailure)
})

const keyFromJson = ({ last_failure, since, until, ...known }: typeof BreakerKeyJson.Type): BreakerKey => ({
  ...known,
  since: instantOrNull(since),
  until: instantOrNull(until),
  lastFailure: lastFailureFromJson(last_failure)
})

/** A breaker on the wire. */
export const breakerJson = ({ isKeyed, keys, name, settings, state }: BreakerView): BreakerJson => ({
  name,
  is_keyed: isKeyed,
  settings: {
    failures: settings.failures,
    within_ms: Duration.toMillis(settings.within),
    open_for_ms: Duration.toMillis(settings.openFor),
    max_open_for_ms: Duration.toMillis(settings.maxOpenFor)
  },
  state,
  keys: keys.map(keyJson)
})

/** The breaker that was on the wire. */
export const breakerFromJson = ({ is_keyed, keys, name, settings, state }: BreakerJson): BreakerView => ({
  name,
  isKeyed: is_keyed,
  settings: {
    failures: settings.failures,
    within: Duration.millis(settings.within_ms),
    openFor: Duration.millis(settings.open_for_ms),
    maxOpenFor: Duration.millis(settings.max_open_for_ms)
  },
  state,
  keys: keys.map(keyFromJson)
})

/** A page of breakers on the wire. */
export const pageJson = ({ breakers, next, now }: BreakerPage): typeof BreakerPageJson.Type => ({
  breakers: breakers.map(breakerJson),
  next,
  timestamp: timestamp(now)
})

/** The page of breakers that was on the wire. */
export const pageFromJson = ({ breakers, next, timestamp }: typeof BreakerPageJson.Type): BreakerPage => ({
  breakers: breakers.map(breakerFromJson),
  next,
  now: instant(timestamp)
})

/** An opening on the wire. */
export const newOpeningJson = (options: Omit<OpenOptions, "key">): typeof NewOpeningJson.Type => ({
  ...options.for !== undefined && { for: Duration.fromInputUnsafe(options.for) },
  ...options.by !== undefined && { by: options.by },
  ...options.reason !== undefined && { reason: options.reason }
})
