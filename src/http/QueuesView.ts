/** Queues and types as clients see them. */
import type { QueueCounts, QueueDetail, QueuePage, TypeCounts, TypePage, Unfinished } from "../queue/Queues.ts"
import type { QueueDetailJson, QueueJson, QueuePageJson, TypeCountsJson, TypePageJson } from "./api/QueuesApi.ts"
import { instant, instantOrNull, timestamp, timestampOrNull } from "./TaskView.ts"

type UnfinishedJson = Omit<typeof TypeCountsJson.Type, "type">

const unfinishedJson = ({ pending, running, scheduled, waitingSince }: Unfinished): UnfinishedJson => ({
  scheduled,
  pending,
  running,
  waiting_since: timestampOrNull(waitingSince)
})

const unfinishedFromJson = ({ pending, running, scheduled, waiting_since }: UnfinishedJson): Unfinished => ({
  scheduled,
  pending,
  running,
  waitingSince: instantOrNull(waiting_since)
})

const typeJson = (counts: TypeCounts): typeof TypeCountsJson.Type => ({ type: counts.type, ...unfinishedJson(counts) })

const typeFromJson = (json: typeof TypeCountsJson.Type): TypeCounts => ({
  type: json.type,
  ...unfinishedFromJson(json)
})

const queueJson = (counts: QueueCounts): QueueJson => ({
  queue: counts.queue,
  paused: counts.paused,
  ...unfinishedJson(counts),
  type_count: counts.typeCount,
  types: counts.types.map(typeJson)
})

const queueFromJson = (json: QueueJson): QueueCounts => ({
  queue: json.queue,
  paused: json.paused,
  ...unfinishedFromJson(json),
  typeCount: json.type_count,
  types: json.types.map(typeFromJson)
})

/** A page of queues on the wire. */
export const pageJson = (
  { next, now, queues }: QueuePage,
  paused: ReadonlyArray<string>
): typeof QueuePageJson.Type => ({ queues: queues.map(queueJson), next, paused, timestamp: timestamp(now) })

/** The page that was on the wire. */
export const pageFromJson = ({ next, queues, timestamp }: typeof QueuePageJson.Type): QueuePage => ({
  queues: queues.map(queueFromJson),
  next,
  now: instant(timestamp)
})

/** One queue on the wire. */
export const detailJson = (detail: QueueDetail): typeof QueueDetailJson.Type => ({
  ...queueJson(detail),
  next: detail.next,
  timestamp: timestamp(detail.now)
})

/** The queue that was on the wire. */
export const detailFromJson = (json: typeof QueueDetailJson.Type): QueueDetail => ({
  ...queueFromJson(json),
  next: json.next,
  now: instant(json.timestamp)
})

/** A page of types on the wire. */
export const typesJson = ({ next, now, types }: TypePage): typeof TypePageJson.Type => ({
  types: types.map(typeJson),
  next,
  timestamp: timestamp(now)
})

/** The page that was on the wire. */
export const typesFromJson = ({ next, timestamp, types }: typeof TypePageJson.Type): TypePage => ({
  types: types.map(typeFromJson),
  next,
  now: instant(timestamp)
})
