/** Limits over HTTP, in snake_case, and pauses of types and keys. */
import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import * as Cursor from "../../domain/Cursor.ts"
import * as LimitRule from "../../domain/LimitRule.ts"
import { TaskState } from "../../domain/TaskState.ts"
import type { LimitChange, LimitDetail, LimitKey, LimitPage, LimitView } from "../../queue/LimitViews.ts"
import type { PausedKey, PausedType } from "../../queue/Pauses.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { LimitSettingJson, settingFromJson, settingJson } from "./LimitSettingJson.ts"
import { LimitWaitingJson } from "./LimitWaitingJson.ts"
import { NeededRole } from "./NeededRole.ts"
import { NewPauseJson, pauseFields, pauseFromJson, PauseJson, pauseJson } from "./QueuesApi.ts"
import { cursorText, listOf, MillisOrText, Name, PageSize, within } from "./RequestValues.ts"
import { instant, Timestamp, timestamp } from "./TaskJson.ts"

const limit = {
  name: Schema.String,
  key: Schema.NullOr(Schema.String).annotate({
    description: "The key that it holds for; null where it holds for each"
  }),
  setting: LimitSettingJson,
  set_by: Schema.Literals(["definition", "operator"]).annotate({
    description: "operator until it is reset"
  }),
  by: Schema.NullOr(Schema.String),
  reason: Schema.NullOr(Schema.String),
  definition: Schema.NullOr(LimitSettingJson).annotate({
    description: "What the definition says; null where none says anything about it"
  }),
  changed_at: Timestamp
}

/** A limit. */
export const LimitJson = Schema.Struct(limit).annotate({ identifier: "Limit" })

export type LimitJson = typeof LimitJson.Type

const PausedTypeJson = Schema.Struct({ type: Schema.String, ...pauseFields }).annotate({ identifier: "PausedType" })

const PausedKeyJson = Schema.Struct({ limit: Schema.String, key: Schema.String, ...pauseFields }).annotate({
  identifier: "PausedKey"
})

/** A page of limits. */
export const LimitPageJson = Schema.Struct({
  limits: Schema.Array(LimitJson),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" }),
  paused_types: Schema.Array(PausedTypeJson).annotate({ description: "All types that are paused" }),
  paused_keys: Schema.Array(PausedKeyJson).annotate({ description: "All keys that are paused" })
}).annotate({ identifier: "LimitPage" })

/** How a key stands. */
export const LimitKeyJson = Schema.Struct({
  key: Schema.String,
  setting: LimitSettingJson,
  is_own: Schema.Boolean.annotate({ description: "Whether the limit is one of its own" }),
  running: Schema.Int,
  holders: Schema.Array(Schema.String).annotate({
    description: "The ids of tasks that run with it, the longest first; 10 at most"
  }),
  tokens: Schema.NullOr(Schema.Finite).annotate({ description: "Tokens that it has now; null where it is no rate" }),
  blocked_by: Schema.NullOr(Schema.Struct({ id: Schema.String, status: TaskState })).annotate({
    description: "The task of an order that the others of the key wait for"
  }),
  pause: Schema.NullOr(PauseJson)
}).annotate({ identifier: "LimitKey" })

export type LimitKeyJson = typeof LimitKeyJson.Type

