/** Tasks for workers in other processes and languages: claimed, kept, told of and settled over HTTP. */
import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import { PriorityFromInput } from "../../domain/Priority.ts"
import * as RemoteErrors from "../../domain/RemoteErrors.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { DefinitionNotFound } from "./QueuesApi.ts"
import { JsonValue, MillisOrText, Name, within } from "./RequestValues.ts"
import { Timestamp } from "./TaskJson.ts"

/** Claims in one request at most. */
const maxItems = 1000

/** Tasks that one request claims at most. */
const maxClaims = 1000

/** How long a request may wait for tasks. */
const maxWait = Duration.seconds(30)

/** Lines in one request for an attempt at most: more would not be kept. */
const maxLines = 500

/** Characters of the name of a worker at most. */
const maxWorkerName = 200

const between = (min: Duration.Duration, max: Duration.Duration, expected: string) =>
  within<Duration.Duration>({
    expected,
    accepts: (value) => Duration.between(value, { minimum: min, maximum: max })
  })

/** As many workers as a server takes ask and wait already. */
const TooManyWorkers = ApiErrors.onWire(RemoteErrors.TooManyWorkers, {
  status: 429,
  code: "too_many_workers",
  description: "As many workers as a server takes ask or wait",
  facts: { max: Schema.Int }
})

const Text = (maxLength: number) =>
  Schema.String.check(
    within<string>({ expected: "a text without U+0000 and lone surrogates", accepts: Bounds.isStorable }),
    Schema.isMaxLength(maxLength)
  )

/** Who asks. */
const WorkerJson = Schema.Struct({
  name: Text(maxWorkerName).check(Schema.isMinLength(1)).annotate({
    description: "Which worker it is, unique among all that run; two with one name are shown as one"
  }),
  host: Schema.optionalKey(Text(255)),
  pid: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 - 1 }))),
  version: Schema.optionalKey(Text(100)).annotate({ description: "Of its program, for people" }),
  slots: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))).annotate({
    description: "How many tasks it runs at a time; 1 when left out"
  })
})

const LeaseFor = MillisOrText.annotate({
  description: "How long the claims hold from now on, written like delay: from 1 s to four leases of the server"
}).check(between(Duration.seconds(1), Duration.days(1), "a duration of at least 1 s"))

/** A request for tasks. */
export const NewClaimsJson = Schema.Struct({
  worker: WorkerJson,
  types: Schema.Array(Name).check(Schema.isMinLength(1), Schema.isMaxLength(100)).annotate({
    description: "The types that the worker runs"
  }),
  queues: Schema.optionalKey(Schema.Array(Name).check(Schema.isMaxLength(100))).annotate({
    description: "The queues that it works on; all of them when left out"
  }),
  max: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxClaims }))).annotate({
    description: "Tasks that it takes at most; 1 when left out"
  }),
  wait: Schema.optionalKey(
    MillisOrText.annotate({
      description: "How long to wait for a task if there is none, written like delay; 30 s at most"
    })
      .check(between(Duration.zero, maxWait, "a duration of at most 30 s"))
  ),
  lease: Schema.optionalKey(LeaseFor),
  request: Schema.optionalKey(Text(255).check(Schema.isMinLength(1))).annotate({
    description:
      "Names the request, unique among all of the worker: sent again after an answer was lost, it gives the same tasks"
  })
}).annotate({ identifier: "NewClaims" })

/** A claimed task. */
const ClaimJson = Schema.Struct({
  token: Schema.String.annotate({ description: "Names the claim in all that the worker says of it" }),
  lease_ms: Schema.Int.annotate({
    description: "How long the claim holds, from when the request was sent; extend it three times in that time"
  }),
  timeout_ms: Schema.NullOr(Schema.Int).annotate({ description: "How long the attempt may take; null for no limit" }),
  task: Schema.Struct({
    id: Schema.String,
    type: Schema.String,
    queue: Schema.String,
    payload: JsonValue,
    priority: Schema.Finite,
    attempt: Schema.Int.annotate({ description: "The number of this attempt, from 1" }),
    failures: Schema.Int,
    crashes: Schema.Int,
    max_retries: Schema.Int,
    due_at: Timestamp,
    traceparent: Schema.NullOr(Schema.String).annotate({
      description: "The span that the task was enqueued in, as W3C writes it; null where there was none"
    })
  })
}).annotate({ identifier: "Claim" })

