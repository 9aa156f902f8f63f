/** What operators tell single instances over HTTP, how many slots to have and to drain, and how many slots all of them need. */
import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import { DurationText } from "../../domain/DurationText.ts"
import type { Scaling, ScalingOptions } from "../../queue/Scaling.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { Name, within } from "./RequestValues.ts"
import { instant, instantOrNull, Timestamp, timestamp, timestampOrNull } from "./TaskJson.ts"

/** How many slots an instance is to have. */
const NewSlotsJson = Schema.Struct({
  slots: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 })).annotate({
    description: "At most as many as max_slots of the instance says"
  })
}).annotate({ identifier: "NewSlots" })

/** How many slots the waiting tasks need. */
export const ScalingJson = Schema.Struct({
  slots_wanted: Schema.Int.annotate({
    description: "Slots that keep up with what runs, and get what waits done within the time that was asked for"
  }),
  slots: Schema.Int.annotate({ description: "Slots of the living instances, without those that drain" }),
  slots_active: Schema.Int.annotate({ description: "How many of them ran a task when they were last heard of" }),
  waiting: Schema.Int.annotate({ description: "Tasks that are due and wait, in queues that are not paused" }),
  waiting_since: Schema.NullOr(Timestamp).annotate({
    description: "When the task that comes first of those became due; null when none waits"
  }),
  oldest_age_ms: Schema.Int.annotate({ description: "How long that is ago; 0 when none waits" }),
  drain_ms: Schema.NullOr(Schema.Int).annotate({
    description:
      "How long these slots need for what waits, if no other task comes; null while nothing is known of the last minute, " +
      "or where there are no slots"
  }),
  task_ms: Schema.NullOr(Schema.Finite).annotate({
    description: "What an attempt took on average in the last minute; null when nothing ran"
  }),
  ended_per_second: Schema.Finite.annotate({ description: "Attempts that ended, in the last minute" }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "Scaling" })

const params = { id: Name }
const soon = "The instance does it within a third of a lease. On a server with keys, this needs the role admin."

/** The endpoints of instances. */
export class InstancesApi extends HttpApiGroup.make("instances").add(
  HttpApiEndpoint.get("scaling", "/scaling", {
    query: {
      queue: Schema.optionalKey(Name),
      within: Schema.optionalKey(DurationText.check(within(Bounds.timeout)))
    },
    success: ScalingJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "How many slots are needed",
    description:
      "For an autoscaler. It is worked out at each call from what waits in the store and from what the living instances say of " +
      "the last minute, so every server on the store gives the same answer."
  })),
  HttpApiEndpoint.put("setSlots", "/instances/:id/slots", {
    params,
    payload: NewSlotsJson,
    success: HttpApiSchema.NoContent,
    error: [ApiErrors.InstanceNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Give an instance so many slots",
    description:
      "Running tasks go on where slots are taken away. It holds until it is changed or lifted, also for an instance that starts " +
      `again under the same name. ${soon}`
  })),
  HttpApiEndpoint.delete("unsetSlots", "/instances/:id/slots", {
    params,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Leave the number of slots to the instance",
    description: `It has as many as it began with, or sizes itself. ${soon}`
  })),
  HttpApiEndpoint.post("drain", "/instances/:id/drain", {
    params,
    success: HttpApiSchema.NoContent,
    error: [ApiErrors.InstanceNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Drain an instance",
    description:
      "It takes no more tasks and finishes those that it runs. It holds until it is resumed, also for an instance that starts " +
      `again under the same name. ${soon}`
  })),
  HttpApiEndpoint.post("resume", "/instances/:id/resume", {
    params,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Resume an instance",
    description: `It takes tasks again. ${soon}`
  }))
).prefix("/api/v1") {}

/** What is asked for, on the wire. */
export const scalingQuery = ({ queue, within }: ScalingOptions) => ({
  ...queue !== undefined && { queue },
  ...within !== undefined && { within: Duration.fromInputUnsafe(within) }
})

/** The need for slots on the wire. */
export const scalingJson = (
  { busy, drainsIn, endedPerSecond, now, slots, slotsWanted, taskTime, waiting, waitingSince }: Scaling
): typeof ScalingJson.Type => ({
  slots_wanted: slotsWanted,
  slots,
  slots_active: busy,
  waiting,
  waiting_since: timestampOrNull(waitingSince),
  oldest_age_ms: waitingSince === null ? 0 : Math.max(0, now.epochMilliseconds - waitingSince.epochMilliseconds),
  drain_ms: drainsIn && Duration.toMillis(drainsIn),
  task_ms: taskTime && Duration.toMillis(taskTime),
  ended_per_second: endedPerSecond,
  timestamp: timestamp(now)
})

/** The need for slots that was on the wire. */
export const scalingFromJson = (json: typeof ScalingJson.Type): Scaling => ({
  slotsWanted: json.slots_wanted,
  slots: json.slots,
  busy: json.slots_active,
  waiting: json.waiting,
  waitingSince: instantOrNull(json.waiting_since),
  drainsIn: json.drain_ms === null ? null : Duration.millis(json.drain_ms),
  taskTime: json.task_ms === null ? null : Duration.millis(json.task_ms),
  endedPerSecond: json.ended_per_second,
  now: instant(json.timestamp)
})
