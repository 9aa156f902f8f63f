/** Lines over time: a person points at them, marks a part to look at it closer, or walks along them with the arrow keys. */
import { signal, useSignal } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import uPlot from "uplot"
import { timeZone } from "../Session.ts"
import * as Texts from "../Texts.ts"
import { theme } from "../Theme.ts"

/** A line. */
export interface Line {
  readonly name: string
  /** The name of a colour: see the styles. */
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
  readonly isDashed?: boolean
}

/** The lines of a chart. */
export interface Lines {
  readonly title: string
  /** Milliseconds since the epoch. */
  readonly times: ReadonlyArray<number>
  readonly lines: ReadonlyArray<Line>
  /** A value for people. */
  readonly format: (value: number) => string
  /** Called with the part of the time that was marked. */
  readonly onLook: (fromMs: number, toMs: number) => void
}

const height = 150
const axisWidth = 58

const systemIsDark = matchMedia("(prefers-color-scheme: dark)")
const system = signal(systemIsDark.matches)
systemIsDark.addEventListener("change", ({ matches }) => {
  system.value = matches
})

/** The chart, with a legend that says the values of the moment that is pointed at, or the latest ones. */
export const Chart = (props: Lines) => {
  const { format, lines, times, title } = props
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const latest = useRef(props)
  latest.current = props
  const pointed = useSignal<number | undefined>(undefined)
  const shape = [title, theme.value, system.value, timeZone.value, ...lines.map(({ name }) => name)].join()

  useEffect(() => {
    const element = box.current!
    const chart = new uPlot(
      optionsOf(element, latest, (index) => pointed.value = index),
      dataOf(latest.current),
      element
    )
    plot.current = chart
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      chart.destroy()
    }
  }, [shape])
  useEffect(() => plot.current?.setData(dataOf(props)), [times, lines])

  const walk = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key]
    if (step === undefined || times.length === 0) return
    event.preventDefault()
    const last = times.length - 1
    const index = Math.min(last, Math.max(0, (pointed.value ?? last) + step))
    plot.current?.setCursor({ left: plot.current.valToPos(times[index]!, "x"), top: 0 })
  }
  const index = pointed.value ?? times.length - 1
  const valueOf = ({ values }: Line): string => {
    const value = values[index]
    return value === undefined || value === null ? "–" : format(value)
  }
  return (
    <figure class="card chart">
      <figcaption>
        <h2>{title}</h2>
        <small class="number">{pointed.value === undefined ? "" : Texts.instant(times[index] ?? 0)}</small>
      </figcaption>
      <div
        ref={box}
        class="chart-box"
        role="img"
        tabIndex={0}
        aria-label={`${title}: ${lines.map((line) => `${line.name} ${valueOf(line)}`).join(", ")}`}
        onKeyDown={walk}
        onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
      />
      <dl class="legend">
        {lines.map((line) => (
          <div key={line.name}>
            <dt>
              <i
                class={line.isDashed === true ? "dashed" : undefined}
                style={{ color: `var(--${line.colour})` }}
                aria-hidden="true"
              />
              {line.name}
            </dt>
            <dd class="number">{valueOf(line)}</dd>
          </div>
        ))}
      </dl>
    </figure>
  )
}

const dataOf = ({ lines, times }: Lines): uPlot.AlignedData =>
  [[...times], ...lines.map(({ values }) => values.slice(0, times.length))] as uPlot.AlignedData

const optionsOf = (
  element: HTMLElement,
  latest: { readonly current: Lines },
  onPoint: (index: number | undefined) => void
): uPlot.Options => {
  const colour = colours(element)
  const line = colour("line")
  const soft = colour("soft")
  const { lines } = latest.current
  return {
    width: Math.max(1, element.clientWidth),
    height,
    ms: 1,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    tzDate: (at) => uPlot.tzDate(new Date(at), timeZone.value),
    scales: { y: { range: (_, _min, max) => [0, max > 0 ? max * 1.08 : 1] } },
    cursor: { sync: { key: "overview" }, drag: { x: true, y: false, setScale: false }, y: false, points: { size: 6 } },
    axes: [
      {
        stroke: soft,
        grid: { show: false },
        ticks: { show: false },
        space: 70,
        size: 26,
        values: (_, splits, _axis, _space, step) => splits.map((at) => timeText(at, step))
      },
      {
        stroke: soft,
        grid: { stroke: line, width: 1 },
        ticks: { show: false },
        space: 30,
        // As wide as the longest text: one of durations has up to ten letters
        size: (_, texts) => Math.max(axisWidth, ...(texts ?? []).map(({ length }) => 14 + 6.5 * length)),
        values: (_, values) => values.map((value) => latest.current.format(value))
      }
    ],
    series: [
      {},
      ...lines.map(({ colour: name, isDashed }): uPlot.Series => ({
        stroke: colour(name),
        width: 1.75,
        ...isDashed === true && { dash: [5, 4] },
        points: { show: true, size: 4, filter: alone }
      }))
    ],
    hooks: {
      setCursor: [({ cursor: { idx } }) => onPoint(idx ?? undefined)],
      setSelect: [(chart) => {
        const { left, width } = chart.select
        if (width < 4) return
        const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")]
        chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
        latest.current.onLook(from, to)
      }]
    }
  }
}

/** Points between two that are not known: no line goes through them. */
const alone: uPlot.Series.Points.Filter = (chart, index) => {
  const values = chart.data[index]!
  return [...values.keys()].filter((place) =>
    values[place] !== null && (values[place - 1] ?? null) === null && (values[place + 1] ?? null) === null
  )
}

/** Time of day where the marks are that near, else the date. */
const timeText = (at: number, stepMs: number): string => {
  const [date = "", clock = ""] = Texts.instant(at).split(" ")
  if (stepMs < 60_000) return clock
  return stepMs >= 86_400_000 || clock.startsWith("00:00") ? date.slice(5) : clock.slice(0, 5)
}

/** A canvas knows no variables of styles: their colours are read as they are now. */
const colours = (element: HTMLElement) => {
  const probe = element.appendChild(document.createElement("span"))
  const names = ["line", "soft", "enqueued", "started", "completed", "failed", "pending", "running", "scheduled"]
  const found = new Map([...names, "p50", "p95", "p99"].map((name) => {
    probe.style.color = `var(--${name})`
    return [name, getComputedStyle(probe).color]
  }))
  probe.remove()
  return (name: string): string => found.get(name) ?? "gray"
}
