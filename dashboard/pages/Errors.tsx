/** Which failures happened in a time: how often, since when, and the tasks that failed so. */
import { Empty } from "../parts/Empty.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { SpanChips } from "../parts/SpanPicker.tsx"
import { Ago } from "../parts/Time.tsx"
import { address, exact, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { link } from "../Router.ts"
import { asked, polling } from "../Statistics.ts"
import * as Texts from "../Texts.ts"
import type { Errors as Found } from "../Wire.ts"

/** The page. */
export const Errors = () => {
  const { from, last, to } = asked()
  const path = address("api/v1/errors", { from, last, to })
  const errors = useResource(path, (ended) => get<Found>(path, ended), { live: polling(), polling: polling() })
  return (
    <div class="page">
      <div class="page-head">
        <h1>Errors</h1>
        <SpanChips />
      </div>
      <Loaded resource={errors}>
        {(found) =>
          found.groups.length === 0 && found.others === 0
            ? (
              <Empty icon="good" title="No attempt failed">
                <p>
                  Failures of this time are here by what they have in common: those whose messages differ in ids and
                  numbers alone are one.
                </p>
              </Empty>
            )
            : (
              <>
                <ol class="errors">{found.groups.map((group) => <Group key={nameOf(group)} of={group} />)}</ol>
                {found.others > 0 && (
                  <p class="soft">and {Texts.counted(found.others, "failure")} of other kinds, each less frequent</p>
                )}
              </>
            )}
      </Loaded>
    </div>
  )
}

type ErrorGroup = Found["groups"][number]

const nameOf = ({ kind, message, tag, type }: ErrorGroup): string => JSON.stringify([type, kind, tag, message])

const Group = ({ of: group }: { readonly of: ErrorGroup }) => {
  const { failed, first_at, kind, last_at, latest, message, retried, tag, type } = group
  const tasks = link(["tasks"], { type: exact(type), error_tag: exact(tag), kind, text: message.trim() })
  return (
    <li class="card error-group">
      <div class="error-what">
        <h2>
          <a href={tasks}>
            <span class="error-tag">{tag}</span> <small>{type}</small>
          </a>
        </h2>
        {message !== "" && <p class="error-message" dir="auto">{message}</p>}
        <p class="soft error-when">
          <span>
            first <Ago at={first_at} />
          </span>
          <span>
            last <Ago at={last_at} />
          </span>
          {kind !== "error" && <span>{kind}</span>}
          <a href={tasks}>its tasks</a>
          <a href={link(["tasks", latest])}>the latest</a>
        </p>
      </div>
      <Trend columns={group.by_column} />
      <p class="error-counts">
        <b class="number">{Texts.compact(failed + retried)}</b>
        <small>{failed === 0 ? "all retried" : retried === 0 ? "for good" : `${Texts.compact(failed)} for good`}</small>
      </p>
    </li>
  )
}

/** How often it happened, from left to right. */
const Trend = ({ columns }: { readonly columns: ReadonlyArray<number> }) => {
  const top = Math.max(1, ...columns)
  const known = columns.findIndex((count) => count > 0)
  const isNew = known > columns.length / 2
  return (
    <svg
      class="trend"
      viewBox={`0 0 ${columns.length} 1`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${columns.filter((count) => count > 0).length} of ${columns.length} parts of the time have it${
        isNew ? ", all in the second half" : ""
      }`}
    >
      {columns.map((count, index) => {
        const height = count === 0 ? 0.03 : Math.max(0.12, count / top)
        return (
          <rect
            key={index}
            class={count === 0 ? "trend-none" : undefined}
            x={index + 0.1}
            y={1 - height}
            width={0.8}
            height={height}
          />
        )
      })}
    </svg>
  )
}
