/** Why a task has not started yet, in the server's words: all that has to change, the first first. */
import { useEffect } from "preact/hooks"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { link } from "../Router.ts"
import type { Explanation, Task } from "../Wire.ts"
import { Ago } from "./Time.tsx"
import { Words } from "./Words.tsx"

/** The explanation. It changes without an event of the task, so it is asked for again and again while the task waits. */
export const Why = ({ path, task }: { readonly task: Task; readonly path: string }) => {
  const { data, refresh } = useResource(path, (ended) => get<Explanation>(`${path}/explain`, ended), { live: 3000 })
  useEffect(refresh, [task.status, task.due_at, task.priority])
  const found = data.value
  if (found === undefined || found.status !== task.status) return null
  return (
    <div class="why">
      <p class="why-summary">
        <Words text={found.summary} />
      </p>
      {found.reasons.length > 1 && (
        <ul>
          {found.reasons.map((reason, index) => (
            <li key={index}>
              <Words text={reason.text} />
              {tasksOf(reason)}
            </li>
          ))}
        </ul>
      )}
      {found.reasons.length === 1 && tasksOf(found.reasons[0]!)}
      {found.may_start_at !== null && found.reasons.length > 0 && (
        <p class="soft">
          It may start <Ago at={found.may_start_at} />.
        </p>
      )}
      {found.deadline !== null && (
        <p class="soft">
          <Words text={found.deadline.text} />
        </p>
      )}
    </div>
  )
}

/** The tasks that a reason names, to go there. */
const tasksOf = (reason: Explanation["reasons"][number]) => {
  const ids = "holders" in reason
    ? reason.holders
    : "holder" in reason
    ? [reason.holder.id]
    : "tasks" in reason
    ? reason.tasks
    : "child" in reason
    ? [reason.child]
    : []
  return ids.length === 0 ? null : (
    <span class="why-tasks">
      {ids.map((id) => (
        <a key={id} href={link(["tasks", id])}>
          <code>{id}</code>
        </a>
      ))}
    </span>
  )
}
