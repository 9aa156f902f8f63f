import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Browser } from "playwright-core"
import * as Server from "../e2e/Server.ts"
import { withServer } from "../servers/withServer.ts"
import * as Chromium from "./Chromium.ts"

/** A page of the server, and what went wrong in it: failed requests, and what the policy of the page forbids. */
const open = Effect.fnUntraced(function*(browser: Browser, url: string, width: number) {
  const page = yield* Effect.promise(() => browser.newPage({ viewport: { width, height: 740 } }))
  page.setDefaultTimeout(Chromium.patienceMs)
  const problems: Array<string> = []
  const asked: Array<string> = []
  page.on("request", (request) => asked.push(request.url()))
  page.on("response", (response) => {
    if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`)
  })
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text())
  })
  yield* Effect.promise(() => page.goto(url))
  return { page, problems, asked }
})

/** What the page's functions below use of a browser; the types of the project are Node's. */
interface Element {
  readonly href: string
  readonly offsetParent: object | null
  readonly textContent: string
}
interface BrowserGlobals {
  readonly document: {
    readonly documentElement: { readonly scrollWidth: number }
    readonly querySelectorAll: (selector: string) => Iterable<Element>
  }
}

await withServer("the pages in a browser", Chromium.shared, (browser) => {
  describe("the plain first page", () => {
    it.live("fits a phone, and keeps its counts up to date", () =>
      Effect.gen(function*() {
        const environment = { TASKFORGE_QUEUES: "elsewhere", TASKFORGE_DASHBOARD: "0" }
        const server = yield* Server.start(yield* Server.directory, environment)
        const { page, problems } = yield* open(browser, server.url, 360)
        const width = yield* Effect.promise(() =>
          page.evaluate(() => (globalThis as unknown as BrowserGlobals).document.documentElement.scrollWidth)
        )
        assert.strictEqual(width, 360)
        const text = Effect.promise(() => page.innerText("#now"))
        assert.match(yield* text, /0\s+pending/)
        yield* server.post([{ type: "echo" }, { type: "echo" }])
        yield* Server.until("the page shows the tasks", Effect.map(text, (now) => /2\s+pending/.test(now)))
        assert.deepStrictEqual(problems, [])
      }).pipe(Effect.scoped))
  })

  describe("the reference", () => {
    it.live("fits a phone", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        const { page } = yield* open(browser, `${server.url}/docs`, 390)
        yield* Effect.promise(() => page.getByText("List tasks").first().waitFor())
        yield* Effect.promise(() => page.getByText("503").first().waitFor({ state: "attached" }))
        const width = yield* Effect.promise(() =>
          page.evaluate(() => (globalThis as unknown as BrowserGlobals).document.documentElement.scrollWidth)
        )
        assert.strictEqual(width, 390)
      }).pipe(Effect.scoped))

    it.live("asks and names no other site", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        const { asked, page, problems } = yield* open(browser, `${server.url}/docs`, 1280)
        yield* Effect.promise(() => page.getByText("List tasks").first().waitFor())
        yield* Effect.promise(() => page.getByText("Download OpenAPI Document").first().waitFor())
        const shown = yield* Effect.promise(() =>
          page.evaluate(() => {
            const { document } = globalThis as unknown as BrowserGlobals
            const visible = [...document.querySelectorAll("a, button")].filter(({ offsetParent }) =>
              offsetParent !== null
            )
            return visible.map(({ href, textContent }) => ({ href, text: textContent.trim() }))
          })
        )
        assert.isAbove(shown.length, 10)
        const links = shown.flatMap(({ href }) => href === undefined || href === "" ? [] : [new URL(href)])
        assert.deepStrictEqual(links.filter(({ origin }) => origin !== server.url).map(({ href }) => href), [])
        const vendor = /scalar|ask ai|open in|api client|developer tools|generate sdk|share/i
        assert.deepStrictEqual(shown.filter(({ text }) => vendor.test(text)), [])
        assert.deepStrictEqual(asked.filter((url) => /^https?:/.test(url) && new URL(url).origin !== server.url), [])
        assert.deepStrictEqual(problems, [])
      }).pipe(Effect.scoped))
  })
})
