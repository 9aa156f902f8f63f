/** How many tasks were created, completed and failed in each second of the last minutes, since the page was opened. */
import { signal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import { decimal } from "../Texts.ts"
import type { Stats } from "../Wire.ts"

const series = ["created", "completed", "failed"] as const

/** A look at the totals. */
interface Sample {
  readonly at: number
  readonly totals: Stats["totals"]
}

/** How long samples are kept, in milliseconds. */
const keptMs = 10 * 60_000
const maxSamples = 700
const samples = signal<ReadonlyArray<Sample>>([])

/** Width and height of the drawing, which is stretched. */
const [width, height] = [600, 80]

/** The lines. */
export const Rates = ({ stats }: { readonly stats: Stats }) => {
  useEffect(() => {
    const at = Date.now()
    samples.value = [...samples.value, { at, totals: stats.totals }].filter((one) => at - one.at < keptMs).slice(
      -maxSamples
    )
  }, [stats])
  const all = samples.value
  const rates = series.map((name) =>
    all.slice(1).map(({ at, totals }, index) => {
      const before = all[index]!
      // A server that is another one since may have counted less
      return { at, rate: Math.max(0, (totals[name] - before.totals[name]) / Math.max(1, at - before.at) * 1000) }
    })
  )
  const max = Math.max(1, ...rates.flat().map(({ rate }) => rate))
  const [from, to] = [all[0]?.at ?? 0, all.at(-1)?.at ?? 1]
  const x = (at: number) => (at - from) / Math.max(1, to - from) * width
  const y = (rate: number) => height - 2 - rate / max * (height - 4)
  return (
    <div class="rates">
      <dl>
        {series.map((name, index) => (
          <div key={name} class={`state-${name === "created" ? "running" : name}`}>
            <dt>
              <i aria-hidden="true" />
              {name}
            </dt>
            <dd class="number">
              {decimal(mean(rates[index]!))}
              <small>/ s</small>
            </dd>
          </div>
        ))}
      </dl>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Tasks a second since the page was opened; ${decimal(max)} at most`}
      >
        {series.map((name, index) => (
          <polyline
            key={name}
            class={`state-${name === "created" ? "running" : name}`}
            points={rates[index]!.map(({ at, rate }) => `${x(at).toFixed(1)},${y(rate).toFixed(1)}`).join(" ")}
          />
        ))}
      </svg>
    </div>
  )
}

/** Of the latest seconds. */
const mean = (rates: ReadonlyArray<{ readonly rate: number }>): number => {
  const latest = rates.slice(-5)
  return latest.length === 0 ? 0 : latest.reduce((sum, { rate }) => sum + rate, 0) / latest.length
}
