/** What happened in the time that the address names: rates, depth, waits and runs, how busy slots were, and each queue and type. */
import { useRef } from "preact/hooks"
import { address, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { asked, isEmpty, look, polling, rates, timesOf } from "../Statistics.ts"
import * as Texts from "../Texts.ts"
import type { Statistics } from "../Wire.ts"
import { Chart } from "./Chart.tsx"
import { Empty, FirstCommand } from "./Empty.tsx"
import { Loaded } from "./Loaded.tsx"
import { SpanPicker } from "./SpanPicker.tsx"
import { TypeTable } from "./TypeTable.tsx"
import { Utilisation } from "./Utilisation.tsx"

/** The charts and the table. */
export const History = () => {
  const path = address("api/v1/statistics", asked())
  const statistics = useResource(`statistics ${path}`, (ended) => get<Statistics>(path, ended), {
    polling: polling(),
    live: polling()
  })
  // Another time takes a moment: until then the one before stays, so that nothing jumps
  const last = useRef<Statistics>(undefined)
  last.current = statistics.data.value ?? last.current
  const before = last.current
  return (
    <section class="history" aria-label="What happened">
      <SpanPicker found={statistics.data.value} />
      {before !== undefined && statistics.data.value === undefined && statistics.error.value === undefined
        ? <div class="outdated">{contentOf(before)}</div>
        : <Loaded resource={statistics} lines={5}>{contentOf}</Loaded>}
    </section>
  )
}

const contentOf = (found: Statistics) => isEmpty(found) ? <Nothing found={found} /> : <Charts found={found} />

const Charts = ({ found }: { readonly found: Statistics }) => {
  const { counts, depth, oldest_ms, run_ms, wait_ms } = found
  const times = timesOf(found)
  const failed = counts.failed.map((count, index) => count + counts.retried[index]!)
  const each = { times, onLook: look }
  return (
    <>
      <div class="charts">
        <Chart
          {...each}
          title="Tasks a second"
          format={rateText}
          lines={[
            { name: "enqueued", colour: "enqueued", values: rates(found, counts.enqueued) },
            { name: "started", colour: "started", values: rates(found, counts.started), isDashed: true },
            { name: "completed", colour: "completed", values: rates(found, counts.completed) },
            { name: "failed", colour: "failed", values: rates(found, failed) }
          ]}
        />
        <Chart
          {...each}
          title="Unfinished tasks"
          format={(value) => Texts.compact(Math.round(value))}
          lines={[
            { name: "pending", colour: "pending", values: depth.pending },
            { name: "running", colour: "running", values: depth.running },
            { name: "scheduled", colour: "scheduled", values: depth.scheduled, isDashed: true }
          ]}
        />
        <Chart
          {...each}
          title="Wait until tasks start"
          format={Texts.duration}
          lines={[
            { name: "p50", colour: "p50", values: wait_ms.p50 },
            { name: "p95", colour: "p95", values: wait_ms.p95 },
            { name: "p99", colour: "p99", values: wait_ms.p99 },
            { name: "first in line", colour: "pending", values: oldest_ms, isDashed: true }
          ]}
        />
        <Chart
          {...each}
          title="Time that attempts take"
          format={Texts.duration}
          lines={[
            { name: "p50", colour: "p50", values: run_ms.p50 },
            { name: "p95", colour: "p95", values: run_ms.p95 },
            { name: "p99", colour: "p99", values: run_ms.p99 }
          ]}
        />
      </div>
      <Utilisation found={found} />
      {found.types.length > 0 && <TypeTable types={found.types} />}
    </>
  )
}

const rateText = (value: number): string =>
  value > 0 && value < 0.1 ? value.toFixed(3) : value < 10 ? Texts.decimal(value) : Texts.compact(Math.round(value))

const Nothing = ({ found }: { readonly found: Statistics }) => (
  <>
    <Empty icon="overview" title="Nothing happened in this time">
      <p>
        As soon as tasks come, this page draws how many start and end, how long they wait and run, and how busy the
        slots are. It goes back 31 days: choose a longer time above, or enqueue a task.
      </p>
      <FirstCommand />
    </Empty>
    {found.instances.length > 0 && <Utilisation found={found} />}
  </>
)
