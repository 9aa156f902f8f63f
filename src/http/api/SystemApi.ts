/** What the server says about itself: health, counts, and the slots of all instances. */
import { DateTime, Duration, Schema, Struct } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Role } from "../../domain/ApiKey.ts"
import { TaskState } from "../../domain/TaskState.ts"
import type { Cause } from "../../explain/Verdict.ts"
import type { LivingInstance, LivingInstances } from "../../queue/Instances.ts"
import type { Sizing } from "../../store/InstanceStore.ts"
import type { SlotView } from "../../worker/SlotView.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { LevelsJson } from "./LogLevelsApi.ts"
import { NeededRole } from "./NeededRole.ts"
import * as ProbesApi from "./ProbesApi.ts"
import { instant, Timestamp, timestamp } from "./TaskJson.ts"
import { causes } from "./VerdictJson.ts"

const Seconds = Schema.Finite.annotate({ description: "Seconds" })

/**
 * A part of the engine or of the store that does not work at the moment, or a type of task that waits and that no
 * instance can run.
 */
const TroubleJson = Schema.Struct({
  part: Schema.String,
  since: Timestamp,
  failures: Schema.Int.annotate({
    description: "Failed steps in a row; 1 where it says that no instance runs tasks that wait"
  }),
  what_to_do: Schema.optionalKey(Schema.String.annotate({ description: "What ends it, where that is known" }))
}).annotate({ identifier: "Trouble" })

/** What keeps due tasks from starting. */
const HeldUpJson = Schema.Array(Schema.Struct({
  code: Schema.Literals(causes),
  tasks: Schema.Int.annotate({ description: "Of closed limits, as many as the newest tasks suggest" })
})).annotate({
  description:
    "Due tasks that wait, by what holds them up, as it was in the last seconds: no trouble, unless no instance claims tasks that nothing holds up"
})

/** What holds up tasks, on the wire: by code, the most tasks first. */
export const heldUpJson = (found: ReadonlyArray<Cause>): typeof HeldUpJson.Type => {
  const codes = [...new Set(found.map(({ code }) => code))]
  return codes.map((code) => ({
    code,
    tasks: found.reduce((sum, cause) => cause.code === code ? sum + cause.tasks : sum, 0)
  })).sort((a, b) => b.tasks - a.tasks)
}

const health = <const Status extends string>(status: Status) =>
  Schema.Struct({
    status: Schema.Literal(status),
    timestamp: Timestamp,
    version: Schema.String,
    uptime: Seconds,
    queue: Schema.Struct({
      size: Schema.NullOr(Schema.Int).annotate({
        description: "Unfinished tasks; null when the store does not answer"
      }),
      capacity: Schema.NullOr(Schema.Int),
      closed: Schema.Boolean.annotate({ description: "Whether new tasks cannot be accepted" })
    }),
    slots: Schema.NullOr(Schema.Struct({ count: Schema.Int, active: Schema.Int })).annotate({
      description: "null when this process runs no tasks"
    }),
    hears_by: Schema.optionalKey(Schema.Literals(["hints", "polling"])).annotate({
      description: "How it learns of what other instances do now; only on stores that know"
    }),
    held_up: HeldUpJson,
    troubles: Schema.Array(TroubleJson)
  })

/** Everything works. */
export const HealthyJson = health("healthy").annotate({ identifier: "Healthy" })

/** Something does not work; `troubles` names it. */
export const UnhealthyJson = health("unhealthy").annotate({ identifier: "Unhealthy" })

/** Either. */
export type HealthJson = typeof HealthyJson.Type | typeof UnhealthyJson.Type

const verdict = <const Status extends string>(status: Status) =>
  Schema.Struct({ status: Schema.Literal(status), timestamp: Timestamp })

/** All that callers without a key learn where keys are needed: everything works. */
const UpJson = verdict("healthy").annotate({ identifier: "Up" })

/** The same: something does not work. */
const DownJson = verdict("unhealthy").annotate({ identifier: "Down" })

const counts = <const Name extends string>(names: ReadonlyArray<Name>) =>
  Schema.Struct(
    Object.fromEntries(names.map((name) => [name, Schema.Int])) as { readonly [Each in Name]: typeof Schema.Int }
  )

/** Counts of the store, which all instances share, and of this process's slots. */
export const StatsJson = Schema.Struct({
  queue_size: Schema.Int.annotate({ description: "Unfinished tasks" }),
  capacity: Schema.Int.annotate({ description: "Unfinished tasks that are accepted" }),
  worker_pool: Schema.Int.annotate({ description: "Slots of this process" }),
  workers_active: Schema.Int.annotate({ description: "Slots of this process that run a task" }),
  tasks_total: Schema.Int.annotate({ description: "Tasks ever accepted" }),
  tasks_pending: Schema.Int.annotate({ description: "Tasks that wait, due or scheduled" }),
  tasks_running: Schema.Int,
  tasks_complete: Schema.Int.annotate({ description: "Tasks ever completed" }),
  tasks_failed: Schema.Int.annotate({ description: "Tasks that ever failed for good" }),
  by_status: counts(TaskState.literals).annotate({ description: "Tasks that are stored now" }),
  totals: counts(["created", "completed", "failed", "cancelled", "retried", "crashed", "expired"]).annotate({
    description: "Counted since the store was made; they survive pruning and restarts"
  }),
  uptime: Seconds
}).annotate({ identifier: "Stats" })