/** Claimed tasks. */
export const ClaimsJson = Schema.Struct({ claims: Schema.Array(ClaimJson) }).annotate({ identifier: "Claims" })

const token = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(20_480))

const items = <Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.Array(Schema.Struct({ token, ...fields })).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(maxItems, { message: `Expected at most ${maxItems} claims in a request` })
  )

/** Claims that are to hold for longer. */
const ExtendJson = Schema.Struct({ claims: items({}), lease: Schema.optionalKey(LeaseFor) })
  .annotate({ identifier: "ExtendClaims" })

/** What became of them. */
const ExtendedJson = Schema.Struct({
  claims: Schema.Array(Schema.Struct({
    state: Schema.Literals(["held", "cancel", "timeout", "lost", "unknown"])
  }))
}).annotate({ identifier: "ExtendedClaims" })

/** How far attempts are. */
const ProgressJson = Schema.Struct({
  claims: items({ progress: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })) })
}).annotate({ identifier: "ClaimsProgress" })

const LineJson = Schema.Struct({
  text: Text(64 * 1024),
  level: Schema.optionalKey(Schema.Literals(["trace", "debug", "info", "warn", "error", "fatal"])).annotate({
    description: "info when left out"
  }),
  at: Schema.optionalKey(Rfc3339).annotate({ description: "By the worker's clock; now when left out" })
})

/** What attempts log. */
const LogJson = Schema.Struct({
  claims: items({ lines: Schema.Array(LineJson).check(Schema.isMaxLength(maxLines)) })
}).annotate({ identifier: "ClaimsLog" })

/** Whether each token is one. */
const NotedJson = Schema.Struct({
  claims: Schema.Array(Schema.Struct({ state: Schema.Literals(["noted", "unknown"]) }))
}).annotate({ identifier: "NotedClaims" })

const Delay = MillisOrText.annotate({ description: "Written like the delay of a task" }).check(within(Bounds.delay))

const EndJson = Schema.Union([
  Schema.Struct({ token, end: Schema.Literal("complete"), result: Schema.optionalKey(JsonValue) }),
  Schema.Struct({
    token,
    end: Schema.Literal("fail"),
    error: Schema.Struct({
      message: Schema.String.check(Schema.isMaxLength(64 * 1024)),
      tag: Schema.optionalKey(Text(255).check(Schema.isMinLength(1))).annotate({
        description: "The kind of error, by which the retry policy of the type may decide; RemoteError when left out"
      }),
      details: Schema.optionalKey(JsonValue)
    }),
    retry: Schema.optionalKey(Schema.Boolean).annotate({
      description: "false fails the task for good; when left out, its policy and its budget decide"
    }),
    delay: Schema.optionalKey(Delay).annotate({
      description: "The time until the next attempt, if there is one; the policy decides when left out"
    })
  }),
  Schema.Struct({ token, end: Schema.Literal("timeout") }),
  Schema.Struct({ token, end: Schema.Literal("snooze"), delay: Delay }),
  Schema.Struct({ token, end: Schema.Literal("release") }),
  Schema.Struct({ token, end: Schema.Literal("cancel") })
])

/** How an attempt ended. */
export type EndJson = typeof EndJson.Type

/** How attempts ended. */
const SettleJson = Schema.Struct({
  claims: Schema.Array(EndJson).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(maxItems, { message: `Expected at most ${maxItems} claims in a request` })
  )
}).annotate({ identifier: "SettleClaims" })

/** What became of that. */
export const SettledJson = Schema.Struct({
  claims: Schema.Array(Schema.Struct({
    state: Schema.Literals(["applied", "already", "lost", "unknown"]),
    outcome: Schema.optionalKey(
      Schema.Literals(["completed", "retry", "failed", "cancelled", "snoozed", "released"])
    ),
    delay_ms: Schema.optionalKey(Schema.Finite).annotate({ description: "The time until the next attempt" }),
    issue: Schema.optionalKey(Schema.String).annotate({ description: "Why a result was not accepted" })
  }))
}).annotate({ identifier: "SettledClaims" })

const JsonSchemaJson = Schema.Record(Schema.String, JsonValue)

