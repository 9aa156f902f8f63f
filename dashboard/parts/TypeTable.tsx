/** What happened to each queue and type, with a small line of how many started. */
import { exact } from "../Requests.ts"
import { link } from "../Router.ts"
import * as Texts from "../Texts.ts"
import type { Statistics } from "../Wire.ts"

/** Rows that are shown at first. */
const maxShown = 20

/** The table: those to which most happened first. */
export const TypeTable = ({ types }: { readonly types: Statistics["types"] }) => (
  <section>
    <div class="table-box scrolling" tabIndex={0} role="group" aria-label="What happened by queue and type">
      <table class="types">
        <thead>
          <tr>
            <th scope="col">Queue and type</th>
            <th scope="col" class="right">Started</th>
            <th scope="col" class="right">Completed</th>
            <th scope="col" class="right">Failed</th>
            <th scope="col" class="right">Wait p95</th>
            <th scope="col" class="right">Run p95</th>
            <th scope="col" class="right">Waiting</th>
            <th scope="col" class="right">The first for</th>
            <th scope="col" class="right">Drains in</th>
          </tr>
        </thead>
        <tbody>{types.slice(0, maxShown).map((one) => <Row key={`${one.queue} ${one.type}`} of={one} />)}</tbody>
      </table>
    </div>
    {types.length > maxShown && (
      <p class="soft">
        <small>
          and {Texts.counted(types.length - maxShown, "more queue and type", "more queues and types")}: see{" "}
          <code>taskforge statistics</code>
        </small>
      </p>
    )}
  </section>
)

const Row = ({ of: one }: { readonly of: Statistics["types"][number] }) => {
  const failed = one.failed + one.retried
  return (
    <tr>
      <th scope="row">
        <a href={link(["tasks"], { queue: exact(one.queue), type: exact(one.type) })}>
          {one.type} <small>{one.queue}</small>
        </a>
      </th>
      <td>
        <span class="spark-cell">
          <Spark started={one.started_by_column} failed={one.failed_by_column} />
          <span class="number">{Texts.compact(one.started)}</span>
        </span>
      </td>
      <td class="right number">{Texts.compact(one.completed)}</td>
      <td class="right number">
        {failed === 0 ? <span class="soft">0</span> : <span class="error-text">{Texts.compact(failed)}</span>}
      </td>
      <td class="right number">{time(one.wait_ms.p95)}</td>
      <td class="right number">{time(one.run_ms.p95)}</td>
      <td class="right number">{one.pending === null ? "–" : Texts.compact(Math.round(one.pending))}</td>
      <td class="right number">{one.oldest_ms === 0 ? "–" : time(one.oldest_ms)}</td>
      <td class="right number">{one.pending === 0 ? "–" : one.drain_ms === null ? "never" : time(one.drain_ms)}</td>
    </tr>
  )
}

const time = (ms: number | null): string => ms === null ? "–" : Texts.duration(ms)

/** Parts of a bar's height that show at least that there is something. */
const least = 0.08

/** Bars of what started, red from below as far as attempts failed. */
const Spark = (
  { failed, started }: { readonly started: ReadonlyArray<number>; readonly failed: ReadonlyArray<number> }
) => {
  const top = Math.max(1, ...started, ...failed)
  const bar = (index: number, count: number, name?: string) => {
    const height = Math.max(least, count / top)
    return (
      <rect key={`${name ?? ""}${index}`} class={name} x={index + 0.1} y={1 - height} width={0.8} height={height} />
    )
  }
  return (
    <svg class="spark" viewBox={`0 0 ${started.length} 1`} preserveAspectRatio="none" aria-hidden="true">
      {started.map((count, index) => count === 0 ? null : bar(index, count))}
      {failed.map((count, index) => count === 0 ? null : bar(index, count, "spark-failed"))}
    </svg>
  )
}
