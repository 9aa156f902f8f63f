/** Failed tasks over HTTP: by reason, searched, and run again or discarded by a filter. */
import { DateTime, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import { FailureKind } from "../../domain/TaskRecord.ts"
import type { DeadLetterGroups, DeadLetterPart } from "../../queue/DeadLetters.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { PageSize, pageSize, TaskCursor, within } from "./RequestValues.ts"
import * as TaskFilterJson from "./TaskFilterJson.ts"
import { instant, TaskPageJson, Timestamp, timestamp } from "./TaskJson.ts"

const { error_tag, queue, tag, text, type } = TaskFilterJson.filterQuery
const { SearchText } = TaskFilterJson
const Instant = Rfc3339.check(within(Bounds.runAt))

const filterQuery = {
  type,
  queue,
  tag,
  error_tag,
  text,
  since: Schema.optionalKey(Instant),
  before: Schema.optionalKey(Instant)
}

const several = Schema.Array(Schema.String).check(Schema.isMaxLength(Bounds.maxIds))

/** Which dead letters something is done to. */
export const DeadLetterPartJson = Schema.Struct({
  type: Schema.optionalKey(several).annotate({ description: "Only these task types" }),
  queue: Schema.optionalKey(several).annotate({ description: "Only these queues" }),
  tag: TaskFilterJson.TaskFilterJson.fields.tag,
  error_tag: Schema.optionalKey(several).annotate({ description: "Only errors with these tags" }),
  text: Schema.optionalKey(SearchText.annotate({
    description: "Only errors whose message has this part; a # stands for a number"
  })),
  since: Schema.optionalKey(Instant),
  before: Schema.optionalKey(Instant),
  limit: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: pageSize.max }))
  ).annotate({ description: "Tasks that are changed at most; 100 when left out" }),
  cursor: Schema.optionalKey(TaskCursor)
}).annotate({ identifier: "DeadLetterPart" })

/** Dead letters by reason. */
export const DeadLetterGroupsJson = Schema.Struct({
  groups: Schema.Array(Schema.Struct({
    type: Schema.String,
    kind: FailureKind,
    tag: Schema.String.annotate({ description: "The error's tag or name" }),
    message: Schema.String.annotate({ description: "What the messages have in common; a # stands for each number" }),
    count: Schema.Int,
    first_at: Timestamp.annotate({ description: "When the first of them failed" }),
    last_at: Timestamp,
    latest: Schema.String.annotate({ description: "The id of the task that was made last" })
  })).annotate({ description: "The largest first, 100 at most" }),
  more_groups: Schema.Int.annotate({ description: "How many more reasons were found" }),
  looked: Schema.Int.annotate({ description: "How many dead letters were looked at, those that were made last first" }),
  complete: Schema.Boolean.annotate({ description: "Whether these are all that there are of the types and queues" })
}).annotate({ identifier: "DeadLetterGroups" })

/** What was done to a part of the dead letters. */
export const DeadLettersDoneJson = Schema.Struct({
  looked: Schema.Int,
  matched: Schema.Int.annotate({ description: "How many of them were meant" }),
  done: Schema.Int.annotate({ description: "To how many it was done: another request was faster with the others" }),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next part, null after the last" })
}).annotate({ identifier: "DeadLettersDone" })

const part = <const Name extends string>(name: Name, path: `/${string}`, summary: string) =>
  HttpApiEndpoint.post(name, path, {
    payload: DeadLetterPartJson,
    success: DeadLettersDoneJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary,
    description:
      "Looks at 1000 failed tasks at most. Send next as cursor, with the same filter, until it is null; how fast, decides the " +
      "caller."
  }))

/** The endpoints of dead letters. */
export class DeadLettersApi extends HttpApiGroup.make("deadLetters").add(
  HttpApiEndpoint.get("groups", "/dead-letters", {
    query: filterQuery,
    success: DeadLetterGroupsJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Count failed tasks by type and reason",
    description: "Among the 10000 that were made last: complete says whether there are others."
  })),
  HttpApiEndpoint.get("list", "/dead-letters/tasks", {
    query: { ...filterQuery, limit: Schema.optionalKey(PageSize), cursor: Schema.optionalKey(TaskCursor) },
    success: TaskPageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Search failed tasks",
    description: "Newest first, in pages. A page may have less than its limit, even nothing, and not be the last."
  })),
  part("rerun", "/dead-letters/rerun", "Run failed tasks again, by a filter"),
  part("discard", "/dead-letters/discard", "Remove failed tasks, by a filter")
).prefix("/api/v1") {}

type PartJson = typeof DeadLetterPartJson.Type

/** A part as the queue takes it. */
export const partOf = ({ error_tag: errorTags, queue, tag, type, ...rest }: PartJson): DeadLetterPart => ({
  ...rest,
  ...type !== undefined && { types: type },
  ...queue !== undefined && { queues: queue },
  ...tag !== undefined && { tags: tag },
  ...errorTags !== undefined && { errorTags }
})

/** A part as requests have it. */
export const partJson = (
  { before, cursor, errorTags, limit, queues, since, tags, text, types }: DeadLetterPart
): PartJson => ({
  ...types !== undefined && { type: types },
  ...queues !== undefined && { queue: queues },
  ...tags !== undefined && { tag: tags },
  ...errorTags !== undefined && { error_tag: errorTags },
  ...text !== undefined && { text },
  ...since !== undefined && { since: DateTime.toUtc(since) },
  ...before !== undefined && { before: DateTime.toUtc(before) },
  ...limit !== undefined && { limit },
  ...cursor !== undefined && { cursor }
})

/** Dead letters by reason, on the wire. */
export const groupsJson = (
  { groups, isComplete, looked, moreGroups }: DeadLetterGroups
): typeof DeadLetterGroupsJson.Type => ({
  groups: groups.map(({ firstAt, lastAt, ...group }) => ({
    ...group,
    first_at: timestamp(firstAt),
    last_at: timestamp(lastAt)
  })),
  more_groups: moreGroups,
  looked,
  complete: isComplete
})

/** Dead letters by reason, as they were on the wire. */
export const groupsFromJson = (
  { complete, groups, looked, more_groups: moreGroups }: typeof DeadLetterGroupsJson.Type
): DeadLetterGroups => ({
  groups: groups.map(({ first_at: firstAt, last_at: lastAt, ...group }) => ({
    ...group,
    firstAt: instant(firstAt),
    lastAt: instant(lastAt)
  })),
  moreGroups,
  looked,
  isComplete: complete
})
