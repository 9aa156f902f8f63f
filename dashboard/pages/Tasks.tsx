/** The tasks, newest first: filtered by what the address says, in pages, and up to date. */
import { useSignal } from "@preact/signals"
import { useEffect, useId } from "preact/hooks"
import * as Live from "../Live.ts"
import { Empty, FirstCommand } from "../parts/Empty.tsx"
import { Icon } from "../parts/Icon.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { TaskTable } from "../parts/TaskTable.tsx"
import { address, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { go, link } from "../Router.ts"
import * as Texts from "../Texts.ts"
import { type QueuePage, type State, states, type Stats, type TaskPage, type TypePage } from "../Wire.ts"

/** Tasks on a page. */
const pageSize = 50

/** What an address may say of the list. */
interface Query {
  readonly status?: string | undefined
  readonly type?: string | undefined
  readonly queue?: string | undefined
  readonly cursor?: string | undefined
  /** The number of the page that the cursor is of. */
  readonly page?: string | undefined
}

/** The page. */
export const Tasks = ({ query }: { readonly query: Query }) => {
  const { cursor, queue, status, type } = query
  const path = address("api/v1/tasks", { status, type, queue, cursor, limit: pageSize })
  const tasks = useResource(path, (ended) => get<TaskPage>(path, ended))
  const stats = useResource("stats", (ended) => get<Stats>("api/v1/stats", ended), { live: 2000 })
  const { data, refresh } = tasks

  useEffect(() =>
    Live.follow({ type, queue }, {
      onEvents: (events) => {
        const shown = new Set(data.value?.tasks.map(({ id }) => id))
        // Later pages begin at a cursor, so new tasks do not move them
        if (events.some(({ event, id }) => shown.has(id) || (cursor === undefined && event !== "progress"))) refresh()
      },
      onGap: refresh
    }), [type, queue, cursor, status])

  const isFiltered = status !== undefined || type !== undefined || queue !== undefined
  return (
    <div class="page">
      <div class="page-head">
        <h1>Tasks</h1>
        <Find />
      </div>
      <Filters
        query={query}
        counts={isFiltered && (type ?? queue) !== undefined ? undefined : stats.data.value?.by_status}
      />
      <Loaded resource={tasks} lines={10}>
        {(found) =>
          found.tasks.length > 0
            ? (
              <>
                <TaskTable tasks={found.tasks} onChanged={refresh} />
                <Pages query={query} next={found.next} />
              </>
            )
            : found.next !== null
            ? (
              <Pages
                query={query}
                next={found.next}
                text="Nothing that fits on this page; there may be more on the next."
              />
            )
            : isFiltered || cursor !== undefined
            ? (
              <Empty icon="search" title="No task fits">
                <p>None that is stored has {describe(query)}.</p>
                <p>
                  <a href={link(["tasks"])}>Show all tasks</a>
                </p>
              </Empty>
            )
            : <First />}
      </Loaded>
    </div>
  )
}

const describe = ({ queue, status, type }: Query): string =>
  [
    status === undefined ? "" : `the state ${status.replaceAll(",", " or ")}`,
    type === undefined ? "" : `the type ${type}`,
    queue === undefined ? "" : `the queue ${queue}`
  ].filter((text) => text !== "").join(", ") || "a place on this page"

/** How the first task is made. */
const First = () => (
  <Empty icon="tasks" title="There are no tasks yet">
    <p>A task is a type and a payload. This one only answers with its payload, and appears here at once:</p>
    <FirstCommand />
    <p>
      Programs enqueue with <code>Task.enqueue</code>, the command line with{" "}
      <code>taskforge enqueue</code>. All routes are in <a href="docs">the reference</a>.
    </p>
  </Empty>
)

const Filters = ({ counts, query }: {
  readonly query: Query
  readonly counts: Readonly<Record<State, number>> | undefined
}) => {
  const chosen = new Set(query.status?.split(",") ?? [])
  const types = useResource("types", (ended) => get<TypePage>("api/v1/types?limit=200", ended), {
    live: 30_000,
    polling: 30_000
  })
  const queues = useResource("queues", (ended) => get<QueuePage>("api/v1/queues?limit=200", ended), {
    live: 30_000,
    polling: 30_000
  })
  const to = (change: Query): string => link(["tasks"], { ...query, cursor: undefined, page: undefined, ...change })
  return (
    <div class="filters">
      <div class="chips" role="group" aria-label="States">
        <a class="chip" href={to({ status: undefined })} aria-current={chosen.size === 0 ? "true" : undefined}>All</a>
        {states.map((state) => {
          const others = chosen.has(state) ? [...chosen].filter((one) => one !== state) : [...chosen, state]
          return (
            <a
              key={state}
              class={`chip state-${state}`}
              href={to({ status: chosen.has(state) && chosen.size === 1 ? undefined : others.join(",") })}
              aria-current={chosen.has(state) ? "true" : undefined}
            >
              <i aria-hidden="true" />
              {state}
              {counts !== undefined && <span class="number">{Texts.compact(counts[state])}</span>}
            </a>
          )
        })}
      </div>
      <Choice
        name="Type"
        value={query.type}
        choices={types.data.value?.types.map(({ type }) => type)}
        to={(type) => to({ type })}
      />
      <Choice
        name="Queue"
        value={query.queue}
        choices={queues.data.value?.queues.map(({ queue }) => queue)}
        to={(queue) => to({ queue })}
      />
    </div>
  )
}

/** A text of which the known ones are offered. */
const Choice = ({ choices = [], name, to, value }: {
  readonly name: string
  readonly value: string | undefined
  readonly choices: ReadonlyArray<string> | undefined
  readonly to: (value: string | undefined) => string
}) => {
  const list = useId()
  return (
    <label class="choice">
      <span>{name}</span>
      <input
        key={value ?? ""}
        list={list}
        defaultValue={value ?? ""}
        placeholder="all"
        spellcheck={false}
        autocomplete="off"
        onChange={(event) => {
          const text = event.currentTarget.value.trim()
          go(to(text === "" ? undefined : text))
        }}
      />
      <datalist id={list}>{choices.map((choice) => <option key={choice} value={choice} />)}</datalist>
    </label>
  )
}

/** Opens a task by its id. */
const Find = () => {
  const id = useSignal("")
  return (
    <form
      class="find"
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        if (id.value.trim() !== "") go(link(["tasks", id.value.trim()]))
      }}
    >
      <Icon name="search" size={16} />
      <input
        aria-label="Open a task by its id"
        placeholder="Open by id"
        spellcheck={false}
        autocomplete="off"
        value={id.value}
        onInput={(event) => {
          id.value = event.currentTarget.value
        }}
      />
    </form>
  )
}

const Pages = ({ next, query, text }: {
  readonly query: Query
  readonly next: string | null
  readonly text?: string
}) => {
  const number = Number(query.page ?? 1)
  if (next === null && query.cursor === undefined) return null
  return (
    <nav class="pages" aria-label="Pages of the list">
      {query.cursor === undefined
        ? <span />
        : (
          <a class="button" href={link(["tasks"], { ...query, cursor: undefined, page: undefined })}>
            <Icon name="previous" size={15} />Newest
          </a>
        )}
      <span class="soft">{text ?? `Page ${number}`}</span>
      {next === null
        ? <span class="soft">The end</span>
        : (
          <a class="button" href={link(["tasks"], { ...query, cursor: next, page: number + 1 })}>
            Older<Icon name="next" size={15} />
          </a>
        )}
    </nav>
  )
}
