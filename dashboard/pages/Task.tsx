/** One task: where it stands and why, its attempts, what it was given and what it gave, and what can be done about it. */
import { useEffect } from "preact/hooks"
import * as Live from "../Live.ts"
import { BranchActions } from "../parts/BranchActions.tsx"
import { Copy } from "../parts/Copy.tsx"
import { Graph } from "../parts/Graph.tsx"
import { Json } from "../parts/Json.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { Logs } from "../parts/Logs.tsx"
import { Stack } from "../parts/Stack.tsx"
import { StateMark } from "../parts/StateMark.tsx"
import { Steps } from "../parts/Steps.tsx"
import { Tags } from "../parts/Tags.tsx"
import { TaskActions } from "../parts/TaskActions.tsx"
import { Ago, Instant } from "../parts/Time.tsx"
import { Timeline } from "../parts/Timeline.tsx"
import { Why } from "../parts/Why.tsx"
import { exact, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { link } from "../Router.ts"
import { me } from "../Session.ts"
import * as Texts from "../Texts.ts"
import { isFinished, type Task as Found } from "../Wire.ts"

/** The page of a task. */
export const Task = ({ id }: { readonly id: string }) => {
  const path = `api/v1/tasks/${encodeURIComponent(id)}`
  const task = useResource(path, (ended) => get<Found>(path, ended))
  const { refresh } = task
  useEffect(() => Live.follow({ task: exact(id) }, { onEvents: refresh, onGap: refresh }), [id])
  return (
    <div class="page task">
      <p class="crumbs">
        <a href={link(["tasks"])}>Tasks</a>
      </p>
      <Loaded resource={task}>{(found) => <Shown task={found} path={path} onChanged={refresh} />}</Loaded>
    </div>
  )
}

const Shown = ({ onChanged, path, task }: {
  readonly task: Found
  readonly path: string
  readonly onChanged: () => void
}) => (
  <>
    <div class="page-head">
      <div class="task-title">
        <h1>{task.type}{task.version !== undefined && <small>version {task.version}</small>}</h1>
        <p class="task-id">
          <code>{task.id}</code>
          <Copy text={task.id} label="Copy the id" />
        </p>
      </div>
      <TaskActions task={task} path={path} onChanged={onChanged} />
    </div>
    <BranchActions path={path} onChanged={onChanged} />
    <div class="task-state">
      <StateMark key={task.status} state={task.status} isCancelling={task.cancel_requested} />
      {task.status === "running" && task.progress !== null && (
        <span class="progress">
          <progress max={1} value={task.progress} aria-label="Progress" />
          <span class="number">{Math.round(task.progress * 100)} %</span>
        </span>
      )}
      {!isFinished(task.status) && <Why task={task} path={path} />}
    </div>
    {task.error !== null && <Problem task={task} />}
    <div class="task-columns">
      <section class="card">
        <h2>What happened</h2>
        <Timeline task={task} />
      </section>
      <section class="card">
        <h2>About it</h2>
        <Facts task={task} />
      </section>
      <Stack key={task.attempts} task={task} path={path} />
      <Graph id={task.id} path={path} />
      <section class="card wide">
        <h2>Payload</h2>
        <Json label="payload" value={task.payload} />
      </section>
      {task.status === "completed" && (
        <section class="card wide">
          <h2>Result</h2>
          <Json label="result" value={task.result} />
        </section>
      )}
      <Steps task={task} path={path} />
      <Logs task={task} path={path} />
    </div>
  </>
)

const Problem = ({ task: { error, status } }: { readonly task: Found }) =>
  error === null ? null : (
    <section class="card problem" aria-label="Error">
      <h2>
        <span class="error-tag">{error.tag}</span>
        <small>{isFinished(status) ? kinds[error.kind] : `${kinds[error.kind]}, in the latest attempt`}</small>
      </h2>
      <pre tabIndex={0} aria-label="The error's message">{error.message}</pre>
      {error.dependency !== undefined && (
        <p>
          It depends on <a href={link(["tasks", error.dependency.id])}>{error.dependency.id}</a>, which is{" "}
          {error.dependency.status}.
        </p>
      )}
      {error.details !== undefined && <Json label="error" value={error.details} />}
    </section>
  )

const kinds = {
  error: "an error that its type declares",
  defect: "a defect: nothing declares this error",
  timeout: "the attempt took longer than it may",
  invalid: "the payload does not fit its type",
  quarantined: "its process died again and again while it ran",
  dependency: "a task that it depends on did not complete"
} as const

/** A trace, with a link to where it is shown, if the server says where. */
const Trace = ({ id }: { readonly id: string }) => {
  const template = me.value?.trace_url
  return (
    <>
      {template === undefined
        ? <code>{id}</code>
        : (
          <a href={template.replaceAll("{trace_id}", encodeURIComponent(id))} rel="noreferrer">
            <code>{id}</code>
          </a>
        )}{" "}
      <small>
        <a href={link(["tasks"], { trace: id })}>tasks</a>
      </small>
    </>
  )
}

const Facts = ({ task }: { readonly task: Found }) => (
  <dl class="facts">
    <Fact name="Queue">
      <a href={link(["tasks"], { queue: exact(task.queue) })}>{task.queue}</a>
    </Fact>
    <Fact name="Priority">{Texts.priority(task.priority)}</Fact>
    {task.key !== null && (
      <Fact name="Key">
        <code>{task.key}</code>
      </Fact>
    )}
    {task.tags !== undefined && (
      <Fact name="Tags">
        <Tags of={task.tags} />
      </Fact>
    )}
    {task.trace_id !== undefined && (
      <Fact name="Trace">
        <Trace id={task.trace_id} />
      </Fact>
    )}
    <Fact name="Created">
      <Instant at={task.created_at} />{" "}
      <small>
        <Ago at={task.created_at} />
      </small>
    </Fact>
    {!isFinished(task.status) && task.status !== "running" && (
      <Fact name="Due">
        {(task.status === "scheduled" ? Texts.waitsFor(task) : undefined) ?? (
          <>
            <Instant at={task.due_at} />{" "}
            <small>
              <Ago at={task.due_at} />
            </small>
          </>
        )}
      </Fact>
    )}
    {task.start_by !== null && (
      <Fact name="Start by">
        <Instant at={task.start_by} />
      </Fact>
    )}
    {task.expires_at !== null && (
      <Fact name="Expires">
        <Instant at={task.expires_at} />
      </Fact>
    )}
    {task.completed_at !== null && (
      <Fact name="Finished">
        <Instant at={task.completed_at} />
      </Fact>
    )}
    <Fact name="Attempts">{Texts.count(task.attempts)}</Fact>
    <Fact name="Retries">
      {Texts.count(task.retry_count)} of {task.max_retries === -1 ? "any number" : Texts.count(task.max_retries)}
    </Fact>
    {task.crashes > 0 && <Fact name="Crashes">{Texts.count(task.crashes)}</Fact>}
    {task.timeout_ms !== null && <Fact name="Time limit">{Texts.duration(task.timeout_ms)} an attempt</Fact>}
    {task.instance !== null && (
      <Fact name="Instance">
        <code>{task.instance}</code>
      </Fact>
    )}
    {task.waits_for !== undefined && <Fact name="Waits for">{Texts.counted(task.waits_for, "task")}</Fact>}
  </dl>
)

const Fact = ({ children, name }: { readonly name: string; readonly children: preact.ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)