/** A slot of an instance: it runs one task at a time. */
const SlotJson = Schema.Struct({
  id: Schema.String.annotate({ description: "Unique among all instances: the instance and the slot" }),
  running: Schema.Boolean.annotate({ description: "Whether it runs a task" }),
  instance: Schema.String,
  slot: Schema.Int.annotate({ description: "Its number in its instance, from 1" }),
  task: Schema.NullOr(Schema.Struct({ id: Schema.String, type: Schema.String, running_for_ms: Schema.Int }))
}).annotate({ identifier: "Slot" })

/** A process that runs tasks. */
const InstanceJson = Schema.Struct({
  id: Schema.String,
  host: Schema.String,
  pid: Schema.Int,
  version: Schema.String,
  started_at: Timestamp,
  seen_at: Timestamp.annotate({ description: "Its last sign of life, by the store's clock" }),
  slot_count: Schema.Int,
  slots_active: Schema.Int,
  sized_by: Schema.Literals(["start", "load", "hand"]).annotate({
    description: "What decides slot_count: what it began with, how busy it is, or an operator"
  }),
  min_slots: Schema.NullOr(Schema.Int).annotate({
    description: "The fewest slots that it has by itself; null where it keeps what it began with"
  }),
  max_slots: Schema.Int.annotate({ description: "The most slots that it may have, also by hand" }),
  draining: Schema.Boolean.annotate({ description: "Whether it takes no more tasks, because an operator said so" }),
  leads: Schema.Array(Schema.String).annotate({ description: "The chores that it does for all instances" }),
  queues: Schema.Array(Schema.String).annotate({ description: "The queues that it works on; none for all" }),
  types: Schema.Array(Schema.String).annotate({ description: "Types of tasks that it can run" }),
  versions: Schema.optionalKey(Schema.Record(Schema.String, Schema.Int)).annotate({
    description: "The highest version of each type that it can run, of those that have several; left out where none has"
  }),
  shares: Schema.Array(
    Schema.Struct({
      queue: Schema.String.annotate({ description: "* for all that have no share of their own" }),
      reserved: Schema.Int.annotate({ description: "Slots that are kept for it" }),
      max: Schema.NullOr(Schema.Int).annotate({ description: "Slots that it may have at most; null for all" }),
      weight: Schema.Int.annotate({ description: "Tasks that start in each turn" }),
      running: Schema.Int
    }).annotate({ identifier: "QueueShare" })
  ).annotate({ description: "How its slots are shared among queues; none where they are not" }),
  log_levels: Schema.optionalKey(LevelsJson).annotate({
    description: "The levels of its log by module, * for all others; left out where its program has its own way to log"
  })
}).annotate({ identifier: "Instance" })

/** The slots of all instances on the store. */
export const WorkersJson = Schema.Struct({
  running: Schema.Boolean.annotate({ description: "Whether any instance runs tasks" }),
  worker_count: Schema.Int.annotate({ description: "Slots of all instances" }),
  queue_size: Schema.Int.annotate({ description: "Unfinished tasks" }),
  workers: Schema.Array(SlotJson),
  timestamp: Timestamp.annotate({ description: "The store's clock" }),
  instances: Schema.Array(InstanceJson).annotate({ description: "The oldest first" })
}).annotate({ identifier: "Workers" })

/** Who asks, and whom. */
export const MeJson = Schema.Struct({
  key: Schema.NullOr(Schema.String).annotate({
    description: "The name of the API key; null where the server asks for none"
  }),
  role: Role.annotate({ description: "What the caller may do" }),
  version: Schema.String.annotate({ description: "The server's" }),
  instance: Schema.String.annotate({ description: "The one that answers" }),
  time_zone: Schema.String.annotate({ description: "The server's, as the IANA names it" }),
  timestamp: Timestamp.annotate({ description: "The server's clock" }),
  trace_url: Schema.optionalKey(Schema.String).annotate({
    description: "Where traces are shown, with {trace_id} in place of the id; left out where it is not configured"
  })
}).annotate({ identifier: "Me" })

const answersOfHealth = [
  HealthyJson,
  UpJson,
  UnhealthyJson.pipe(HttpApiSchema.status(503)),
  DownJson.pipe(HttpApiSchema.status(503))
] as const

