/** The levels of the log over HTTP, for all instances and for one. */
import { DateTime, Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import { levels, maxModules } from "../../domain/LogLevels.ts"
import { names } from "../../domain/LogModule.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import type { LogLevelOptions, LogLevelSettings } from "../../queue/LogLevels.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { listOf, MillisOrText, Name, within } from "./RequestValues.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

const Level = Schema.Literals(levels)

/** Levels by module. */
export const LevelsJson = Schema.Record(Schema.String, Level)

/** Levels that are to be set. */
export const NewLogLevelsJson = Schema.Struct({
  levels: LevelsJson.annotate({
    description:
      `1 to ${maxModules} modules with their levels. The modules are ${
        names.join(", ")
      }; handlers:TYPE is the handler of ` +
      "one type, and * is all that have no level of their own"
  }),
  by: Schema.optionalKey(Name).annotate({ description: "Who sets them; the name of an API key takes its place" }),
  for: Schema.optionalKey(MillisOrText.check(within(Bounds.timeout))).annotate({
    description: "How long they hold: text such as 10m or 1h30m, or milliseconds; until they are unset when left out"
  }),
  until: Schema.optionalKey(Rfc3339.check(within(Bounds.runAt)))
}).check(
  Schema.makeFilter((given: { readonly for?: unknown; readonly until?: unknown }) =>
    given.for === undefined || given.until === undefined
      ? undefined
      : { path: ["for"], issue: "Expected either for or until, not both" }
  )
).annotate({ identifier: "NewLogLevels" })

/** Levels that are set. */
export const LogLevelsJson = Schema.Struct({
  levels: Schema.Array(
    Schema.Struct({
      module: Schema.String,
      level: Level,
      by: Schema.NullOr(Schema.String).annotate({
        description: "Who set it: the name of the API key, if there was one"
      }),
      since: Timestamp,
      until: Schema.NullOr(Timestamp).annotate({ description: "When it ends; null when it waits to be unset" })
    }).annotate({ identifier: "SetLogLevel" })
  ).annotate({ description: "By module, in alphabetical order" }),
  modules: Schema.Array(Schema.String).annotate({ description: "The modules that there are" }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "LogLevels" })

const params = { id: Name }
const query = { module: Schema.optionalKey(listOf(Schema.String)) }
const soon = "Instances obey within a third of a lease. On a server with keys, this needs the role admin."
const order =
  "The most exact name counts: handlers:email, then handlers, then *. Of the same name, what is set for an instance comes before what is " +
  "set for all, and that before LOG_LEVELS and LOG_LEVEL."

/** The endpoints of levels. */
export class LogLevelsApi extends HttpApiGroup.make("logLevels").add(
  HttpApiEndpoint.get("get", "/log-levels", { success: LogLevelsJson, error: ApiErrors.Unavailable })
    .annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
      summary: "The levels of the log that are set for all instances",
      description: `${order} What holds in an instance, GET /api/v1/workers says.`
    })),
  HttpApiEndpoint.put("set", "/log-levels", {
    payload: NewLogLevelsJson,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Set levels of the log for all instances",
    description: `Those of modules that are not named stay. ${order} ${soon}`
  })),
  HttpApiEndpoint.delete("unset", "/log-levels", {
    query,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Unset levels of the log for all instances",
    description: `All that are set, or those of the modules that are named. ${soon}`
  })),
  HttpApiEndpoint.get("getOfInstance", "/instances/:id/log-levels", {
    params,
    success: LogLevelsJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "The levels of the log that are set for one instance",
    description: `${order} What holds in an instance, GET /api/v1/workers says.`
  })),
  HttpApiEndpoint.put("setOfInstance", "/instances/:id/log-levels", {
    params,
    payload: NewLogLevelsJson,
    success: HttpApiSchema.NoContent,
    error: [ApiErrors.InstanceNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Set levels of the log for one instance",
    description: `Those of modules that are not named stay. ${order} ${soon}`
  })),
  HttpApiEndpoint.delete("unsetOfInstance", "/instances/:id/log-levels", {
    params,
    query,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Unset levels of the log for one instance",
    description: `All that are set for it, or those of the modules that are named. ${soon}`
  }))
).prefix("/api/v1") {}

/** How long levels hold and who sets them, on the wire. */
export const termsJson = (options: Pick<LogLevelOptions, "by" | "for" | "until">) => ({
  ...options.by !== undefined && { by: options.by },
  ...options.for !== undefined && { for: Duration.fromInputUnsafe(options.for) },
  ...options.until !== undefined && { until: DateTime.toUtc(options.until) }
})

/** What is set, on the wire. */
export const logLevelsJson = ({ levels, now }: LogLevelSettings): typeof LogLevelsJson.Type => ({
  levels: levels.map(({ since, until, ...level }) => ({
    ...level,
    since: timestamp(since),
    until: timestampOrNull(until)
  })),
  modules: names,
  timestamp: timestamp(now)
})

/** What is set, as it was on the wire. */
export const logLevelsFromJson = ({ levels, timestamp }: typeof LogLevelsJson.Type): LogLevelSettings => ({
  levels: levels.map(({ since, until, ...level }) => ({
    ...level,
    since: instant(since),
    until: instantOrNull(until)
  })),
  now: instant(timestamp)
})
