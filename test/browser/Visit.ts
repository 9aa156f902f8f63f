/** A visit to a page of a server: what it asked for, what went wrong in it, and what a person who cannot see would miss. */
import axe from "axe-core"
import { Effect, type Scope } from "effect"
import type { Browser, Page } from "playwright-core"
import * as Chromium from "./Chromium.ts"

/** An open page. */
export interface Visit {
  readonly page: Page
  /** What went wrong: errors of scripts, of the console, of requests, and what the policy of the page forbids. */
  readonly problems: Array<string>
  /** The addresses that were asked for. */
  readonly asked: ReadonlyArray<string>
}

/** How it is looked at. */
export interface Options {
  readonly width?: number
  readonly height?: number
  readonly theme?: "light" | "dark"
  /** What is answered instead of the server, by a pattern of the address. */
  readonly answers?: Readonly<Record<string, unknown>>
}

/** Opens a page in a browser of its own storage. It is closed with the scope. */
export const open = Effect.fnUntraced(function*(
  browser: Browser,
  url: string,
  { answers = {}, height = 800, theme = "light", width = 1280 }: Options = {}
): Effect.fn.Return<Visit, never, Scope.Scope> {
  const context = yield* Effect.acquireRelease(
    Effect.promise(() => browser.newContext({ viewport: { width, height }, colorScheme: theme })),
    (context) => Effect.promise(() => context.close())
  )
  const page = yield* Effect.promise(() => context.newPage())
  page.setDefaultTimeout(Chromium.patienceMs)
  const problems: Array<string> = []
  const asked: Array<string> = []
  page.on("request", (request) => asked.push(request.url()))
  page.on("response", (response) => {
    if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`)
  })
  page.on("pageerror", (error) => problems.push(String(error)))
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(message.text())
  })
  page.on("dialog", (dialog) => {
    problems.push(`A dialog was opened: ${dialog.message()}`)
    void dialog.dismiss()
  })
  for (const [pattern, json] of Object.entries(answers)) {
    yield* Effect.promise(() => page.route(pattern, (route) => route.fulfill({ json })))
  }
  yield* Effect.promise(() => page.goto(url))
  return { page, problems, asked }
})

/** What the functions below use of a browser; the types of the project are Node's. */
interface BrowserGlobals {
  readonly document: { readonly documentElement: { readonly scrollWidth: number; readonly clientWidth: number } }
  readonly axe: { readonly run: () => Promise<{ readonly violations: ReadonlyArray<Violation> }> }
}

interface Violation {
  readonly id: string
  readonly help: string
  readonly nodes: ReadonlyArray<{ readonly html: string; readonly failureSummary?: string }>
}

/** What axe finds fault with. */
export const faults = ({ page }: Visit): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    await page.evaluate(`${axe.source}\n;0`)
    const { violations } = await page.evaluate(() => (globalThis as unknown as BrowserGlobals).axe.run())
    return violations.flatMap(({ help, id, nodes }) =>
      nodes.map(({ failureSummary = "", html }) =>
        `${id}: ${help}: ${html.slice(0, 200)} ${failureSummary.slice(0, 300)}`
      )
    )
  })

/** How many pixels of the page are beside the window. */
export const overflow = ({ page }: Visit): Effect.Effect<number> =>
  Effect.promise(() =>
    page.evaluate(() => {
      const { documentElement } = (globalThis as unknown as BrowserGlobals).document
      // The room of the scroll bar is no part of it
      return Math.max(0, documentElement.scrollWidth - documentElement.clientWidth)
    })
  )

/** The text of the page's main part. */
export const text = ({ page }: Visit): Effect.Effect<string> => Effect.promise(() => page.innerText("main"))

/** Does something on the page. */
export const act = <A>(does: () => Promise<A>): Effect.Effect<A> => Effect.promise(does)
