/** The tasks, newest first: filtered by what the address says, in pages, and up to date. */
import { useEffect } from "preact/hooks"
import * as Live from "../Live.ts"
import { ActOnAll } from "../parts/ActOnAll.tsx"
import { Empty, FirstCommand } from "../parts/Empty.tsx"
import { Icon } from "../parts/Icon.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { SearchBar } from "../parts/SearchBar.tsx"
import { TaskTable } from "../parts/TaskTable.tsx"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { link } from "../Router.ts"
import { may } from "../Session.ts"
import * as Terms from "../Terms.ts"
import * as Texts from "../Texts.ts"
import { type State, states, type Stats, type TaskPage } from "../Wire.ts"

/** Tasks on a page. */
const pageSize = 50

/** The page. */
export const Tasks = ({ query }: { readonly query: Terms.Query }) => {
  const { cursor, queue, type } = query
  const filter = Terms.textOf(query)
  const tasks = useResource(`${filter} ${cursor ?? ""}`, (ended) => {
    // Times before now are counted anew with each look
    const search = Terms.searchOf(query)
    if (cursor !== undefined) search.set("cursor", cursor)
    search.set("limit", String(pageSize))
    search.set("brief", "true")
    return get<TaskPage>(`api/v1/tasks?${search}`, ended)
  })
  const stats = useResource("stats", (ended) => get<Stats>("api/v1/stats", ended), { live: 2000 })
  const { data, refresh } = tasks

  useEffect(() =>
    // Several types or queues are none that the stream knows
    Live.follow({ type: single(type), queue: single(queue) }, {
      onEvents: (events) => {
        const shown = new Set(data.value?.tasks.map(({ id }) => id))
        // Later pages begin at a cursor, so new tasks do not move them
        if (events.some(({ event, id }) => shown.has(id) || (cursor === undefined && event !== "progress"))) refresh()
      },
      onGap: refresh
    }), [filter, cursor])

  const { status: _, ...others } = Terms.filterOf(query)
  return (
    <div class="page">
      <div class="page-head">
        <h1>Tasks</h1>
        <div class="buttons">
          <ActOnAll query={query} />
          {may("write") && (
            <a class="button" href={link(["enqueue"])}>
              <Icon name="enqueue" size={15} />New task
            </a>
          )}
        </div>
      </div>
      <SearchBar query={query} />
      <States
        query={query}
        counts={countsOf(others, stats.data.value)}
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
            : Terms.isFiltered(query) || cursor !== undefined
            ? (
              <Empty icon="search" title="No task fits">
                <p>None that is stored has {filter === "" ? "a place on this page" : filter}.</p>
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

const single = (value: string | undefined): string | undefined => {
  const values = Terms.valuesOf(value ?? "")
  return values.length === 1 ? values[0] : undefined
}

/** The counts are of all tasks: with another filter they would say what is not so. */
const countsOf = (others: Terms.Query, stats: Stats | undefined) =>
  Object.keys(others).length === 0 ? stats?.by_status : undefined

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

const States = ({ counts, query }: {
  readonly query: Terms.Query
  readonly counts: Readonly<Record<State, number>> | undefined
}) => {
  const chosen = new Set(query["status"]?.split(",") ?? [])
  const to = (status: string | undefined): string => link(["tasks"], { ...Terms.filterOf(query), status })
  return (
    <div class="chips" role="group" aria-label="States">
      <a class="chip" href={to(undefined)} aria-current={chosen.size === 0 ? "true" : undefined}>All</a>
      {states.map((state) => {
        const others = chosen.has(state) ? [...chosen].filter((one) => one !== state) : [...chosen, state]
        return (
          <a
            key={state}
            class={`chip state-${state}`}
            href={to(others.length === 0 ? undefined : others.join(","))}
            aria-current={chosen.has(state) ? "true" : undefined}
          >
            <i aria-hidden="true" />
            {state}
            {counts !== undefined && <span class="number">{Texts.compact(counts[state])}</span>}
          </a>
        )
      })}
    </div>
  )
}

const Pages = ({ next, query, text }: {
  readonly query: Terms.Query
  readonly next: string | null
  readonly text?: string
}) => {
  const number = Number(query["page"] ?? 1)
  if (next === null && query["cursor"] === undefined) return null
  return (
    <nav class="pages" aria-label="Pages of the list">
      {query["cursor"] === undefined
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
