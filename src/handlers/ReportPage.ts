/** The page of a report: one HTML file with its style and its chart, and no script. */

/** A group with its figure. */
export interface Group {
  readonly name: string
  /** An integer beyond 2^53 is text. */
  readonly value: number | string | null
  readonly rows: number
}

/** What the page says. */
export interface ReportData {
  readonly title: string
  readonly source: string
  /** What the figures are, such as `sum of price`. */
  readonly unit: string
  readonly groups: ReadonlyArray<Group>
  readonly rows: number
  readonly badRows: number
  readonly at: Date
}

/** A figure to compare by; without one it counts as nothing. */
export const numberOf = (value: Group["value"]): number | bigint =>
  typeof value === "string" ? BigInt(value) : value ?? 0

/** Bars in the chart; the rest is one bar. */
const maxBars = 20

/** The page as HTML. */
export const page = ({ at, badRows, groups, rows, source, title, unit }: ReportData): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<header>
<h1>${escape(title)}</h1>
<p>From ${escape(source)}, ${escape(time(at))}</p>
</header>
<section class="facts">
${fact(number(groups.length), groups.length === 1 ? "group" : "groups")}
${fact(number(rows), rows === 1 ? "row" : "rows")}
${groups[0] === undefined ? "" : fact(escape(groups[0].name || "—"), `leads with ${figure(groups[0].value)}`)}
${badRows === 0 ? "" : fact(number(badRows), "bad rows left out")}
</section>
<figure>
<figcaption>${escape(unit)}</figcaption>
${groups.length === 0 ? `<p class="empty">There is nothing to show.</p>` : chart(groups, unit)}
</figure>
<table>
<thead><tr><th scope="col">Group</th><th scope="col">${escape(unit)}</th><th scope="col">Rows</th></tr></thead>
<tbody>
${groups.map(tableRow).join("\n")}
</tbody>
</table>
<footer>Made by TaskForge</footer>
</main>
</body>
</html>
`

const fact = (value: string, label: string): string =>
  `<div><strong>${value}</strong><span>${escape(label)}</span></div>`

const tableRow = ({ name, rows, value }: Group): string =>
  `<tr><th scope="row">${escape(name || "—")}</th><td>${figure(value)}</td><td>${number(rows)}</td></tr>`

/** Horizontal bars: names stay readable, however many and long they are. */
const chart = (groups: ReadonlyArray<Group>, unit: string): string => {
  const shown = groups.slice(0, maxBars)
  const values = shown.map(({ value }) => Number(numberOf(value)))
  const [min, max] = [Math.min(0, ...values), Math.max(0, ...values)]
  const span = max - min || 1
  const [labelWidth, barWidth, valueWidth, step, top] = [190, 560, 110, 34, 8]
  const x = (value: number) => labelWidth + ((value - min) / span) * barWidth
  const height = top + shown.length * step + 26
  const ticks = ticksOf(min, max)
  const bars = shown.map(({ name, value }, index) => {
    const y = top + index * step
    const [from, to] = [x(Math.min(0, values[index]!)), x(Math.max(0, values[index]!))]
    return `<g><title>${escape(`${name}: ${figure(value)}`)}</title>
<text class="name" x="${labelWidth - 12}" y="${y + 19}" text-anchor="end">${escape(clip(name || "—"))}</text>
<rect x="${round(from)}" y="${y + 4}" width="${Math.max(2, round(to - from))}" height="${step - 12}" rx="4"/>
<text class="value" x="${round(to) + 8}" y="${y + 19}">${figure(value)}</text></g>`
  })
  const grid = ticks.map((tick) =>
    `<line x1="${round(x(tick))}" x2="${round(x(tick))}" y1="${top}" y2="${height - 22}"/>
<text x="${round(x(tick))}" y="${height - 6}" text-anchor="middle">${number(tick)}</text>`
  )
  const rest = groups.length - shown.length
  return `<svg viewBox="0 0 ${labelWidth + barWidth + valueWidth} ${height}" role="img" aria-label="${
    escape(`${unit} by group`)
  }">
<g class="grid">${grid.join("\n")}</g>
<g class="bars">${bars.join("\n")}</g>
</svg>${rest > 0 ? `<p class="empty">and ${number(rest)} more, in the table</p>` : ""}`
}

/** Some four round numbers between the least and the greatest value. */
const ticksOf = (min: number, max: number): ReadonlyArray<number> => {
  const raw = (max - min || 1) / 4
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw) ?? raw
  const ticks: Array<number> = []
  for (let tick = Math.ceil(min / step) * step; tick <= max + step / 1e6; tick += step) {
    ticks.push(Math.abs(tick) < step / 1e6 ? 0 : tick)
  }
  return ticks
}

// Made where it is used: the tables behind it take 4 MB of an idle server
const number = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: 2 })
const figure = (value: Group["value"]): string =>
  value === null ? "—" : typeof value === "string" ? BigInt(value).toLocaleString("en") : number(value)
const round = (value: number): number => Math.round(value * 10) / 10
const time = (at: Date): string => `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`
const clip = (name: string): string => name.length > 26 ? `${name.slice(0, 25)}…` : name

const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --line: #e4e7ec; --paper: #fff; --ground: #f5f6f8; --bar: #3b6fe0 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf0; --soft: #98a2b3; --line: #2c3442; --paper: #171c25; --ground: #0f131a; --bar: #6c97f5 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 960px; margin: 0 auto; padding: 48px 24px }
h1 { margin: 0; font-size: 30px; line-height: 1.2; letter-spacing: -.02em; overflow-wrap: anywhere }
header p, footer { color: var(--soft); margin: 8px 0 0; font-size: 14px }
.facts { display: flex; flex-wrap: wrap; gap: 16px; margin: 28px 0 }
.facts div { flex: 1 1 150px; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 16px 20px; min-width: 0 }
.facts strong { display: block; font-size: 24px; line-height: 1.3; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.facts span { color: var(--soft); font-size: 14px }
figure { margin: 0 0 28px; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 20px 24px }
figcaption { font-weight: 600; margin-bottom: 12px }
svg { display: block; width: 100%; height: auto; font-size: 13px; font-variant-numeric: tabular-nums }
.bars rect { fill: var(--bar) } .bars text { fill: var(--ink) } .bars .value { font-weight: 600 }
.grid line { stroke: var(--line) } .grid text { fill: var(--soft); font-size: 12px }
.empty { color: var(--soft); margin: 12px 0 0 }
table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; overflow: hidden }
th, td { padding: 10px 20px; text-align: right; font-variant-numeric: tabular-nums; border-top: 1px solid var(--line) }
thead th { border-top: 0; color: var(--soft); font-size: 13px; font-weight: 600 }
tbody th { font-weight: 500; overflow-wrap: anywhere } th:first-child { text-align: left }
footer { margin-top: 28px }
`
