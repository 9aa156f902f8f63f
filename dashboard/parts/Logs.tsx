/** What the attempts at a task have logged, also while it runs. */
import { useSignal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import * as Texts from "../Texts.ts"
import type { Task, TaskLogs } from "../Wire.ts"

const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const

/** Lines of an attempt that are shown at first: the latest. */
const maxLines = 500

/** The lines by attempt. */
export const Logs = ({ path, task }: { readonly task: Task; readonly path: string }) => {
  const level = useSignal<string>("trace")
  const isRunning = task.status === "running"
  const { data, refresh } = useResource(path, (ended) => get<TaskLogs>(`${path}/logs`, ended), {
    live: isRunning ? 1000 : undefined,
    polling: isRunning ? 1000 : 10_000
  })
  useEffect(refresh, [task.status, task.attempts])
  const attempts = data.value?.attempts ?? []
  if (attempts.length === 0) return null
  const from = levels.findIndex((one) => one === level.value)
  return (
    <section class="card wide logs">
      <div class="card-head">
        <h2>Logs</h2>
        <label class="choice">
          <span>From</span>
          <select
            value={level.value}
            onChange={(event) => {
              level.value = event.currentTarget.value
            }}
          >
            {levels.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
      </div>
      {attempts.map(({ attempt, claim, instance, left_out, lines }) => {
        const wanted = lines.filter((line) => levels.indexOf(line.level) >= from)
        return (
          <div key={claim} class="log">
            <h3>
              Attempt {attempt} <small>on {instance}</small>
            </h3>
            {wanted.length > maxLines && (
              <p class="soft">The latest {maxLines} of {Texts.count(wanted.length)} lines</p>
            )}
            <ol tabIndex={0} aria-label={`Lines of attempt ${attempt}`}>
              {wanted.slice(-maxLines).map((line, index, all) => (
                <>
                  {index > 0 && line.line > all[index - 1]!.line + 1 && from === 0 && (
                    <li class="log-gap">
                      {Texts.counted(line.line - all[index - 1]!.line - 1, "line is", "lines are")} not kept
                    </li>
                  )}
                  <li key={line.line} class={`log-${line.level}`}>
                    <time dateTime={line.at} title={Texts.instant(line.at)}>{Texts.exactClock(line.at)}</time>
                    <b>{line.level}</b>
                    <span>
                      {line.text}
                      {Object.entries(line.annotations).map(([name, value]) => (
                        <span key={name} class="log-annotation">{name}={String(value)}</span>
                      ))}
                      {line.cut && <em>… cut</em>}
                      {line.cause !== null && <pre>{line.cause}</pre>}
                    </span>
                  </li>
                </>
              ))}
            </ol>
            {wanted.length === 0 && <p class="soft">No line of this level{left_out > 0 ? " is kept" : ""}.</p>}
          </div>
        )
      })}
    </section>
  )
}
