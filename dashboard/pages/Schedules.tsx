/** Schedules: when they tick, in plain words, and what became of the last tick. */
import { useSignal } from "@preact/signals"
import { Dialog } from "../parts/Dialog.tsx"
import { Command, Empty } from "../parts/Empty.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { notify } from "../parts/Notices.tsx"
import { PauseButton, Paused } from "../parts/PauseButton.tsx"
import { Ago, Instant } from "../parts/Time.tsx"
import { call, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { link } from "../Router.ts"
import { may } from "../Session.ts"
import * as Texts from "../Texts.ts"
import type { Preview, Schedule, SchedulePage } from "../Wire.ts"

/** Ticks ahead that are shown. */
const maxTicks = 5

/** The page. */
export const Schedules = () => {
  const schedules = useResource("schedules", (ended) => get<SchedulePage>("api/v1/schedules?limit=200", ended))
  return (
    <div class="page">
      <div class="page-head">
        <h1>Schedules</h1>
      </div>
      <Loaded resource={schedules}>
        {(found) =>
          found.schedules.length === 0
            ? (
              <Empty icon="schedules" title="There are no schedules yet">
                <p>A schedule makes a task at each tick of a clock: once, on however many instances.</p>
                <Command
                  text={`taskforge schedules set nightly echo --cron "30 2 * * *" --time-zone Europe/Berlin`}
                />
              </Empty>
            )
            : found.schedules.map((schedule) => (
              <One key={schedule.name} schedule={schedule} onChanged={schedules.refresh} />
            ))}
      </Loaded>
    </div>
  )
}

const One = ({ onChanged, schedule }: { readonly schedule: Schedule; readonly onChanged: () => void }) => {
  const { description, last, made, name, next, pause, skipped, status, task } = schedule
  const path = `api/v1/schedules/${encodeURIComponent(name)}`
  const preview = useResource(
    `${path} ${next}`,
    (ended) => get<Preview>(`${path}/preview?count=${maxTicks}`, ended),
    { polling: 60_000 }
  )
  const isAsked = useSignal(false)
  return (
    <section class="card schedule">
      <div class="card-head">
        <h2>
          {name} {pause !== null && <Paused pause={pause} />} {status === "ended" && <span class="mark">ended</span>}
        </h2>
        {may("write") && (
          <div class="buttons">
            <button
              type="button"
              aria-label={`Run the schedule ${name} now`}
              onClick={() => {
                isAsked.value = true
              }}
            >
              Run now …
            </button>
            <PauseButton kind="schedule" name={name} path={path} isPaused={pause !== null} onChanged={onChanged} />
          </div>
        )}
      </div>
      <p>
        {description} · <b>{task.type}</b> in {task.queue}
      </p>
      <p class="soft">
        {next === null ? pause === null ? "No tick is ahead" : "It makes no tasks until it is resumed" : (
          <>
            Next <Ago at={next} />
          </>
        )}
        {last !== null && (
          <>
            {" "}· last <Ago at={last.tick} />: {last.outcome}
            {last.task !== null && (
              <>
                {" "}as <a href={link(["tasks", last.task])}>its task</a>
              </>
            )}
          </>
        )} · {Texts.counted(made, "task")} made, {Texts.count(skipped)} skipped
      </p>
      {status === "active" && preview.data.value !== undefined && (
        <ol class="ticks" aria-label="Next ticks">
          <li aria-hidden="true">Ticks</li>
          {preview.data.value.ticks.map((tick) => (
            <li key={tick}>
              <Instant at={tick} />
            </li>
          ))}
        </ol>
      )}
      {isAsked.value && (
        <Dialog
          title={`Run ${name} now?`}
          verb="Run it now"
          onClose={() => {
            isAsked.value = false
          }}
          act={async () => {
            const { id } = await call<{ id: string }>("POST", `${path}/run`, {})
            notify("good", `The task ${id} is made`)
            onChanged()
          }}
        >
          <p>It makes one task, besides those of its ticks.</p>
        </Dialog>
      )}
    </section>
  )
}
