/** Events as watchers get them. An event is written once, however many watch. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import { Sse } from "effect/encoding"
import * as Redaction from "../domain/Redaction.ts"
import type { TaskEvent } from "../domain/TaskEvent.ts"
import type { Item } from "../events/EventFeed.ts"
import type { TaskEventJson } from "./api/EventsApi.ts"
import type { TaskJson } from "./api/TaskJson.ts"
import { timestamp } from "./TaskView.ts"

const encoder = new TextEncoder()

const write = (event: string, data: unknown, id?: string): Uint8Array =>
  encoder.encode(Sse.encoder.write({ _tag: "Event", event, id, data: JSON.stringify(data) }))

const gap = write("gap", {})
/** A comment, and after how many milliseconds a client that loses the stream may come back. */
const idle = encoder.encode(": idle\nretry: 2000\n\n")

const written = new WeakMap<TaskEvent, Uint8Array>()

/** An item as a server-sent event. */
export const serverSent = (item: Item): Uint8Array => {
  if (item === "gap") return gap
  if (item === "idle") return idle
  let bytes = written.get(item)
  if (bytes === undefined) written.set(item, bytes = write(item.event, toJson(item), String(item.seq)))
  return bytes
}

/** Items that came together as one piece of the stream. */
export const serverSentTogether = (items: NonEmptyReadonlyArray<Item>): NonEmptyReadonlyArray<Uint8Array> => [
  items.length === 1 ? serverSent(items[0]) : Buffer.concat(items.map(serverSent))
]

/** A task as a server-sent event. */
export const task = (task: TaskJson, id?: string): Uint8Array => write("task", task, id)

/** The end of a task that is not stored any more. */
export const gone = (id: string): Uint8Array => write("gap", {}, id)

const messages = new WeakMap<TaskEvent, string>()

/** An item as a message of a WebSocket; an empty one is a sign of life. */
export const message = (item: Item): string => {
  if (item === "gap") return `{"event":"gap"}`
  if (item === "idle") return `{"event":"idle"}`
  let text = messages.get(item)
  if (text === undefined) messages.set(item, text = JSON.stringify({ seq: item.seq, ...toJson(item) }))
  return text
}

const toJson = ({ after: _after, at, delayMs, error, seq: _seq, step: _step, ...event }: TaskEvent): TaskEventJson => ({
  ...event,
  at: timestamp(at),
  ...(delayMs === undefined ? {} : { delay_ms: delayMs }),
  ...(error === undefined ? {} : { error: { ...error, message: Redaction.text(error.message) } })
})
