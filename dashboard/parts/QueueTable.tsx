/** Queues and their types: what waits and runs, and since when the next one waits. */
import { exact } from "../Requests.ts"
import { link } from "../Router.ts"
import { may } from "../Session.ts"
import * as Texts from "../Texts.ts"
import type { QueuePage } from "../Wire.ts"
import { PauseButton, Paused } from "./PauseButton.tsx"
import { Ago } from "./Time.tsx"

/** A table of queues, with their types below each where there are several. */
export const QueueTable = ({ onChanged, queues }: {
  readonly queues: QueuePage["queues"]
  readonly onChanged: () => void
}) => (
  <div class="table-box scrolling" tabIndex={0} role="group" aria-label="Queues">
    <table>
      <thead>
        <tr>
          <th scope="col">Queue and type</th>
          <th scope="col" class="right">Scheduled</th>
          <th scope="col" class="right">Pending</th>
          <th scope="col" class="right">Running</th>
          <th scope="col" class="right">Waits since</th>
          <th scope="col">
            <span class="hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {queues.map(({ pause, queue, types, ...counts }) => (
          <>
            <tr key={queue} class="row-head">
              <th scope="row">
                <a href={link(["tasks"], { queue: exact(queue) })}>{queue}</a>{" "}
                {pause !== null && <Paused pause={pause} />}
              </th>
              <Counts counts={counts} query={{ queue: exact(queue) }} />
              <td class="right">
                {may("admin") && (
                  <PauseButton
                    kind="queue"
                    name={queue}
                    path={`api/v1/queues/${encodeURIComponent(queue)}`}
                    isPaused={pause !== null}
                    onChanged={onChanged}
                  />
                )}
              </td>
            </tr>
            {types.map(({ type, ...counts }) => (
              <tr key={`${queue} ${type}`} class="row-type">
                <td>
                  <a href={link(["tasks"], { queue: exact(queue), type: exact(type) })}>{type}</a>
                </td>
                <Counts counts={counts} query={{ queue: exact(queue), type: exact(type) }} />
                <td />
              </tr>
            ))}
          </>
        ))}
      </tbody>
    </table>
  </div>
)

const waiting = ["scheduled", "pending", "running"] as const

const Counts = ({ counts, query }: {
  readonly counts: Readonly<Record<typeof waiting[number], number>> & { readonly waiting_since: string | null }
  readonly query: Readonly<Record<string, string>>
}) => (
  <>
    {waiting.map((state) => (
      <td key={state} class="right number">
        {counts[state] === 0
          ? <span class="soft">0</span>
          : <a href={link(["tasks"], { ...query, status: state })}>{Texts.count(counts[state])}</a>}
      </td>
    ))}
    <td class="right number">
      {counts.waiting_since === null ? <span class="soft">–</span> : <Ago at={counts.waiting_since} />}
    </td>
  </>
)