/** A limit, and how some of its keys stand. */
export const LimitDetailJson = Schema.Struct({
  ...limit,
  key: Schema.Null,
  is_keyed: Schema.Boolean.annotate({ description: "Whether it has keys; one without has the key \"\"" }),
  keys: Schema.Array(LimitKeyJson).annotate({
    description: "Those that were asked for; else those that have limits of their own, are paused or blocked"
  }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "LimitDetail" })

const Key = Schema.String.check(within(LimitRule.key), Schema.isMaxLength(Bounds.maxKeyLength))

const author = {
  by: Schema.optionalKey(Name).annotate({ description: "Who changes it; the name of an API key takes its place" }),
  reason: Schema.optionalKey(Schema.String.check(within(Bounds.reason)))
}

/** How a limit is changed. What belongs to its kind, the server knows. */
export const NewLimitJson = Schema.Struct({
  max: Schema.optionalKey(Schema.Finite).annotate({ description: "Of a limit of concurrency, or of a rate" }),
  per: Schema.optionalKey(MillisOrText.check(within(LimitRule.time))).annotate({
    description: "Of a rate: text such as 1s or 1m, or milliseconds"
  }),
  burst: Schema.optionalKey(Schema.Finite).annotate({ description: "Of a rate" }),
  on_failure: Schema.optionalKey(Schema.Literals(["block", "continue"])).annotate({ description: "Of an order" }),
  weight: Schema.optionalKey(Schema.Int).annotate({ description: "Of fairness" }),
  lifted: Schema.optionalKey(Schema.Literal(true)).annotate({ description: "No limit, until it is reset" }),
  ...author
}).annotate({ identifier: "NewLimit" })

export type NewLimitJson = typeof NewLimitJson.Type

const params = {
  name: Schema.String.check(
    within({
      expected: LimitRule.limitName.expected,
      accepts: (name) => LimitRule.limitName.accepts(LimitRule.shownName(name))
    }),
    Schema.isNonEmpty(),
    Schema.isMaxLength(LimitRule.maxLimitNameLength + 1)
  )
}
const ofKey = { key: Schema.optionalKey(Key) }
const oneKey = { key: Key }
const changing = [ApiErrors.LimitNotFound, ApiErrors.Unavailable] as const
const needsAdmin = "On a server with keys, this needs the role admin."

/** The endpoints of limits. */
export class LimitsApi extends HttpApiGroup.make("limits").add(
  HttpApiEndpoint.get("list", "/limits", {
    query: {
      limit: Schema.optionalKey(PageSize),
      cursor: Schema.optionalKey(cursorText((text) => Cursor.decodeName("limit", text) !== undefined))
    },
    success: LimitPageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List limits",
    description:
      "By name; those of single keys are behind that of the name. A limit is known once an instance that runs its type " +
      "has started."
  })),
  HttpApiEndpoint.get("get", "/limits/:name", {
    params,
    query: { key: Schema.optionalKey(listOf(Key)) },
    success: LimitDetailJson,
    error: changing
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Get a limit",
    description:
      "With what runs, how many tokens there are, and who blocks whom, for the keys that are asked for: 100 at most. Without " +
      "any, of those that have limits of their own, are paused or blocked."
  })),
  HttpApiEndpoint.get("waiting", "/limits/:name/waiting", {
    params,
    query: oneKey,
    success: LimitWaitingJson,
    error: changing
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Count the tasks that wait with a key of a limit",
    description:
      "Those that are due, for whatever else they wait. It looks at 10000 due tasks at most: complete says whether these are all."
  })),
  HttpApiEndpoint.put("set", "/limits/:name", {
    params,
    query: ofKey,
    payload: NewLimitJson,
    success: LimitJson,
    error: changing
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Change a limit",
    description:
      "For all instances, at once, until it is reset; with key for that key alone. What is left out stays. " +
      needsAdmin
  })),
  HttpApiEndpoint.delete("reset", "/limits/:name", {
    params,
    query: ofKey,
    success: HttpApiSchema.NoContent,
    error: changing
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Reset a limit",
    description:
      "Takes back what was set by hand: what the definition says holds again, or for a key what holds for all. " +
      "A limit that no living instance defines is removed, with what was set for its keys. " + needsAdmin
  })),
  HttpApiEndpoint.post("release", "/limits/:name/release", {
    params,
    query: oneKey,
    success: HttpApiSchema.NoContent,
    error: changing
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Release a key of an order",
    description: "The next task of the key starts, whatever has become of the one before it. " + needsAdmin
  })),
  HttpApiEndpoint.post("pauseKey", "/limits/:name/pause", {
    params,
    query: oneKey,
    payload: [NewPauseJson, Schema.Null],
    success: HttpApiSchema.NoContent,
    error: changing
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Pause a key",
    description:
      "No instance starts tasks with this key of the limit until it is resumed or its time has come; running tasks go on. " +
      needsAdmin
  })),
  HttpApiEndpoint.post("resumeKey", "/limits/:name/resume", {
    params,
    query: oneKey,
    success: HttpApiSchema.NoContent,
    error: changing
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Resume a key",
    description: needsAdmin
  })),
  HttpApiEndpoint.post("pauseType", "/types/:type/pause", {
    params: { type: Name },
    payload: [NewPauseJson, Schema.Null],
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Pause a type",
    description:
      "No instance starts tasks of the type, in whichever queue, until it is resumed or its time has come; running tasks go " +
      "on. " + needsAdmin
  })),
  HttpApiEndpoint.post("resumeType", "/types/:type/resume", {
    params: { type: Name },
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Resume a type",
    description: needsAdmin
  }))
).prefix("/api/v1") {}

