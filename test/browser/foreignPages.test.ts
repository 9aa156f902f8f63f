import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Page } from "playwright-core"
import * as Server from "../e2e/Server.ts"
import { withServer } from "../servers/withServer.ts"
import * as Chromium from "./Chromium.ts"

/** An empty page at a port of its own. */
const foreignSite: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((_, response) => {
        response.setHeader("content-type", "text/html")
        response.end("<!doctype html><title>A page</title><p>A page of another origin")
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  ),
  (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
)

/** What the script below uses of a browser; the types of the project are Node's. */
interface BrowserGlobals {
  readonly navigator: { readonly sendBeacon: (url: string, body: Blob) => boolean }
  readonly document: {
    readonly body: { readonly append: (element: object) => void }
    readonly createElement: (name: string) => Record<"action" | "method" | "name" | "target", string> & {
      readonly submit: () => void
    }
  }
}

/** Tries all that a page can send without the server's consent, and answers what the page got to read. */
const attack = (page: Page, url: string) =>
  Effect.promise(() =>
    page.evaluate(async (url) => {
      const { document, navigator } = globalThis as unknown as BrowserGlobals
      const read: Array<string> = []
      const pause = (ms: number) => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), ms))
      const attempt = async (name: string, action: () => Promise<string | undefined>) => {
        const answer = await Promise.race([action().catch(() => undefined), pause(2000)])
        if (answer !== undefined) read.push(`${name}: ${answer}`)
      }
      const task = JSON.stringify({ type: "echo", payload: "from a page" })
      const body = new Blob([task])
      const typed = new Blob([task], { type: "application/json" })
      const send = (path: string, init: RequestInit) => async () => {
        const response = await fetch(`${url}${path}`, init)
        return response.type === "opaque" ? undefined : await response.text()
      }
      await attempt("text", send("/api/v1/tasks", { method: "POST", mode: "no-cors", body: task }))
      await attempt("untyped", send("/api/v1/tasks", { method: "POST", mode: "no-cors", body }))
      await attempt("typed", send("/api/v1/tasks", { method: "POST", body: typed }))
      await attempt("older", send("/jobs?type=echo", { method: "POST", mode: "no-cors" }))
      await attempt("older body", send("/submit", { method: "POST", mode: "no-cors", body }))
      await attempt("pause", send("/api/v1/queues/default/pause", { method: "POST", mode: "no-cors" }))
      await attempt("cancel", send("/api/v1/tasks/kept/cancel", { method: "POST", mode: "no-cors" }))
      await attempt("remove", send("/api/v1/tasks/kept", { method: "DELETE" }))
      await attempt("list", send("/api/v1/tasks", {}))
      await attempt("events", send("/api/v1/events?limit=1", {}))
      await attempt("beacon", async () => {
        navigator.sendBeacon(`${url}/api/v1/tasks`, body)
        return undefined
      })
      await attempt("form", async () => {
        const frame = document.createElement("iframe")
        frame.name = "frame"
        document.body.append(frame)
        const form = document.createElement("form")
        form.action = `${url}/api/v1/queues/default/pause`
        form.method = "post"
        form.target = "frame"
        document.body.append(form)
        form.submit()
        return await pause(500)
      })
      await attempt("socket", () =>
        new Promise((resolve, reject) => {
          const socket = new WebSocket(`${url.replace("http", "ws")}/ws`)
          socket.addEventListener("open", () => resolve("opened"))
          socket.addEventListener("error", () => reject(new Error("refused")))
        }))
      return read
    }, url)
  )

const opened = (browser: Effect.Success<ReturnType<typeof Chromium.start>>, url: string) =>
  Effect.promise(async () => {
    const page = await browser.newPage()
    page.setDefaultTimeout(Chromium.patienceMs)
    await page.goto(url)
    return page
  })

const state = (server: Server.Server) =>
  Effect.all({
    tasks: Effect.map(
      Server.request<{ readonly tasks: ReadonlyArray<{ readonly id: string; readonly status: string }> }>(
        `${server.url}/api/v1/tasks`
      ),
      ({ tasks }) => tasks.map(({ id, status }) => `${id} ${status}`)
    ),
    paused: Effect.map(
      Server.request<{ readonly paused: ReadonlyArray<{ readonly queue: string }> }>(`${server.url}/api/v1/queues`),
      ({ paused }) => paused.map(({ queue }) => queue)
    )
  })

await withServer("a browser", Chromium.find, (path) => {
  describe("a server without keys, opened beside a browser", () => {
    it.live("does nothing that a page of another origin asks for, and shows it nothing", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        const { port } = new URL(server.url)
        yield* Server.request(`${server.url}/api/v1/tasks`, { id: "kept", type: "sleep", delay: "1h" })
        const before = yield* state(server)
        const browser = yield* Chromium.start(path, { "rebound.example": "127.0.0.1" })
        const page = yield* opened(browser, yield* foreignSite)
        assert.deepStrictEqual(yield* attack(page, server.url), [])
        assert.deepStrictEqual(yield* attack(page, `http://localhost:${port}`), [])
        assert.deepStrictEqual(yield* state(server), before)

        // A name of the page's own that resolves to the server makes the page same-origin
        const rebound = yield* opened(browser, `http://rebound.example:${port}/`)
        const shown = yield* Effect.promise(() => rebound.content())
        assert.include(shown, "foreign_host")
        const reading = yield* attack(rebound, `http://rebound.example:${port}`)
        for (const answer of reading) assert.include(answer, "foreign_host")
        assert.deepStrictEqual(yield* state(server), before)
      }).pipe(Effect.scoped))

    it.live("works from its own pages", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        const browser = yield* Chromium.start(path)
        const page = yield* opened(browser, `${server.url}/docs`)
        const status = yield* Effect.promise(() =>
          page.evaluate(async () => {
            const headers = { "content-type": "application/json" }
            const response = await fetch("/api/v1/tasks", { method: "POST", headers, body: "{\"type\": \"echo\"}" })
            return response.status
          })
        )
        assert.strictEqual(status, 201)
      }).pipe(Effect.scoped))
  })
})
