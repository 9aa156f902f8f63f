/** Tasks as rows, which are cards on a phone. */
import { link } from "../Router.ts"
import * as Texts from "../Texts.ts"
import type { Task } from "../Wire.ts"
import { StateMark } from "./StateMark.tsx"
import { Tags } from "./Tags.tsx"
import { Ago, Lasting } from "./Time.tsx"

/** Characters of an id, of an error and of a payload that a row shows. */
const maxId = 60
const maxError = 160
const maxPayload = 120

/** Tags that a row shows. */
const maxTags = 3

/** The table. */
export const TaskTable = ({ tasks }: { readonly tasks: ReadonlyArray<Task>; readonly onChanged: () => void }) => (
  <div class="table-box">
    <table class="tasks">
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">Task</th>
          <th scope="col">Queue</th>
          <th scope="col">About</th>
          <th scope="col" class="right">Attempts</th>
          <th scope="col" class="right">Took</th>
          <th scope="col" class="right">Created</th>
        </tr>
      </thead>
      <tbody>{tasks.map((task) => <Row key={task.id} task={task} />)}</tbody>
    </table>
  </div>
)

const Row = ({ task }: { readonly task: Task }) => (
  <tr class={`row-${task.status}`}>
    <td class="cell-state">
      <StateMark key={task.status} state={task.status} isCancelling={task.cancel_requested} />
    </td>
    <td class="cell-task">
      <a href={link(["tasks", task.id])}>
        <b>{task.type}</b>
        <code title={task.id}>{shortId(task.id)}</code>
      </a>
    </td>
    <td class="cell-queue" title={task.queue}>{task.queue}</td>
    <td class="cell-about">
      <About task={task} />
    </td>
    <td class="right number cell-attempts">
      {task.attempts === 0 ? <span class="soft">–</span> : Texts.count(task.attempts)}
    </td>
    <td class="right cell-took">
      {task.started_at === null || task.status === "pending" || task.status === "scheduled"
        ? <span class="soft">–</span>
        : <Lasting from={task.started_at} to={task.completed_at} />}
    </td>
    <td class="right cell-created number">
      <Ago at={task.created_at} />
    </td>
  </tr>
)

/** Random ids begin with the time, and differ at their end. Others are cut where there is no more room. */
const shortId = (id: string): string => randomId.test(id) ? `…${id.slice(-8)}` : id.slice(0, maxId)

const randomId = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/

/** What is worth knowing of a task in its state. */
const About = ({ task }: { readonly task: Task }) => {
  const marks = [
    ...task.priority === 1 ? [] : [Texts.priority(task.priority)],
    ...task.key === null ? [] : [`key ${task.key}`]
  ]
  return (
    <>
      {task.status === "running" && task.progress !== null && (
        <progress max={1} value={task.progress} aria-label={`${Math.round(task.progress * 100)} % done`} />
      )}
      {task.error !== null && task.status !== "completed" && (
        <span class="error-text" title={task.error.message}>
          <b>{task.error.tag}</b> {task.error.message.slice(0, maxError)}
        </span>
      )}
      {task.status === "scheduled" && (
        <span class="soft">
          {Texts.waitsFor(task) ?? (
            <>
              due <Ago at={task.due_at} />
            </>
          )}
        </span>
      )}
      {task.tags !== undefined && <Tags of={task.tags.slice(0, maxTags)} more={task.tags.length - maxTags} />}
      {marks.map((mark) => <span key={mark} class="mark">{mark}</span>)}
      {task.error === null && task.left_out?.includes("payload") === true && <span class="soft">a long payload</span>}
      {task.error === null && isObject(task.payload) && (
        <code class="soft">{JSON.stringify(task.payload).slice(0, maxPayload)}</code>
      )}
    </>
  )
}

/** Whether a payload has something to tell. */
const isObject = (payload: unknown): boolean =>
  typeof payload === "object" ? payload !== null && Object.keys(payload).length > 0 : payload !== undefined
