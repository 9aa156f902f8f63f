/** The index of the decisions, written from their pages. */

/** The head of a decision's page. */
export interface Decision {
  readonly file: string
  readonly number: number
  readonly title: string
  readonly status: string
  readonly date: string
}

/** Reads the head of a page, which has one form; nothing where a page has another. */
export const decisionOf = (file: string, markdown: string): Decision | undefined => {
  const head = /^# (?<number>\d+)\. (?<title>.+)\n\nStatus: (?<status>.+?), (?<date>\d{4}-\d\d-\d\d)\n\n/.exec(markdown)
  if (head === null) return undefined
  const { date, number, status, title } = head.groups as Record<"date" | "number" | "status" | "title", string>
  return { file, number: Number(number), title, status, date }
}

/** The whole index. */
export const render = (decisions: ReadonlyArray<Decision>): string =>
  [
    "# Decisions",
    "",
    "Each page says what was to be decided, what was considered, what was measured, and what follows. To change a decision, write a",
    "new page with the evidence, and name it in the status of the old one.",
    "",
    "A page begins with `# number. Title` and a line such as `Status: accepted, 2026-11-22`, or",
    "`Status: accepted, changed by [54](0054-claims-follow-an-index-of-lanes.md), 2026-11-22`. Its number is the next one after the last",
    "below. `npx vitest run test/docs/decisions.test.ts -u` writes this page from the others.",
    "",
    "| number | decision | status | date |",
    "|---|---|---|---|",
    ...decisions.map(({ date, file, number, status, title }) =>
      `| ${number} | [${title}](${file}) | ${status} | ${date} |`
    ),
    "",
    `A number is given to a question before its answer is known. These questions turned out to need no page: ${
      missingFrom(decisions.map(({ number }) => number)).join(", ")
    }.`,
    ""
  ].join("\n")

const missingFrom = (numbers: ReadonlyArray<number>): ReadonlyArray<number> =>
  Array.from({ length: Math.max(...numbers) }, (_, index) => index + 1).filter((number) => !numbers.includes(number))
