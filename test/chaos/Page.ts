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
fault in the middle of that load. \`npm run chaos\` runs the suite and writes this page; a test checks that the page has every fault.

After each fault a checker outside of the engine (\`test/chaos/Checker.ts\`) compares three things: the ids that were answered with 201, a
ledger in which every attempt writes the number of its claim, and the tasks as the API shows them. In every row:

- every accepted task is stored and completed;
- no claim settled a task after a later claim of that task;
- no claim number was given twice, and the numbers of a task grow;
- no finished task changed;
- no fault was counted as a failure of a task;
- the speed was back within one lease, and every process was alive and healthy, without help from an operator.

| store | fault | lasted | speed during the fault | full speed again after | tasks | leases that ran out | ends that settled nothing |
|---|---|---|---|---|---|---|---|
${rows.map(lineOf).join("\n")}

Full speed means 60 % of the slower of two speeds, before the fault and at the end, in a window of half a second: the speed of a busy
machine varies by that much without any fault. Where the speed was not good enough, the fault was done again, three times at most. An end that settled nothing is the end of an attempt that had lost its task, or whose
process died before the end was stored: the task ran again, and the late end changed nothing.

A network that dies silently is noticed within about half a lease, because every answer has a time limit. With TLS to PostgreSQL, the probes of
the operating system notice it within 20 s.
`