/** A type whose handlers are elsewhere. */
export const NewDefinitionJson = Schema.Struct({
  description: Schema.optionalKey(Text(1000)).annotate({ description: "One line for people" }),
  payload: Schema.optionalKey(JsonSchemaJson).annotate({
    description:
      "A JSON Schema (draft 2020-12) that payloads are checked by when tasks are enqueued; any JSON when left out"
  }),
  result: Schema.optionalKey(JsonSchemaJson).annotate({
    description: "A JSON Schema that results are checked by; any JSON when left out"
  }),
  queue: Schema.optionalKey(Name).annotate({ description: "Where its tasks wait unless they say otherwise" }),
  priority: Schema.optionalKey(PriorityFromInput),
  timeout: Schema.optionalKey(
    MillisOrText.annotate({ description: "Time limit of one attempt, written like delay" }).check(
      within(Bounds.timeout)
    )
  ),
  retry: Schema.optionalKey(Schema.Struct({
    times: Schema.optionalKey(
      Schema.Int.check(Schema.isBetween({ minimum: Bounds.unlimitedRetries, maximum: Bounds.maxRetryCount }))
    ).annotate({ description: "Retries after the first execution; -1 is unlimited" }),
    delay: Schema.optionalKey(Delay).annotate({
      description:
        "The first wait, 1 s when left out; each one is twice as long as the one before, give or take a fifth"
    }),
    max_delay: Schema.optionalKey(Delay).annotate({ description: "The longest wait, one hour when left out" })
  }))
}).annotate({ identifier: "NewDefinition" })

const oneEach = "One answer for each, in the same order."

/** The endpoints of claims. */
export class ClaimsApi extends HttpApiGroup.make("claims").add(
  HttpApiEndpoint.post("claim", "/claims", {
    payload: NewClaimsJson,
    success: ClaimsJson,
    error: [ApiErrors.UnknownTaskType, TooManyWorkers, ApiErrors.Unavailable]
  }).annotate(NeededRole, "work").annotateMerge(OpenApi.annotations({
    summary: "Claim tasks for a worker elsewhere",
    description:
      "Each task is the worker's alone until its lease has run out. With wait, the answer comes as soon as there is a task. " +
      "Limits, order, pauses and breakers hold as for every instance."
  })),
  HttpApiEndpoint.post("extend", "/claims/extend", {
    payload: ExtendJson,
    success: ExtendedJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "work").annotateMerge(OpenApi.annotations({
    summary: "Hold claims for longer",
    description: `This is also how a worker learns that a task is to be cancelled, or that its time is up. ${oneEach}`
  })),
  HttpApiEndpoint.post("progress", "/claims/progress", {
    payload: ProgressJson,
    success: NotedJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "work").annotateMerge(OpenApi.annotations({
    summary: "Say how far attempts are",
    description: `What an attempt says that has lost its task is ignored. ${oneEach}`
  })),
  HttpApiEndpoint.post("log", "/claims/log", {
    payload: LogJson,
    success: NotedJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "work").annotateMerge(OpenApi.annotations({
    summary: "Keep log lines with attempts",
    description: `They are read where those of handlers are. ${oneEach}`
  })),
  HttpApiEndpoint.post("settle", "/claims/settle", {
    payload: SettleJson,
    success: SettledJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "work").annotateMerge(OpenApi.annotations({
    summary: "Say how attempts ended",
    description:
      "The first end of an attempt counts: sent again, it is answered with already. An attempt that has lost its task changes " +
      `nothing. ${oneEach}`
  })),
  HttpApiEndpoint.put("define", "/definitions/:type", {
    params: { type: Name },
    payload: NewDefinitionJson,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "work").annotateMerge(OpenApi.annotations({
    summary: "Define a type whose handlers are elsewhere",
    description:
      "All servers on the store accept its tasks from then on, whether or not a worker runs. Sent again it replaces what was said " +
      "before. A type that the server's program defines itself stays as it is, and is refused."
  })),
  HttpApiEndpoint.delete("undefine", "/definitions/:type", {
    params: { type: Name },
    success: HttpApiSchema.NoContent,
    error: [DefinitionNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Forget a type that was defined over HTTP",
    description: "No new tasks of it are accepted. Those that are stored stay, and can be read, cancelled and removed."
  }))
).prefix("/api/v1") {}
