import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page, Request } from "playwright-core"
import * as BreakerTexts from "../../src/http/BreakerTexts.ts"
import * as LimitTexts from "../../src/http/LimitTexts.ts"
import { examples } from "../../src/http/StatisticsHandlers.ts"
import * as Server from "../e2e/Server.ts"
import { withServer } from "../servers/withServer.ts"
import * as Chromium from "./Chromium.ts"
import * as Front from "./Front.ts"
import * as Visit from "./Visit.ts"

const { act } = Visit

/** Text that would be seen, or would run, if it became markup, and that turns the direction of writing. */
const hostile = `<img src=x onerror="alert(1)"><b>bold</b>\u202Egnp.exe`
const word = "w".repeat(100_000)

const limits = LimitTexts.examples({
  since: "2026-01-31T12:00:00.000Z",
  until: "2027-01-31T12:00:00.000Z",
  by: hostile,
  reason: `${hostile} ${"r".repeat(400)}`
})
const [breaker] = BreakerTexts.examples.BreakerPage.breakers
const [key] = breaker!.keys
const breakers = {
  ...BreakerTexts.examples.BreakerPage,
  breakers: [
    { ...breaker!, keys: [{ ...key!, key: hostile, last_failure: { ...key!.last_failure!, message: word } }] },
    { ...breaker!, name: "n".repeat(100), state: "closed", keys: [] }
  ]
}
const [failure] = examples.Errors.groups
const answers = {
  "**/api/v1/statistics*": examples.Statistics,
  "**/api/v1/errors*": {
    ...examples.Errors,
    groups: [{ ...failure!, type: hostile, tag: "T".repeat(255), message: word }]
  },
  "**/api/v1/limits?*": {
    ...limits.LimitPage,
    limits: limits.LimitPage.limits.map((limit) => ({ ...limit, name: `${hostile}${"l".repeat(100)}` }))
  },
  "**/api/v1/breakers?*": breakers
}

/** What a function of the page uses of a browser; the types of the project are Node's. */
interface Styles {
  readonly getComputedStyle: (element: unknown) => { readonly unicodeBidi: string }
}

/** Sends a request with a key, and gives the answer. */
const send = (server: Server.Server, method: string, path: string, body: unknown, apiKey?: string) =>
  act(async () => {
    const response = await fetch(`${server.url}/api/v1/${path}`, {
      method,
      headers: {
        "content-type": "application/json",
        ...apiKey !== undefined && { authorization: `Bearer ${apiKey}` }
      },
      body: JSON.stringify(body)
    })
    assert.isBelow(response.status, 300, await response.text())
  })

/** Goes to a page and waits until it has loaded what it shows. The title is that of the page once it is shown. */
const open = ({ page }: Visit.Visit, server: Server.Server, place: string) =>
  Effect.gen(function*() {
    yield* act(() => page.goto(`${server.url}/${place}`))
    const [, name = "", id = ""] = /^#\/(\w*)[^/]*\/?(.*)$/.exec(place)!
    const title = [...[decodeURIComponent(id), name].filter((text) => text !== "").slice(0, 1), "TaskForge"].join(" · ")
    const isShown = act(async () => {
      const loading = await page.locator(".loading").count()
      return loading === 0 && await page.locator("main h1, main h2").count() > 0 && await page.title() === title
    })
    yield* Server.until(`${place} is loaded`, isShown)
  })

const places = [
  "#/",
  "#/tasks",
  "#/errors",
  "#/queues",
  "#/schedules",
  "#/limits",
  "#/instances",
  "#/operations",
  "#/enqueue"
]

/** What only a role may press. Other buttons and links are for everybody, such as those that copy a text. */
const needs = {
  admin: /^(Pause|Resume|Drain|Resize|Open|Close|Change|Reset) /,
  write: /^(Run |Pause the schedule|Resume the schedule|New task|Enqueue|Cancel|Change …|Remove|Act on|Abort|Undo)/
} as const

/** The buttons of the page by the role that they need. */
const offered = (page: Page) =>
  act(async () => {
    const names: Array<string> = []
    for (const element of await page.locator("main button:visible, main a.button:visible").all()) {
      names.push(await element.getAttribute("aria-label") ?? await element.innerText())
    }
    const forWriters = names.filter((name) => needs.write.test(name))
    return { forWriters, forAdmins: names.filter((name) => needs.admin.test(name) && !forWriters.includes(name)) }
  })

