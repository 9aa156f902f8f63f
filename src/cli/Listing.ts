/** What is shown in pages: as many as are wanted, in one table or as lines of JSON. */
import { Effect } from "effect"
import { Flag } from "effect/cli"
import type { TaskState } from "../domain/TaskState.ts"
import { pageSize } from "../http/api/RequestValues.ts"
import type { Failure } from "./Failure.ts"
import * as Input from "./Input.ts"
import * as Screen from "./Screen.ts"
import * as Table from "./Table.ts"
import * as Target from "./Target.ts"

/** The flags that say how many. */
export const flags = (size: number, all: string) => ({
  limit: Flag.Int("limit").pipe(
    Flag.withAlias("n"),
    Flag.withDescription("How many to show"),
    Flag.filter((limit) => limit > 0, (limit) => `Expected at least 1, got ${limit}`),
    Flag.withDefault(size)
  ),
  all: Input.toggleFlag("all", all)
})

/** The flags that say which tasks: `byStatus` and `others` begin their descriptions. */
export const filters = (states: ReadonlyArray<TaskState>, byStatus: string, others: string) => ({
  status: Flag.Literals("status", states).pipe(
    Flag.withDescription(`${byStatus} in this status; may be repeated`),
    Flag.atLeast(0)
  ),
  type: Flag.String("type").pipe(
    Flag.withAlias("t"),
    Flag.withDescription(`${others} of this type; may be repeated`),
    Flag.atLeast(0)
  ),
  queue: Flag.String("queue").pipe(
    Flag.withAlias("q"),
    Flag.withDescription(`${others} of this queue; may be repeated`),
    Flag.atLeast(0)
  )
})

/** What was given for {@link filters}, as requests have it. */
export const filterOf = ({ queue, status, type }: Target.Given<ReturnType<typeof filters>>) => ({
  ...(status.length === 0 ? {} : { status }),
  ...(type.length === 0 ? {} : { type }),
  ...(queue.length === 0 ? {} : { queue })
})

type Given = Target.Given<ReturnType<typeof flags>>

/** A page of what is listed. */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly next: string | null
  /** The time that ages are counted from, in milliseconds since the epoch. */
  readonly now: number
  /** What is said before the table, of the first page. */
  readonly notice?: ((paint: Screen.Paint) => string) | undefined
}

/** What is listed: how a page of it is read, and what a table shows of each. */
export interface Listing<A> {
  readonly read: (
    target: Target.Target["Service"],
    query: { readonly limit: number; readonly cursor?: string }
  ) => Effect.Effect<Page<A>, Failure>
  readonly columns: ReadonlyArray<Table.Column>
  readonly row: (item: A, paint: Screen.Paint, now: number) => ReadonlyArray<string>
  /** What is said when there is none. */
  readonly nothing: (paint: Screen.Paint) => string
  /** Which ones were shown, when there are more. */
  readonly shown: (count: number) => string
}

/** Shows them. */
export const show = Effect.fnUntraced(function*<A>({ all, json, limit }: Given, listing: Listing<A>) {
  const target = yield* Target.Target
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  const table = Table.inPages(listing.columns, paint.dim)
  const wanted = all ? Infinity : limit
  let shown = 0
  let cursor: string | null = null
  do {
    const query = { limit: Math.min(wanted - shown, pageSize.max), ...(cursor === null ? {} : { cursor }) }
    const page: Page<A> = yield* listing.read(target, query)
    if (!json && cursor === null && page.notice !== undefined) yield* Screen.line(page.notice(paint))
    if (json) yield* Effect.forEach(page.items, Screen.json, { discard: true })
    else if (page.items.length > 0) {
      const rows = page.items.map((item) => listing.row(item, paint, page.now))
      for (const line of table(rows, yield* screen.columns)) yield* Screen.line(line)
    }
    shown += page.items.length
    cursor = page.next
  } while (cursor !== null && shown < wanted)
  if (json) return
  if (shown === 0) yield* Screen.line(listing.nothing(paint))
  else if (cursor !== null) yield* Screen.line(paint.dim(`${listing.shown(shown)}; more with --limit or --all`))
})

/** What is said when there is nothing at all. */
export const noTasks = ({ accent }: Screen.Paint): string =>
  `There are no tasks yet. Enqueue one:\n\n  ${accent(`taskforge enqueue echo '{"hello": "world"}'`)}`
