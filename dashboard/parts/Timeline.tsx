/** The attempts at a task in the order in which they were made, with the waits between them. */
import type { ComponentChildren } from "preact"
import * as Texts from "../Texts.ts"
import type { Failure, Task } from "../Wire.ts"
import { Instant, now } from "./Time.tsx"

/** Something that happened, and how long it took. */
interface Entry {
  readonly kind: "wait" | "attempt" | "end"
  readonly from: number
  readonly to: number
  readonly state: string
  readonly title: string
  readonly children?: ComponentChildren
}

/** The list, under a bar that shows where the time went. */
export const Timeline = ({ task }: { readonly task: Task }) => {
  const entries = entriesOf(task, now.value)
  const begin = Date.parse(task.created_at)
  const end = Math.max(begin + 1, ...entries.map(({ to }) => to))
  const running = entries.filter(({ kind }) => kind === "attempt").reduce((sum, { from, to }) => sum + to - from, 0)
  return (
    <>
      <div
        class="strip"
        role="img"
        aria-label={`Of ${Texts.duration(end - begin)}, attempts took ${Texts.duration(running)}; the rest was waiting`}
      >
        {entries.filter(({ kind, from, to }) => kind !== "end" && to > from).map(({ from, kind, state, to }) => (
          <i key={`${kind}${from}`} class={`strip-${kind} state-${state}`} style={{ flexGrow: to - from }} />
        ))}
      </div>
      <ol class="timeline">
        {task.attempts > task.history.length + 1 && (
          <li class="timeline-wait">
            {Texts.counted(task.attempts - task.history.length - 1, "earlier attempt is", "earlier attempts are")}{" "}
            not kept
          </li>
        )}
        {entries.map(({ children, from, kind, state, title, to }) => (
          <li key={`${kind}${from}${title}`} class={`timeline-${kind} state-${state}`}>
            <i aria-hidden="true" />
            <div>
              <span class="timeline-title">{title}</span>
              {kind === "end"
                ? <Instant at={new Date(from).toISOString()} />
                : <span class="number">{Texts.duration(to - from)}</span>}
              {children}
            </div>
          </li>
        ))}
      </ol>
    </>
  )
}

const entriesOf = (task: Task, now: number): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  const created = Date.parse(task.created_at)
  entries.push({ kind: "end", from: created, to: created, state: "scheduled", title: "Created" })
  let last = created
  const wait = (until: number, title: string) => {
    if (until > last) entries.push({ kind: "wait", from: last, to: until, state: "pending", title })
    last = Math.max(last, until)
  }
  for (const { attempt, ended_at, error, instance, outcome, started_at } of task.history) {
    const [from, to] = [Date.parse(started_at), Date.parse(ended_at)]
    wait(from, "waited")
    entries.push({
      kind: "attempt",
      from,
      to,
      state: outcome,
      title: `Attempt ${attempt} ${outcomes[outcome]}`,
      children: (
        <>
          <small>on {instance}</small>
          {error !== null && <Reason error={error} />}
        </>
      )
    })
    last = to
  }
  const isWaiting = task.status === "pending" || task.status === "scheduled"
  const isLatestShown = task.history.at(-1)?.attempt === task.attempts
  if (task.started_at !== null && !isLatestShown && !isWaiting) {
    const from = Date.parse(task.started_at)
    const to = task.completed_at === null ? Math.max(now, from) : Date.parse(task.completed_at)
    wait(from, "waited")
    entries.push({
      kind: "attempt",
      from,
      to,
      state: task.status,
      title: task.status === "running"
        ? `Attempt ${task.attempts} runs`
        : `Attempt ${task.attempts} ${latest[task.status] ?? ""}`,
      children: task.instance === null ? null : <small>on {task.instance}</small>
    })
    last = to
  }
  if (isWaiting) {
    wait(Math.max(now, last), task.status === "scheduled" ? "waits until it is due" : "waits for a free slot")
  }
  if (task.completed_at !== null) {
    const at = Date.parse(task.completed_at)
    wait(at, "waited")
    entries.push({ kind: "end", from: at, to: at, state: task.status, title: ends[task.status] ?? task.status })
  }
  return entries
}

const ends: Readonly<Record<string, string>> = {
  completed: "Completed",
  failed: "Failed for good",
  cancelled: "Cancelled",
  expired: "Expired: nobody started it in time"
}

/** How the last attempt ended: its task ended with it. */
const latest: Readonly<Record<string, string>> = {
  completed: "completed",
  failed: "failed",
  cancelled: "was cancelled"
}

const outcomes = {
  failed: "failed",
  crashed: "ended with its process",
  released: "was handed back",
  snoozed: "chose to go on later",
  cancelled: "was cancelled",
  completed: "completed, and was run again"
} as const

const Reason = ({ error }: { readonly error: Failure }) => (
  <p class="error-text">
    <b>{error.tag}</b> {error.message}
  </p>
)
