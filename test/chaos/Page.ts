/** The page about what was survived: written from the rows that a run of the suite left. */
import type { Row } from "./Scenario.ts"

/** Where the page is. */
export const path = new URL("../../docs/chaos.md", import.meta.url)

/** The line of the table, up to what differs from run to run. */
export const beginningOf = ({ store, what }: Pick<Row, "store" | "what">): string => `| ${store} | ${what} |`

const lineOf = (row: Row): string =>
  [
    beginningOf(row),
    `${seconds(row.lastedMs)} s |`,
    `${Math.round(row.keptSpeed * 100)} % |`,
    row.recoveredAfterMs === 0 ? "at once |" : `${seconds(row.recoveredAfterMs)} s |`,
    `${row.accepted} |`,
    `${row.cutOff} |`,
    `${row.repeated} |`
  ].join(" ")

const seconds = (ms: number): string => (ms / 1000).toFixed(1)

/** The whole page. */
export const render = (rows: ReadonlyArray<Row>): string =>
  `# What it survives

Three real server processes share one store, with leases of 2 s, while clients post about 200 tasks a second. Each row is a
fault in the middle of that load. \`npm run chaos\` runs the suite and writes this page; the tests check that it is complete.

After each fault a checker outside of the engine (\`test/chaos/Checker.ts\`) looks at the ids that were answered with 201, at a
ledger that every attempt writes with the number of its claim, and at the tasks as the API shows them. In every row:

- every accepted task is stored and completed;
- no task was settled by a claim after a later claim of it was given;
- no claim number was given twice, and within a task they grow;
- no finished task changed;
- no fault was counted as a failure of a task;
- the speed was back within one lease, every process was alive and healthy, and nobody had done anything.

| store | fault | lasted | speed meanwhile | full speed again after | tasks | leases that ran out | ends that settled nothing |
|---|---|---|---|---|---|---|---|
${rows.map(lineOf).join("\n")}

Full speed is six tenths of the slower of two speeds, before the fault and at the end, in a window of half a second: a busy
machine varies by that much by itself. An end that settled nothing is an attempt whose handler came to its end although the task was
another's by then, or whose process died before it was settled: the task ran again, and the late end changed nothing.

A network that goes dead without a word is noticed within about half a lease, by limits on every answer. What TLS hides is
noticed by the probes of the operating system, within 20 s.
`
