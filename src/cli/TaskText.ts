/** A task in words: a row of a list, or a card of its own. */
import { DateTime, Duration, type Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as Priority from "../domain/Priority.ts"
import type { AttemptJson, TaskJson } from "../http/api/TaskJson.ts"
import * as Screen from "./Screen.ts"
import * as Table from "./Table.ts"
import * as Words from "./Words.ts"

/** The columns of {@link row}. */
export const columns: ReadonlyArray<Table.Column> = [
  { head: "ID" },
  { head: "TYPE", shrinksTo: 8 },
  { head: "STATUS" },
  { head: "WHEN" },
  { head: "DETAIL", shrinksTo: 6 }
]

/** A task as a row of {@link columns}. */
export const row = (task: TaskJson, paint: Screen.Paint, now: number): ReadonlyArray<string> => [
  Screen.plain(task.id),
  Screen.plain(task.type),
  paint.state(task.status, `${Screen.mark[task.status]} ${task.status}`),
  paint.dim(Words.relative(Date.parse(momentOf(task)), now)),
  detail(task, paint)
]

/** What a scheduled task waits for, where that is no time. What waits without an end was put off by as long as a task can be. */
export const waitsFor = ({ created_at, due_at, status, waits_for = 0 }: TaskJson): string | undefined => {
  if (status !== "scheduled") return undefined
  if (waits_for > 0) return `waits for ${Words.counted(waits_for, "task")}`
  return Date.parse(due_at) - Date.parse(created_at) >= maxDelayMs ? "waits, however long that takes" : undefined
}

const maxDelayMs = Duration.toMillis(Bounds.maxDelay)

/** The moment that matters for its status. */
const momentOf = (task: TaskJson): string =>
  task.status === "scheduled" && waitsFor(task) === undefined
    ? task.due_at
    : task.completed_at ?? (task.status === "running" ? task.started_at : null) ?? task.created_at

/** What there is to know besides the status, in a few words. */
export const detail = (task: TaskJson, paint: Screen.Paint): string => {
  const { error, failures, progress, status } = task
  const waits = waitsFor(task)
  if (waits !== undefined) return waits
  if (status === "failed") return paint.bad(Screen.plain(error?.message ?? ""))
  if (status === "running") {
    if (task.cancel_requested) return paint.warn("stopping")
    if (progress !== null) return percent(progress)
    return task.attempts > 1 ? `attempt ${task.attempts}` : ""
  }
  if (failures > 0 && error !== null && status !== "completed") {
    const budget = task.max_retries < 0 ? "" : `/${task.max_retries}`
    return `${paint.warn(`retry ${failures}${budget}`)} ${Screen.plain(error.message)}`
  }
  return status === "completed" && task.result !== null ? paint.dim(Screen.plain(JSON.stringify(task.result))) : ""
}

/** Everything there is to know about a task, as lines of at most `width` cells. */
export const card = (task: TaskJson, paint: Screen.Paint, now: number, width: number): ReadonlyArray<string> => {
  const label = (name: string) => `  ${paint.dim(name.padEnd(9))}`
  const field = (name: string, value: string) => Table.fit(`${label(name)} ${value}`, width)
  /** JSON behind its name where it fits, else below it by lines; all of it, as people have asked for this task. */
  const whole = (name: string, value: Schema.Json): ReadonlyArray<string> => {
    const text = visible(JSON.stringify(value))
    if (text.length <= width - wholeIndent) return [`${label(name)} ${text}`]
    const lines = JSON.stringify(value, null, 2).split("\n").map(visible)
    return lines.length === 1
      ? [`${label(name)} ${text}`]
      : [label(name).trimEnd(), ...lines.map((line) => `    ${line}`)]
  }
  const moment = (name: string, text: string | null, more = "") =>
    text === null ? [] : [field(name, `${localTime(text)}  ${paint.dim(Words.relative(Date.parse(text), now))}${more}`)]
  const took = task.started_at === null || task.completed_at === null
    ? ""
    : paint.dim(`, took ${Words.precise(Date.parse(task.completed_at) - Date.parse(task.started_at))}`)
  const budget = task.max_retries < 0 ? "without limit" : `of ${task.max_retries}`
  const counts = [
    `${task.attempts} claimed`,
    `${task.retry_count} ${budget} retries`,
    ...(task.crashes > 0 ? [paint.bad(Words.counted(task.crashes, "crash", "crashes"))] : [])
  ]
  return [
    Table.fit(
      `${paint.state(task.status, `${Screen.mark[task.status]} ${task.status}`)}  ${
        paint.bold(Screen.plain(task.type))
      }`,
      width
    ),
    "",
    // Never cut: it is there to be copied
    `${label("Id")} ${Screen.plain(task.id)}`,
    field("Queue", `${Screen.plain(task.queue)}, ${Priority.nameOf(task.priority)} priority (${task.priority})`),
    ...(task.key === null ? [] : [field("Key", Screen.plain(task.key))]),
    ...(task.trace_id === undefined ? [] : [`${label("Trace")} ${Screen.plain(task.trace_id)}`]),
    ...(task.tags === undefined ? [] : [`${label("Tags")} ${task.tags.map(Screen.plain).join(", ")}`]),
    ...whole("Payload", task.payload),
    ...(task.status === "completed" ? whole("Result", task.result) : []),
    ...(task.error === null
      ? []
      // Like an id, never cut
      : [`${label("Error")} ${paint.bad(`${Screen.plain(task.error.tag)}: ${Screen.plain(task.error.message)}`)}`]),
    ...(task.progress !== null && task.status === "running" ? [field("Progress", percent(task.progress))] : []),
    ...(task.cancel_requested && task.status === "running" ? [field("Cancel", "requested, being stopped")] : []),
    "",
    ...moment("Created", task.created_at),
    ...(waitsFor(task) !== undefined
      ? [field("Due", Screen.plain(`${waitsFor(task)}: taskforge explain ${task.id}`))]
      : task.status === "scheduled" || task.due_at !== task.created_at
      ? moment("Due", task.due_at)
      : []),
    ...moment("Expires", task.expires_at),
    ...moment("Start by", task.start_by, punctuality(task, now)),
    ...moment("Started", task.started_at),
    ...moment("Finished", task.completed_at, took),
    field("Attempts", counts.join(", ")),
    ...(task.timeout_ms === null ? [] : [field("Timeout", Words.precise(task.timeout_ms))]),
    ...(task.instance === null ? [] : [field("Instance", Screen.plain(task.instance))]),
    ...(task.history.length === 0 ? [] : ["", ...history(task.history, paint, width)])
  ]
}

/** How a task stands to the time by which it should start. One that finished without another start says nothing. */
const punctuality = ({ start_by, started_at, status }: TaskJson, now: number): string => {
  if (start_by === null) return ""
  const isWaiting = status === "scheduled" || status === "pending"
  if (!isWaiting && (started_at === null || status === "cancelled" || status === "expired")) return ""
  const lateMs = (isWaiting ? now : Date.parse(started_at!)) - Date.parse(start_by)
  if (lateMs <= 0) return isWaiting ? "" : ", started in time"
  return isWaiting ? ", late" : `, started ${Words.precise(lateMs)} late`
}

/** What is before a value on its line. */
const wholeIndent = 12

/** JSON has escaped the control characters of its texts, but for some that rule the direction of the text. */
const visible = (json: string): string =>
  json.replace(
    /[\p{Control}\p{Bidi_Control}]/gu,
    (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`
  )

const history = (attempts: ReadonlyArray<AttemptJson>, paint: Screen.Paint, width: number): ReadonlyArray<string> =>
  Table.format(
    [{ head: "EARLIER ATTEMPTS" }, { head: "RAN", align: "right" }, { head: "OUTCOME" }, {
      head: "ERROR",
      shrinksTo: 8
    }],
    attempts.map(({ ended_at, error, outcome, started_at }) => [
      localTime(started_at),
      Words.precise(Date.parse(ended_at) - Date.parse(started_at)),
      outcome === "failed" || outcome === "crashed" ? paint.bad(outcome) : outcome,
      error === null ? "" : Screen.plain(error.message)
    ]),
    width - 2,
    paint.dim
  ).map((line) => `  ${line}`)

const percent = (progress: number): string => `${Math.floor(progress * 100)}%`

/** `2026-01-31 12:00:00`, local time. */
const localTime = (text: string): string => {
  const { day, hour, minute, month, second, year } = DateTime.toParts(
    DateTime.makeZonedUnsafe(text, { timeZone: DateTime.zoneMakeLocal() })
  )
  const two = (number: number) => String(number).padStart(2, "0")
  return `${year}-${two(month)}-${two(day)} ${[hour, minute, second].map(two).join(":")}`
}