/** A limit on the wire. */
export const limitJson = (
  { by, changedAt, definition, key, name, reason, setBy, setting }: LimitView
): LimitJson => ({
  name,
  key,
  setting: settingJson(setting),
  set_by: setBy,
  by,
  reason,
  definition: definition && settingJson(definition),
  changed_at: timestamp(changedAt)
})

/** The limit that was on the wire. */
export const limitFromJson = (
  { by, changed_at, definition, key, name, reason, set_by, setting }: LimitJson
): LimitView => ({
  name,
  key,
  setting: settingFromJson(setting),
  setBy: set_by,
  by,
  reason,
  definition: definition && settingFromJson(definition),
  changedAt: instant(changed_at)
})

const keyJson = ({ blockedBy, isOwn, pause, setting, ...known }: LimitKey): LimitKeyJson => ({
  ...known,
  setting: settingJson(setting),
  is_own: isOwn,
  blocked_by: blockedBy && { id: blockedBy.id, status: blockedBy.state },
  pause: pause && pauseJson(pause)
})

const keyFromJson = ({ blocked_by, is_own, pause, setting, ...known }: LimitKeyJson): LimitKey => ({
  ...known,
  setting: settingFromJson(setting),
  isOwn: is_own,
  blockedBy: blocked_by && { id: blocked_by.id, state: blocked_by.status },
  pause: pause && pauseFromJson(pause)
})

/** A limit with its keys on the wire. */
export const detailJson = (detail: LimitDetail): typeof LimitDetailJson.Type => ({
  ...limitJson(detail),
  key: null,
  is_keyed: detail.isKeyed,
  keys: detail.keys.map(keyJson),
  timestamp: timestamp(detail.now)
})

/** The limit with its keys that was on the wire. */
export const detailFromJson = (detail: typeof LimitDetailJson.Type): LimitDetail => ({
  ...limitFromJson(detail),
  key: null,
  isKeyed: detail.is_keyed,
  keys: detail.keys.map(keyFromJson),
  now: instant(detail.timestamp)
})

/** A page of limits on the wire. */
export const pageJson = (
  { limits, next }: LimitPage,
  types: ReadonlyArray<PausedType>,
  keys: ReadonlyArray<PausedKey>
): typeof LimitPageJson.Type => ({
  limits: limits.map(limitJson),
  next,
  paused_types: types.map(({ type, ...pause }) => ({ type, ...pauseJson(pause) })),
  paused_keys: keys.map(({ key, limit, ...pause }) => ({ limit, key, ...pauseJson(pause) }))
})

/** The paused types that were on the wire. */
export const pausedTypesFromJson = ({ paused_types }: typeof LimitPageJson.Type): ReadonlyArray<PausedType> =>
  paused_types.map(({ type, ...pause }) => ({ type, ...pauseFromJson(pause) }))

/** The paused keys that were on the wire. */
export const pausedKeysFromJson = ({ paused_keys }: typeof LimitPageJson.Type): ReadonlyArray<PausedKey> =>
  paused_keys.map(({ key, limit, ...pause }) => ({ limit, key, ...pauseFromJson(pause) }))

/** A change on the wire. */
export const newLimitJson = (
  { burst, by, max, onFailure, per, reason, weight }: Omit<LimitChange, "key">
): NewLimitJson => ({
  ...max !== undefined && { max },
  ...per !== undefined && { per: Duration.fromInputUnsafe(per) },
  ...burst !== undefined && { burst },
  ...onFailure !== undefined && { on_failure: onFailure },
  ...weight !== undefined && { weight },
  ...by !== undefined && { by },
  ...reason !== undefined && { reason }
})
