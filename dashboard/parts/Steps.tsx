/** The steps of a task's handler: how each has ended, and which of them goes on. */
import { useEffect } from "preact/hooks"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import * as Texts from "../Texts.ts"
import type { Task, TaskSteps } from "../Wire.ts"
import { Ago } from "./Time.tsx"

/** A table of them; nothing where the handler has none. */
export const Steps = ({ path, task }: { readonly task: Task; readonly path: string }) => {
  const isOpen = task.completed_at === null
  const { data, refresh } = useResource(path, (ended) => get<TaskSteps>(`${path}/steps`, ended), {
    live: isOpen ? 2000 : undefined
  })
  useEffect(refresh, [task.status, task.attempts])
  const found = data.value
  if (found === undefined || (found.count === 0 && found.running.length === 0)) return null
  return (
    <section class="card wide">
      <h2>Steps</h2>
      {found.left_out > 0 && <p class="soft">The first {Texts.count(found.left_out)} are not shown.</p>}
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col">How it stands</th>
            <th scope="col" class="right">Attempt</th>
            <th scope="col" class="right">Took</th>
          </tr>
        </thead>
        <tbody>
          {found.steps.map((step) => (
            <tr key={step.name}>
              <td>
                <code>{step.name}</code>
              </td>
              <td>
                {words[step.status]}
                {step.signal !== null && (
                  <>
                    {" "}
                    <code>{step.signal}</code>
                  </>
                )}
                {step.until !== null && (step.status === "sleeping" || step.status === "waiting") && (
                  <>
                    , until <Ago at={step.until} />
                  </>
                )}
                {step.issue !== null && " "}
                {step.issue !== null && <span class="error-text">{step.issue}</span>}
              </td>
              <td class="right number">{step.attempt}</td>
              <td class="right number">{Texts.duration(step.ms)}</td>
            </tr>
          ))}
          {found.running.map((name) => (
            <tr key={`running ${name}`}>
              <td>
                <code>{name}</code>
              </td>
              <td>runs</td>
              <td class="right">–</td>
              <td class="right">–</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

const words = {
  succeeded: "succeeded",
  failed: "failed",
  unfit: "gave what cannot be kept",
  sleeping: "sleeps",
  slept: "has slept",
  waiting: "waits for",
  timed_out: "waited in vain for"
} as const