/** The endpoints of the system. */
export class SystemApi extends HttpApiGroup.make("system").add(
  HttpApiEndpoint.get("health", "/health", { success: answersOfHealth }).annotate(NeededRole, "public")
    .annotate(OpenApi.Summary, "Whether the server works, and its troubles")
    .annotate(
      OpenApi.Description,
      "503 while there is a trouble. Each trouble has its part, the time since when, the number of failures in a row, and " +
        "what_to_do if that is known."
    ),
  HttpApiEndpoint.get("healthV1", "/api/v1/health", { success: answersOfHealth }).annotate(NeededRole, "public")
    .annotate(OpenApi.Summary, "The same as /health"),
  ProbesApi.live,
  ProbesApi.ready,
  HttpApiEndpoint.get("me", "/api/v1/me", { success: MeJson })
    .annotate(NeededRole, "read")
    .annotate(OpenApi.Summary, "Who asks, and whom: the role of the caller, and the server's version and time zone"),
  HttpApiEndpoint.get("stats", "/api/v1/stats", { success: StatsJson, error: ApiErrors.Unavailable })
    .annotate(NeededRole, "read")
    .annotate(OpenApi.Summary, "Counts of tasks and slots"),
  HttpApiEndpoint.get("workers", "/api/v1/workers", { success: WorkersJson, error: ApiErrors.Unavailable })
    .annotate(NeededRole, "read")
    .annotate(OpenApi.Summary, "List the living instances, their slots, and what they run")
) {}

type Workers = Omit<typeof WorkersJson.Type, "queue_size">

/**
 * Every slot of every instance, on the wire, where a slot is called a worker. The pool of this process knows its `own` better
 * than the list, which is as old as its last sign of life.
 */
export const instancesJson = (
  { instances, now }: LivingInstances,
  own: {
    readonly instance: string
    readonly slots: ReadonlyArray<SlotView>
    readonly capacity: number
    readonly sizing: Sizing
  }
): Workers => {
  const shown = instances.map((instance) =>
    instance.id === own.instance
      ? { instance: { ...instance, capacity: own.capacity, sizing: own.sizing }, slots: own.slots }
      : { instance, slots: slotsOf(instance, DateTime.distance(instance.seenAt, now)) }
  )
  const workers = shown.flatMap(({ instance, slots }) => slots.map((slot) => slotJson(instance.id, slot)))
  return {
    running: shown.some(({ slots }) => slots.length > 0),
    worker_count: workers.length,
    workers,
    timestamp: timestamp(now),
    instances: shown.map(({ instance, slots }) => instanceJson(instance, slots))
  }
}

/** A slot for each task that may run at once, as it was so long ago; behind them those that are gone once they are free. */
const slotsOf = ({ capacity, running }: LivingInstance, ago: Duration.Duration): ReadonlyArray<SlotView> => {
  const busy = new Map(running.map((task) => [task.slot, task]))
  const leaving = [...busy.keys()].filter((slot) => slot > capacity).sort((a, b) => a - b)
  return [...Array.from({ length: capacity }, (_, index) => index + 1), ...leaving].map((slot) => {
    const task = busy.get(slot)
    return { slot, task: task && { id: task.id, type: task.type, runningFor: Duration.sum(task.runningFor, ago) } }
  })
}

const slotJson = (instance: string, { slot, task }: SlotView): Workers["workers"][number] => ({
  id: `${instance}/${slot}`,
  running: task !== undefined,
  instance,
  slot,
  task: task === undefined
    ? null
    : { id: task.id, type: task.type, running_for_ms: Math.round(Duration.toMillis(task.runningFor)) }
})

const instanceJson = (
  { capacity, logLevels, running: _running, seenAt, sizing, startedAt, versions, ...instance }: LivingInstance,
  slots: ReadonlyArray<SlotView>
): Workers["instances"][number] => ({
  ...instance,
  ...(Object.keys(versions).length === 0 ? {} : { versions }),
  ...(logLevels === undefined ? {} : { log_levels: logLevels }),
  started_at: timestamp(startedAt),
  seen_at: timestamp(seenAt),
  slot_count: capacity,
  slots_active: slots.filter(({ task }) => task !== undefined).length,
  sized_by: sizing.by,
  min_slots: sizing.min,
  max_slots: sizing.max,
  draining: sizing.draining
})

/** The list that was on the wire. */
export const instancesFromJson = ({ instances, timestamp, workers }: Workers): LivingInstances => ({
  now: instant(timestamp),
  instances: instances.map((
    { draining, log_levels, max_slots, min_slots, seen_at, sized_by, slot_count, started_at, ...instance }
  ) => ({
    ...Struct.omit(instance, ["slots_active"]),
    ...(log_levels === undefined ? {} : { logLevels: log_levels }),
    versions: instance.versions ?? {},
    sizing: { by: sized_by, min: min_slots, max: max_slots, draining },
    startedAt: instant(started_at),
    seenAt: instant(seen_at),
    capacity: slot_count,
    running: workers.flatMap(({ instance: id, slot, task }) =>
      id !== instance.id || task === null ? [] : [{
        slot,
        id: task.id,
        type: task.type,
        runningFor: Duration.max(
          Duration.zero,
          Duration.subtract(
            Duration.millis(task.running_for_ms),
            DateTime.distance(instant(seen_at), instant(timestamp))
          )
        )
      }]
    )
  }))
})