await withServer("the dashboard under hard conditions", Chromium.shared, (browser) => {
  describe("each page", () => {
    it.live("offers a role what it may do, and nothing that the server would refuse", () =>
      Effect.gen(function*() {
        const admin = "a-key-of-the-admin-with-40-characters-ab"
        const directory = yield* Server.directory
        const server = yield* Server.start(directory, { TASKFORGE_ADMIN_KEY: admin, WORKER_NUM_WORKERS: "1" })
        yield* send(server, "POST", "tasks", { type: "sleep", id: "busy", payload: { duration: "10m" } }, admin)
        yield* send(
          server,
          "POST",
          "tasks",
          { type: "sleep", id: "later", delay: "1h", payload: { duration: "1s" } },
          admin
        )
        yield* send(server, "PUT", "schedules/nightly", { cron: "30 2 * * *", task: { type: "echo" } }, admin)
        yield* send(server, "POST", "operations", {
          action: "cancel",
          filter: { type: ["nothing"] },
          why: "To see one"
        }, admin)
        const keys = {
          read: yield* Front.keyOf(server, directory, "read"),
          write: yield* Front.keyOf(server, directory, "write"),
          admin
        }
        const visit = yield* Visit.open(browser, `${server.url}/`, { answers })
        for (const role of ["read", "write", "admin"] as const) {
          yield* act(() => visit.page.evaluate((key) => sessionStorage.setItem("taskforge.key", key), keys[role]))
          yield* act(() => visit.page.reload())
          const seen = new Set<string>()
          for (const place of ["#/tasks?status=scheduled", "#/tasks/busy", "#/tasks/later", ...places]) {
            yield* open(visit, server, place)
            yield* act(() => visit.page.locator(".foot .who", { hasText: role }).waitFor())
            const { forAdmins, forWriters } = yield* offered(visit.page)
            if (role === "read") assert.deepStrictEqual(forWriters, [], place)
            if (role !== "admin") assert.deepStrictEqual(forAdmins, [], place)
            for (const name of [...forAdmins, ...forWriters]) seen.add(name.split(" ")[0]!)
          }
          const all = role === "read" ? [] : ["Act", "Cancel", "Change", "Enqueue", "New", "Pause", "Run"]
          if (role === "admin") all.push("Close", "Drain", "Open", "Reset", "Resize", "Resume")
          assert.deepStrictEqual([...seen].sort(), all.sort(), role)
        }
      }).pipe(Effect.scoped))

    it.live("shows hostile names, payloads and errors as text that fits, and turns no other words", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { WORKER_NUM_WORKERS: "1" })
        yield* server.post([
          { type: "fail", id: "failed", payload: { message: `${hostile}${word}`.slice(0, 1000) }, max_retries: 0 },
          { type: "echo", id: hostile, queue: hostile, payload: { [hostile]: hostile, word } },
          { type: "sleep", id: "busy", payload: { duration: "10m" } }
        ])
        yield* send(server, "POST", "tasks", { type: "echo", id: "keyed", key: hostile, delay: "1h" })
        yield* send(server, "PUT", `schedules/${encodeURIComponent(hostile)}`, {
          cron: "30 2 * * *",
          task: { type: "echo", queue: hostile }
        })
        yield* send(server, "POST", `schedules/${encodeURIComponent(hostile)}/pause`, {
          reason: "r".repeat(500),
          by: hostile
        })
        yield* send(server, "POST", `queues/${encodeURIComponent(hostile)}/pause`, {
          reason: `${hostile} ${"r".repeat(400)}`
        })
        yield* send(server, "POST", "operations", {
          action: "cancel",
          filter: { type: [hostile] },
          why: hostile + "y".repeat(400)
        })
        const all = [
          ...places,
          "#/tasks/failed",
          `#/tasks/${encodeURIComponent(hostile)}`,
          "#/tasks/busy",
          "#/tasks/keyed"
        ]
        for (const width of [360, 1280]) {
          const visit = yield* Visit.open(browser, `${server.url}/`, { answers, width })
          for (const place of all) {
            yield* open(visit, server, place)
            assert.strictEqual(yield* Visit.overflow(visit), 0, `${place} at ${width}`)
            assert.strictEqual(
              yield* act(() => visit.page.locator("main img, main b b, main script").count()),
              0,
              place
            )
          }
          // "in QUEUE" of the schedule stands right of the name of its type
          yield* open(visit, server, "#/queues")
          const name = visit.page.locator("tbody th a", { hasText: "onerror" }).first()
          assert.strictEqual(
            yield* act(() =>
              name.evaluate((element) => (globalThis as unknown as Styles).getComputedStyle(element).unicodeBidi)
            ),
            "isolate"
          )
          assert.deepStrictEqual(visit.problems, [])
        }
      }).pipe(Effect.scoped))
  })

  describe("a slow network", () => {
    it.live("is waited for with a word, and does nothing twice, also where an answer is lost", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { TASKFORGE_QUEUES: "elsewhere" })
        yield* server.post([{ type: "echo", id: "waits" }])
        const visit = yield* Visit.open(browser, "about:blank")
        const { page } = visit
        const network = yield* act(() => page.context().newCDPSession(page))
        yield* act(() => network.send("Network.enable"))
        yield* act(() =>
          network.send("Network.emulateNetworkConditions", {
            offline: false,
            latency: 400,
            downloadThroughput: 50_000,
            uploadThroughput: 50_000
          })
        )
        const posts: Array<Request> = []
        page.on("request", (request) => {
          if (request.method() !== "GET") posts.push(request)
        })
        yield* act(() => page.goto(`${server.url}/#/tasks/waits`, { waitUntil: "commit" }))
        yield* act(() => page.getByText("Loading …").waitFor())
        yield* act(() => page.getByRole("status", { name: "Loading" }).waitFor())
        assert.strictEqual(yield* act(() => page.getByText("Loading …").count()), 0)
        yield* act(() => page.getByRole("button", { name: "Cancel …" }).click())
        yield* act(() => page.getByRole("button", { name: "Cancel the task" }).dblclick())
        yield* act(() => page.getByRole("button", { name: "One moment …" }).waitFor())
        assert.isTrue(yield* act(() => page.getByRole("button", { name: "One moment …" }).isDisabled()))
        yield* act(() => page.locator(".task-state .state", { hasText: "cancelled" }).waitFor())
        assert.strictEqual(posts.length, 1)

        // The first answer is lost on its way: the task is made once, whatever is pressed
        let isLost = true
        yield* act(() =>
          page.route("**/api/v1/tasks", async (route) => {
            if (route.request().method() !== "POST" || !isLost) return route.continue()
            isLost = false
            await route.fetch()
            await route.abort("connectionreset")
          })
        )
        yield* act(() => page.goto(`${server.url}/#/enqueue?type=echo`))
        yield* act(() => page.getByRole("button", { name: "Enqueue it" }).dblclick())
        yield* act(() => page.getByText("No answer came").waitFor())
        yield* act(() => page.getByRole("button", { name: "Enqueue it" }).dblclick())
        yield* act(() => page.getByText("The task is enqueued").waitFor())
        yield* act(() => page.locator(".task-state .state", { hasText: "pending" }).waitFor())
        assert.strictEqual(posts.length, 3)
        assert.strictEqual((yield* server.stats).totals.created, 2)
        assert.deepStrictEqual(visit.problems.filter((problem) => !problem.includes("ERR_CONNECTION_RESET")), [])
      }).pipe(Effect.scoped))
  })

  describe("a hundred thousand tasks", () => {
    it.live("are listed, walked through, searched and acted on, and every page opens", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, {
          STORE_URL: "memory:",
          TASKFORGE_QUEUES: "elsewhere",
          QUEUE_SIZE: "200000"
        })
        for (let start = 0; start < 100_000; start += 1000) {
          yield* server.post(Array.from({ length: 1000 }, (_, index) => ({
            type: "echo",
            id: `echo-${start + index}`,
            queue: `queue-${index % 20}`,
            payload: { user: start + index }
          })))
        }
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks`)
        const { page } = visit
        yield* act(() => page.getByRole("link", { name: "echo echo-99999" }).waitFor())
        yield* act(() => page.locator(".chip", { hasText: /^pending\s*100K$/ }).waitFor())
        for (const last of [99949, 99899, 99849]) {
          yield* act(() => page.getByRole("link", { name: "Older" }).click())
          yield* act(() => page.getByRole("link", { name: `echo echo-${last}` }).waitFor())
        }
        const bar = page.getByRole("combobox", { name: "Search tasks" })
        yield* act(() => bar.fill("queue:queue-7 payload.user:99967"))
        yield* act(() => bar.press("Enter"))
        yield* act(() => page.getByRole("link", { name: "echo echo-99967" }).waitFor())
        yield* act(() => page.getByRole("button", { name: "Act on all that match …" }).click())
        yield* act(() => page.getByText("1 task would be cancelled").waitFor())
        yield* act(() => page.keyboard.press("Escape"))
        yield* act(() => bar.fill("state:pending"))
        yield* act(() => bar.press("Enter"))
        yield* act(() => page.getByRole("button", { name: "Act on all that match …" }).click())
        yield* act(() => page.getByRole("button", { name: /^Cancel: (at least )?[\d,]+ tasks$/ }).waitFor())
        yield* act(() => page.keyboard.press("Escape"))
        yield* act(() => bar.fill("echo-0"))
        yield* act(() => bar.press("Enter"))
        yield* act(() => page.waitForURL(/tasks\/echo-0$/))
        yield* act(() => page.getByRole("heading", { name: "Payload" }).waitFor())
        for (const place of places) yield* open(visit, server, place)
        assert.deepStrictEqual(visit.problems, [])
      }).pipe(Effect.scoped))
  })
})
