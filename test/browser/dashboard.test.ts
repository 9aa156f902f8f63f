import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { examples } from "../../src/http/StatisticsHandlers.ts"
import * as Server from "../e2e/Server.ts"
import { withServer } from "../servers/withServer.ts"
import * as Chromium from "./Chromium.ts"
import * as Front from "./Front.ts"
import * as Visit from "./Visit.ts"

/** Text that would be seen, or would run, if it became markup. */
const markup = `<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b>`

/** What happened, for charts that need not be waited for. */
const statistics = {
  ...examples.Statistics,
  instances: [{ ...examples.InstanceStatistics!, slots: [[1, null], [0.2, 1]] }]
}
const [failure] = examples.Errors.groups
const errors = {
  ...examples.Errors,
  groups: [failure!, { ...failure!, type: markup, tag: "T".repeat(255), message: `${markup} ${"m".repeat(120)}` }],
  others: 3
}
const answers = { "**/api/v1/statistics*": statistics, "**/api/v1/errors*": errors }

const { act } = Visit

await withServer("the dashboard in a browser", Chromium.shared, (browser) => {
  describe("the list of tasks", () => {
    it.live("teaches how to enqueue the first task, and shows it as it happens", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks`)
        yield* act(() => visit.page.getByText("There are no tasks yet").waitFor())
        assert.include(yield* Visit.text(visit), `curl ${server.url}/api/v1/tasks`)
        yield* act(() => visit.page.getByText("Live", { exact: true }).waitFor())
        yield* server.post([{ type: "echo", id: "first", payload: { hello: "you" } }])
        yield* act(() => visit.page.getByRole("link", { name: "echo first" }).waitFor())
        yield* act(() => visit.page.locator("tr", { hasText: "completed" }).waitFor())
        assert.deepStrictEqual(visit.problems, [])
      }).pipe(Effect.scoped))

    it.live("is filtered by its address, in pages, and every filter is an address", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { TASKFORGE_QUEUES: "elsewhere" })
        yield* server.post([
          ...Array.from({ length: 60 }, (_, index) => ({ type: "echo", id: `echo-${index}` })),
          { type: "sleep", id: "other", queue: "nights" }
        ])
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks`)
        const { page } = visit
        const rows = page.locator("tbody tr")
        yield* act(() => page.getByRole("link", { name: "sleep other" }).waitFor())
        assert.strictEqual(yield* act(() => rows.count()), 50)
        yield* act(() => page.getByRole("link", { name: "Older" }).click())
        yield* act(() => page.getByRole("link", { name: "echo-0", exact: false }).first().waitFor())
        yield* Server.until("the last page", Effect.map(act(() => rows.count()), (count) => count === 11))
        yield* act(() => page.reload())
        yield* Server.until("the same page", Effect.map(act(() => rows.count()), (count) => count === 11))
        // With the keyboard alone: / leads to the bar, which says what may come next
        const bar = page.getByRole("combobox", { name: "Search tasks" })
        yield* act(() => page.keyboard.press("/"))
        yield* act(() => page.keyboard.type("que"))
        yield* act(() => page.getByRole("option", { name: /^queue:/ }).waitFor())
        yield* act(() => page.keyboard.press("ArrowDown"))
        yield* act(() => page.keyboard.press("Enter"))
        yield* act(() => page.getByRole("option", { name: "queue:nights" }).waitFor())
        yield* act(() => page.keyboard.type("night"))
        yield* act(() => page.keyboard.press("ArrowDown"))
        yield* act(() => page.keyboard.press("Tab"))
        assert.strictEqual(yield* act(() => bar.inputValue()), "queue:nights ")
        yield* act(() => page.keyboard.press("Enter"))
        yield* Server.until("the queue", Effect.map(act(() => rows.count()), (count) => count === 1))
        assert.include(page.url(), "#/tasks?queue=nights")
        yield* act(() => page.getByRole("link", { name: "completed" }).click())
        yield* act(() => page.getByText("No task fits").waitFor())
        assert.include(page.url(), "status=completed")
        yield* act(() => page.goBack())
        yield* act(() => page.getByRole("link", { name: "sleep other" }).waitFor())
        yield* act(() => bar.fill(`colour:red`))
        yield* act(() => bar.press("Enter"))
        yield* act(() => page.getByText(`There is no filter "colour"`).waitFor())
        yield* act(() => bar.fill(`state:scheduled,pending,completed type:sleep payload.duration:"1 ms" created:<1d`))
        yield* act(() => bar.press("Enter"))
        yield* act(() => page.getByText("No task fits").waitFor())
        assert.include(page.url(), "payload.duration=1+ms")
        yield* act(() => bar.fill("echo-7"))
        yield* act(() => bar.press("Enter"))
        yield* act(() => page.getByRole("heading", { name: "echo" }).waitFor())
        assert.deepStrictEqual(visit.problems, [])
      }).pipe(Effect.scoped))
  })

  describe("a task", () => {
    it.live("shows its life: attempts with the waits between, payload, result, error and logs", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        yield* server.post([
          { type: "fail", id: "again", payload: { message: markup }, max_retries: 1 },
          { type: "echo", id: "answered", payload: { text: markup } },
          { type: "fail", id: "failed", payload: { message: markup }, max_retries: 0 }
        ])
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks/again`)
        yield* act(() => visit.page.getByText("Attempt 1 failed").waitFor())
        yield* act(() => visit.page.getByText("Failed for good").waitFor())
        assert.include(yield* Visit.text(visit), markup)
        yield* act(() => visit.page.goto(`${server.url}/#/tasks/answered`))
        yield* act(() => visit.page.getByRole("heading", { name: "Result" }).waitFor())
        yield* act(() => visit.page.goto(`${server.url}/#/tasks/nobody`))
        yield* act(() => visit.page.getByRole("alert").waitFor())
        assert.deepStrictEqual(visit.problems.filter((problem) => !problem.includes("404")), [])
        assert.strictEqual(yield* act(() => visit.page.locator("main img, main script, main pre b").count()), 0)
      }).pipe(Effect.scoped))

    it.live("says why it waits, is changed, cancelled, run again and removed, each after a question", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { WORKER_NUM_WORKERS: "1" })
        yield* server.post([{ type: "sleep", id: "busy", payload: { duration: "10m" } }])
        yield* Server.until("it runs", Effect.map(server.stats, ({ workers_active }) => workers_active === 1))
        yield* server.post([{ type: "sleep", id: "waiting", payload: { duration: "1ms" } }])
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks/waiting`)
        const { page } = visit
        yield* act(() => page.locator(".why-summary", { hasText: "slot" }).waitFor())
        // Changed
        yield* act(() => page.getByRole("button", { name: "Change …" }).click())
        yield* act(() => page.getByRole("button", { name: "Change it" }).click())
        yield* act(() => page.getByText("Nothing is changed yet.").waitFor())
        yield* act(() => page.getByLabel("Priority").selectOption("3"))
        yield* act(() => page.getByLabel("Due in").fill("1h"))
        yield* act(() => page.getByRole("textbox", { name: "Payload" }).fill("{ not JSON"))
        yield* act(() => page.getByRole("button", { name: "Change it" }).click())
        yield* act(() => page.getByText("The payload is no JSON").waitFor())
        yield* act(() => page.getByRole("textbox", { name: "Payload" }).fill(`{"duration":"2ms"}`))
        yield* act(() => page.getByRole("button", { name: "Change it" }).click())
        yield* act(() => page.locator(".state", { hasText: "scheduled" }).waitFor())
        const changed = yield* Server.request<{ payload: unknown; priority: number }>(
          `${server.url}/api/v1/tasks/waiting`
        )
        assert.deepInclude(changed, { payload: { duration: "2ms" }, priority: 3 })
        // Not cancelled, then cancelled
        yield* act(() => page.getByRole("dialog").waitFor({ state: "detached" }))
        yield* act(() => page.getByRole("button", { name: "Cancel …" }).click())
        yield* act(() => page.getByRole("dialog").waitFor())
        yield* act(() => page.keyboard.press("Escape"))
        yield* act(() => page.getByRole("dialog").waitFor({ state: "detached" }))
        yield* act(() => page.getByRole("button", { name: "Cancel …" }).click())
        yield* act(() => page.getByRole("button", { name: "Cancel the task" }).click())
        yield* act(() => page.getByText("The task is cancelled: it will never start").waitFor())
        yield* act(() => page.locator(".task-state .state", { hasText: "cancelled" }).waitFor())
        // A running one is interrupted
        yield* act(() => page.goto(`${server.url}/#/tasks/busy`))
        yield* act(() => page.getByRole("button", { name: "Cancel …" }).click())
        yield* act(() => page.getByRole("button", { name: "Cancel the task" }).click())
        yield* act(() => page.locator(".task-state .state", { hasText: "cancelled" }).waitFor())
        // Run again
        yield* act(() => page.goto(`${server.url}/#/tasks/waiting`))
        yield* act(() => page.getByRole("button", { name: "Run again …" }).click())
        yield* act(() => page.getByRole("button", { name: "Run it again" }).click())
        yield* act(() => page.locator(".task-state .state", { hasText: "completed" }).waitFor())
        // With all that depend on it
        yield* server.post([
          { type: "sleep", id: "top", payload: { duration: "10m" } },
          { type: "echo", id: "below", after: ["top"] }
        ])
        yield* act(() => page.goto(`${server.url}/#/tasks/top`))
        yield* act(() => page.getByText("1 task depends on it.").waitFor())
        yield* act(() => page.getByRole("button", { name: "Cancel all …" }).click())
        yield* act(() => page.getByRole("button", { name: "Cancel them all" }).click())
        yield* act(() => page.getByText("2 tasks: 1 cancelled").waitFor())
        yield* act(() => page.locator(".task-state .state", { hasText: "cancelled" }).waitFor())
        // The graph of both is walked through by the arrow keys
        const graph = page.locator(".graph")
        yield* act(() => graph.locator("canvas").focus())
        yield* act(() => page.keyboard.press("ArrowRight"))
        yield* act(() => graph.getByRole("link", { name: "below" }).waitFor())
        yield* act(() => graph.locator(".state", { hasText: "cancelled" }).waitFor())
        assert.deepStrictEqual(yield* Visit.faults(visit), [])
        yield* act(() => page.keyboard.press("Enter"))
        yield* act(() => page.waitForURL(/tasks\/below/))
        yield* act(() => page.locator(".task-state .state", { hasText: "cancelled" }).waitFor())
        yield* act(() => graph.locator("canvas").waitFor())
        // And by a click
        const drawn = (yield* act(() => graph.locator("canvas").boundingBox()))!
        yield* act(() => graph.getByText("Point at a task").waitFor())
        for (let x = 20; !page.url().endsWith("/top") && x < drawn.width / 2; x += 60) {
          yield* act(() => page.mouse.click(drawn.x + x, drawn.y + drawn.height / 2))
        }
        yield* act(() => page.waitForURL(/tasks\/top/))
        yield* act(() => page.goto(`${server.url}/#/tasks/below`))
        yield* act(() => page.locator(".task-state .state", { hasText: "cancelled" }).waitFor())
        assert.strictEqual(yield* act(() => page.getByRole("button", { name: "Cancel all …" }).count()), 0)
        // Removed
        yield* act(() => page.goto(`${server.url}/#/tasks/waiting`))
        yield* act(() => page.getByRole("button", { name: "Remove …" }).click())
        yield* act(() => page.getByRole("button", { name: "Remove it" }).click())
        yield* act(() => page.getByText("The task is removed").waitFor())
        yield* act(() => page.getByRole("link", { name: "sleep busy" }).waitFor())
        assert.strictEqual(yield* act(() => page.getByRole("link", { name: "sleep waiting" }).count()), 0)
        assert.deepStrictEqual(visit.problems, [])
      }).pipe(Effect.scoped))
  })

  describe("all tasks that match", () => {
    it.live("are cancelled after a preview, with a reason and a progress, and wait again after an undo", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { TASKFORGE_QUEUES: "elsewhere" })
        yield* server.post([
          ...Array.from(
            { length: 12 },
            (_, index) => ({ type: "echo", id: `echo-${index}`, payload: { user: index % 2 } })
          ),
          { type: "sleep", id: markup.slice(0, 40), payload: { duration: "1ms" } }
        ])
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks`)
        const { page } = visit
        yield* act(() => page.getByRole("link", { name: "echo echo-0" }).waitFor())
        assert.strictEqual(yield* act(() => page.getByRole("button", { name: "Act on all" }).count()), 0)
        yield* act(() => page.goto(`${server.url}/#/tasks?type=echo&payload.user=1`))
        yield* act(() => page.getByRole("button", { name: "Act on all that match …" }).click())
        yield* act(() => page.getByText("6 tasks would be cancelled").waitFor())
        yield* act(() => page.getByRole("button", { name: "Cancel: 6 tasks" }).click())
        yield* act(() => page.getByText("Say why").waitFor())
        assert.deepStrictEqual(yield* Visit.faults(visit), [])
        yield* act(() => page.getByLabel("Why").fill(markup))
        yield* act(() => page.getByRole("button", { name: "Cancel: 6 tasks" }).click())
        const following = page.getByRole("region", { name: "The operation that was begun last" })
        yield* act(() => following.getByText("6 tasks cancelled").waitFor())
        yield* Server.until(
          "six are cancelled",
          Effect.map(
            Server.request<{ tasks: ReadonlyArray<object> }>(`${server.url}/api/v1/tasks?status=cancelled`),
            ({ tasks }) => tasks.length === 6
          )
        )
        yield* act(() => following.getByRole("button", { name: "Undo" }).click())
        yield* act(() => following.getByText("Taken back: 6 of 6 tasks wait as before").waitFor())
        yield* act(() => following.getByRole("link", { name: "All operations" }).click())
        // The page before says so too, until this one is shown
        yield* Server.until("the reason is listed", Effect.map(Visit.text(visit), (text) => text.includes(markup)))
        yield* act(() => page.getByText("Taken back: 6 of 6 tasks wait as before").waitFor())
        yield* act(() => page.getByRole("link", { name: /payload.user:1/ }).click())
        assert.include(page.url(), "payload.user=1")
        // Slowly, and ended before its time
        yield* act(() => page.getByRole("button", { name: "Act on all that match …" }).click())
        yield* act(() => page.getByText("6 tasks would be cancelled").waitFor())
        yield* act(() => page.getByLabel("Why").fill("Slowly"))
        yield* act(() => page.getByLabel("Tasks in a second at most").fill("1"))
        yield* act(() => page.getByRole("button", { name: "Cancel: 6 tasks" }).click())
        yield* act(() => following.getByRole("button", { name: "Abort" }).click())
        yield* act(() => following.getByText(/^Aborted: /).waitFor())
        assert.strictEqual(yield* act(() => page.locator("main img, main script").count()), 0)
        assert.deepStrictEqual(visit.problems, [])
      }).pipe(Effect.scoped))
  })

  describe("the system", () => {
    it.live("is told in a sentence, with figures, queues and slots; queues are paused, schedules run and instances drained from here", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { WORKER_NUM_WORKERS: "1" })
        yield* server.post([
          { type: "sleep", id: "busy", payload: { duration: "10m" } },
          { type: "echo", id: "done", queue: markup }
        ])
        yield* act(() =>
          fetch(`${server.url}/api/v1/schedules/nightly`, {
            method: "PUT",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ cron: "30 2 * * *", task: { type: "echo" } })
          })
        )
        const visit = yield* Visit.open(browser, server.url)
        const { page } = visit
        yield* act(() => page.getByRole("link", { name: /Slot 1 runs sleep busy/ }).waitFor())
        yield* act(() => page.locator(".verdict-summary").waitFor())
        yield* act(() => page.getByRole("link", { name: /^1\s*running$/ }).waitFor())
        // Looks at another time, walks along a chart, marks a part of it, and opens an instance
        yield* act(() =>
          page.route(
            "**/api/v1/statistics*",
            (route) =>
              route.fulfill({ json: /instance=/.test(route.request().url()) ? statistics : examples.Statistics })
          )
        )
        yield* act(() => page.getByRole("link", { name: "15 min" }).click())
        const chart = page.locator(".chart", { hasText: "Tasks a second" })
        yield* act(() => chart.getByText("6.7", { exact: true }).waitFor())
        assert.include(page.url(), "last=15m")
        yield* act(() => chart.locator(".chart-box").press("ArrowLeft"))
        yield* act(() => chart.getByText("6.3", { exact: true }).waitFor())
        yield* act(() => page.getByRole("row", { name: /^email mail 120 117 3/ }).waitFor())
        const box = (yield* act(() => chart.locator(".u-over").boundingBox()))!
        yield* act(() => page.mouse.move(box.x + 20, box.y + 50))
        yield* act(() => page.mouse.down())
        yield* act(() => page.mouse.move(box.x + 120, box.y + 50, { steps: 4 }))
        yield* act(() => page.mouse.up())
        yield* act(() => page.waitForURL(/from=2026-01-31T11%3A59/))
        yield* act(() => page.getByRole("button", { name: "instance-1a2b3c4d" }).click())
        yield* act(() => page.waitForURL(/instance=instance-1a2b3c4d/))
        yield* act(() => page.getByRole("img", { name: "Slot 2 was busy 60 % of the time, 100 % at most" }).waitFor())
        // Which failures happened, and the tasks of one
        yield* act(() => page.route("**/api/v1/errors*", (route) => route.fulfill({ json: errors })))
        yield* act(() => page.getByRole("link", { name: "Errors" }).click())
        yield* act(() => page.getByText(`${markup} m`).waitFor())
        yield* act(() => page.getByRole("link", { name: "MailFailed email" }).click())
        yield* act(() =>
          page.waitForURL(/type=email&error_tag=MailFailed&kind=error&text=mx%23.example.com\+answered\+%23/)
        )
        // Pauses a queue, for a reason that is shown
        yield* act(() => page.getByRole("link", { name: "Queues" }).click())
        yield* act(() => page.getByRole("button", { name: `Pause the queue default` }).click())
        yield* act(() => page.getByLabel("Reason").fill(markup))
        yield* act(() => page.getByLabel("For").fill("2h"))
        yield* act(() => page.getByRole("button", { name: "Pause it" }).click())
        yield* act(() => page.getByText(/^paused until .+: <img/).waitFor())
        yield* act(() => page.getByRole("button", { name: `Resume the queue default` }).click())
        yield* act(() => page.getByRole("button", { name: "Resume it" }).click())
        yield* act(() => page.getByRole("button", { name: `Pause the queue default` }).waitFor())
        // Runs a schedule
        yield* act(() => page.getByRole("link", { name: "Schedules" }).click())
        yield* act(() => page.getByRole("button", { name: "Run the schedule nightly now" }).click())
        yield* act(() => page.getByRole("button", { name: "Run it now" }).click())
        yield* act(() => page.getByText(/^The task .+ is made$/).waitFor())
        yield* act(() => page.getByRole("button", { name: "Pause the schedule nightly" }).click())
        yield* act(() => page.getByRole("button", { name: "Pause it" }).click())
        yield* act(() => page.getByRole("button", { name: "Resume the schedule nightly" }).waitFor())
        // Drains the instance
        yield* act(() => page.getByRole("link", { name: "Instances" }).click())
        yield* act(() => page.getByRole("button", { name: /^Drain / }).click())
        yield* act(() => page.getByRole("button", { name: "Drain it" }).click())
        yield* act(() => page.getByRole("button", { name: /^Resume / }).waitFor())
        yield* act(() => page.getByRole("link", { name: "Limits" }).click())
        yield* act(() => page.getByText("There are no limits").waitFor())
        assert.strictEqual(yield* act(() => page.locator("main img, main script").count()), 0)
        assert.deepStrictEqual(visit.problems, [])
      }).pipe(Effect.scoped))
  })

  describe("a server with keys", () => {
    it.live("is signed in to, and a reader is offered nothing that changes anything", () =>
      Effect.gen(function*() {
        const adminKey = "a-key-of-the-admin-with-40-characters-ab"
        const directory = yield* Server.directory
        const server = yield* Server.start(directory, { TASKFORGE_ADMIN_KEY: adminKey, SERVER_HOST: "127.0.0.1" })
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks`)
        const { page } = visit
        yield* act(() => page.getByRole("heading", { name: "Sign in" }).waitFor())
        yield* act(() => page.getByLabel("API key").fill("not-the-key"))
        yield* act(() => page.getByRole("button", { name: "Sign in" }).click())
        yield* act(() => page.getByText("The server does not know this key.").waitFor())
        yield* act(() => page.getByLabel("API key").fill(adminKey))
        yield* act(() => page.getByRole("button", { name: "Sign in" }).click())
        yield* act(() => page.getByText("There are no tasks yet").waitFor())
        yield* act(() => page.getByText("Live", { exact: true }).waitFor())
        // The key is kept for the tab, and forgotten when the person leaves
        yield* act(() => page.reload())
        yield* act(() => page.getByText("There are no tasks yet").waitFor())
        yield* act(() => page.getByRole("button", { name: "Sign out" }).click())
        yield* act(() => page.getByRole("heading", { name: "Sign in" }).waitFor())
        assert.deepStrictEqual(visit.asked.filter((url) => url.includes(adminKey)), [])
        assert.deepStrictEqual(visit.problems.filter((problem) => !problem.includes("401")), [])

        const reader = yield* Front.keyOf(server, directory, "read")
        yield* act(() =>
          fetch(`${server.url}/api/v1/tasks`, {
            method: "POST",
            headers: { "authorization": `Bearer ${adminKey}`, "content-type": "application/json" },
            body: JSON.stringify({ type: "sleep", id: "seen", payload: { duration: "10m" } })
          })
        )
        yield* act(() => page.getByLabel("API key").fill(reader))
        yield* act(() => page.getByRole("button", { name: "Sign in" }).click())
        yield* act(() => page.getByRole("link", { name: "sleep seen" }).click())
        yield* act(() => page.getByText("read", { exact: false }).first().waitFor())
        yield* act(() => page.getByRole("heading", { name: "Payload" }).waitFor())
        assert.strictEqual(
          yield* act(() =>
            page.locator("main button, main .button", { hasText: /Cancel|Change|Run|Remove|Act on|copy/ }).count()
          ),
          0
        )
        yield* act(() => page.goto(`${server.url}/#/enqueue?type=echo`))
        yield* act(() => page.getByText("This key may not make tasks").waitFor())
      }).pipe(Effect.scoped))
  })

  describe("the connection", () => {
    it.live("is honest about a server that is gone, and is there again by itself once it is back", () =>
      Effect.gen(function*() {
        const directory = yield* Server.directory
        const first = yield* Server.start(directory)
        const visit = yield* Visit.open(browser, `${first.url}/#/tasks`)
        const { page } = visit
        yield* act(() => page.getByText("Live", { exact: true }).waitFor())
        yield* Server.stop(first)
        yield* act(() => page.getByText("No connection").waitFor())
        yield* act(() => page.getByText("The server has not answered for").waitFor())
        const second = yield* Server.start(directory, { SERVER_PORT: new URL(first.url).port })
        yield* act(() => page.getByText("Live", { exact: true }).waitFor())
        yield* second.post([{ type: "echo", id: "after" }])
        yield* act(() => page.getByRole("link", { name: "echo after" }).waitFor())
        assert.strictEqual(yield* act(() => page.getByText("The server has not answered for").count()), 0)
      }).pipe(Effect.scoped))

    it.live("is opened again after a proxy's 502, from the last event, and polls until then", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        const front = yield* Front.start(server.url)
        const visit = yield* Visit.open(browser, `${front.url}/#/tasks`)
        const { page } = visit
        yield* act(() => page.getByText("Live", { exact: true }).waitFor())
        yield* server.post([{ type: "echo", id: "before" }])
        yield* act(() => page.getByRole("link", { name: "echo before" }).waitFor())
        // The first may be on the list that is read when the stream opens; the next one comes by its event
        yield* server.post([{ type: "echo", id: "next" }])
        yield* act(() => page.getByRole("link", { name: "echo next" }).waitFor())
        front.breakStreams(true)
        yield* act(() => page.getByText("Every 3 s", { exact: true }).waitFor())
        yield* server.post([{ type: "echo", id: "between" }])
        yield* act(() => page.getByRole("link", { name: "echo between" }).waitFor())
        front.breakStreams(false)
        yield* act(() => page.getByText("Live", { exact: true }).waitFor())
        const places = front.streams.map(({ headers }) => headers["last-event-id"])
        assert.strictEqual(places[0], undefined)
        assert.match(String(places.at(-1)), /^\d+$/)
      }).pipe(Effect.scoped))
  })

  describe("under a path", () => {
    it.live("works behind a proxy that adds one", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        const front = yield* Front.start(server.url, "/ops/tasks")
        yield* server.post([{ type: "echo", id: "one" }])
        const visit = yield* Visit.open(browser, `${front.url}/ops/tasks/#/tasks`)
        yield* act(() => visit.page.getByRole("link", { name: "echo one" }).click())
        yield* act(() => visit.page.getByRole("heading", { name: "Payload" }).waitFor())
        assert.deepStrictEqual(visit.problems, [])
        assert.deepStrictEqual(visit.asked.filter((url) => !url.startsWith(`${front.url}/ops/tasks/`)), [])
      }).pipe(Effect.scoped))

    it.live("works in an application's own router, next to its pages", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, {}, yield* Front.application)
        const visit = yield* Visit.open(browser, `${server.url}/work/tasks#/tasks`)
        assert.strictEqual(visit.page.url(), `${server.url}/work/tasks/#/tasks`)
        const { page } = visit
        yield* act(() => page.getByText("There are no tasks yet").waitFor())
        yield* act(() => page.getByText("Live", { exact: true }).waitFor())
        // Its types have limits: how they stand, and another one for a key
        yield* act(() =>
          fetch(`${server.url}/work/tasks/api/v1/tasks`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ type: "sync", id: "held", payload: { tenant: markup } })
          })
        )
        yield* act(() => page.getByRole("link", { name: "Limits" }).click())
        const limits = page.locator(".limit")
        const keyed = limits.filter({ hasText: "sync:concurrency" }).first()
        yield* act(() => keyed.getByText("How it stands now").click())
        yield* act(() => keyed.getByLabel("Key").fill(markup))
        yield* act(() => keyed.getByText("1 of 2 run").waitFor())
        yield* act(() => keyed.getByRole("link", { name: "held" }).waitFor())
        const rate = limits.filter({ hasText: "sync:rate" })
        yield* act(() => rate.getByText("How it stands now").click())
        // one that has started takes one of them, until it has come back
        yield* act(() => rate.getByText(/^(99.*|100) of 100 may start now$/).waitFor())
        yield* act(() => page.getByRole("button", { name: "Change sync:concurrency", exact: true }).click())
        yield* act(() => page.getByLabel("Tasks at a time").fill("-1"))
        yield* act(() => page.getByLabel("Only for the key").fill("acme"))
        yield* act(() => page.getByRole("button", { name: "Change it" }).click())
        yield* act(() => page.getByRole("dialog").getByRole("alert").waitFor())
        assert.deepStrictEqual(yield* Visit.faults(visit), [])
        yield* act(() => page.getByLabel("Tasks at a time").fill("7"))
        yield* act(() => page.getByLabel("Reason").fill(markup))
        yield* act(() => page.getByRole("button", { name: "Change it" }).click())
        const own = limits.filter({ hasText: "acme" })
        yield* act(() => own.getByText("7 at a time").waitFor())
        yield* act(() => own.getByText(markup).waitFor())
        yield* act(() => page.getByRole("button", { name: "Reset sync:concurrency for acme" }).click())
        yield* act(() => page.getByRole("button", { name: "Reset it" }).click())
        yield* act(() => own.waitFor({ state: "detached" }))
        // A breaker is opened for a while, and closed before that
        yield* act(() => page.getByRole("button", { name: "Open the breaker mail" }).click())
        yield* act(() => page.getByLabel("Reason").fill(markup))
        yield* act(() => page.getByRole("button", { name: "Open it" }).click())
        yield* act(() => page.locator(".breakers", { hasText: `No task starts: ${markup}. One tries in` }).waitFor())
        yield* act(() => page.getByRole("button", { name: "Close the breaker mail" }).click())
        yield* act(() => page.getByRole("button", { name: "Close it" }).click())
        yield* act(() => page.getByRole("button", { name: "Open the breaker mail" }).waitFor())
        // An instance gets more slots
        yield* act(() => page.getByRole("link", { name: "Instances" }).click())
        yield* act(() => page.getByRole("button", { name: /^Resize / }).click())
        yield* act(() => page.getByRole("textbox", { name: "Slots" }).fill("3"))
        yield* act(() => page.getByRole("button", { name: "Resize it" }).click())
        yield* act(() => page.getByText("1 of 3 slots busy, set by hand").waitFor())
        assert.strictEqual(yield* act(() => page.locator("main img, main script").count()), 0)
        assert.deepStrictEqual(visit.problems.filter((problem) => !problem.includes("400")), [])
        const home = yield* act(() => fetch(server.url))
        assert.strictEqual(yield* act(() => home.text()), "home")
      }).pipe(Effect.scoped))
  })

  describe("the page", () => {
    it.live("is small, kept by browsers, compressed, asks no other host and runs no script of others", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory)
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks`)
        yield* act(() => visit.page.getByText("There are no tasks yet").waitFor())
        assert.deepStrictEqual(visit.asked.filter((url) => new URL(url).origin !== server.url), [])
        const own = visit.asked.filter((url) => url === `${server.url}/` || url.includes("/assets/"))
        assert.isAtLeast(own.length, 3)
        for (const encoding of ["br", "gzip", "gzip;q=0.5, br;q=0", "identity"]) {
          let bytes = 0
          for (const url of new Set(own)) {
            const answer = yield* act(() => fetch(url, { headers: { "accept-encoding": encoding } }))
            const { headers } = answer
            const taken = encoding === "br" ? "br" : encoding === "identity" ? null : "gzip"
            assert.strictEqual(headers.get("content-encoding"), taken)
            assert.match(
              headers.get("content-security-policy") ?? "",
              /default-src 'none'; script-src 'self'; style-src 'self'/
            )
            assert.strictEqual(headers.get("vary"), "accept-encoding")
            assert.match(headers.get("cache-control") ?? "", url.includes("/assets/") ? /immutable/ : /^no-cache$/)
            bytes += Number(headers.get("content-length"))
            const again = yield* act(() => fetch(url, { headers: { "if-none-match": headers.get("etag")! } }))
            assert.strictEqual(again.status, 304)
          }
          if (encoding !== "identity") assert.isBelow(bytes, 150_000)
        }
      }).pipe(Effect.scoped))

    it.live("is not there when it is turned off", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { TASKFORGE_DASHBOARD: "0" })
        const page = yield* act(async () => (await fetch(server.url)).text())
        assert.include(page, "Your first task")
      }).pipe(Effect.scoped))

    it.live("fits a phone, and can be read by everyone, dark and light", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { WORKER_NUM_WORKERS: "1" })
        yield* server.post([
          { type: "fail", id: "failed", payload: { message: "x".repeat(500) }, max_retries: 0 },
          { type: "echo", id: "a".repeat(200), queue: "q".repeat(100), payload: { text: "y".repeat(500) } },
          { type: "sleep", id: "busy", payload: { duration: "10m" } },
          { type: "echo", id: "last" }
        ])
        const cancels = { action: "cancel", filter: { type: ["x".repeat(200)] }, why: "y".repeat(500) }
        yield* act(() =>
          fetch(`${server.url}/api/v1/operations`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(cancels)
          })
        )
        const pages = [
          "",
          "#/tasks",
          "#/errors",
          "#/queues",
          "#/schedules",
          "#/limits",
          "#/instances",
          "#/operations",
          "#/enqueue",
          "#/enqueue?type=email",
          "#/tasks?status=expired",
          "#/tasks/failed",
          "#/tasks/busy",
          "#/tasks/last",
          "#/nowhere"
        ]
        for (const look of [{ width: 360, theme: "dark" }, { width: 1280, theme: "light" }] as const) {
          const visit = yield* Visit.open(browser, `${server.url}/`, { ...look, answers })
          for (const place of pages) {
            // As it is opened, and not as the page before it becomes it
            yield* act(() => visit.page.goto("about:blank"))
            yield* act(() => visit.page.goto(`${server.url}/${place}`))
            yield* act(() => visit.page.locator("main h1, main h2").first().waitFor())
            const loading = act(() => visit.page.locator(".loading").count())
            yield* Server.until("all is loaded", Effect.map(loading, (count) => count === 0))
            assert.strictEqual(yield* Visit.overflow(visit), 0, `${place} at ${look.width}`)
            assert.deepStrictEqual(yield* Visit.faults(visit), [], `${place}, ${look.theme}`)
          }
        }
      }).pipe(Effect.scoped))

    it.live("is used with the keyboard alone", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { WORKER_NUM_WORKERS: "1" })
        yield* server.post([{ type: "sleep", id: "busy", payload: { duration: "10m" } }])
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks`)
        const { keyboard } = visit.page
        yield* act(() => visit.page.getByRole("link", { name: "sleep busy" }).waitFor())
        const focused = () => visit.page.locator(":focus").innerText()
        yield* Server.until(
          "the task has the focus",
          Effect.map(act(() => keyboard.press("Tab").then(focused)), (text) => text.includes("busy"))
        )
        yield* act(() => keyboard.press("Enter"))
        yield* act(() => visit.page.getByRole("button", { name: "Cancel …" }).waitFor())
        yield* Server.until(
          "the button has the focus",
          Effect.map(act(() => keyboard.press("Tab").then(focused)), (text) => text.includes("Cancel …"))
        )
        yield* act(() => keyboard.press("Enter"))
        yield* act(() => visit.page.getByRole("dialog").waitFor())
        yield* Server.until(
          "the verb has the focus",
          Effect.map(act(() => keyboard.press("Tab").then(focused)), (text) => text.includes("Cancel the task"))
        )
        yield* act(() => keyboard.press("Enter"))
        yield* act(() => visit.page.locator(".task-state .state", { hasText: "cancelled" }).waitFor())
        yield* act(() => visit.page.getByRole("dialog").waitFor({ state: "detached" }))
        // Keys lead to pages, through lists and into the search bar
        yield* act(() => keyboard.press("?"))
        yield* act(() => visit.page.getByRole("dialog", { name: "Keys" }).waitFor())
        assert.deepStrictEqual(yield* Visit.faults(visit), [])
        yield* act(() => keyboard.press("Escape"))
        yield* act(() => visit.page.getByRole("dialog").waitFor({ state: "detached" }))
        yield* act(() => keyboard.type("gq"))
        yield* act(() => visit.page.getByRole("heading", { name: "Queues" }).waitFor())
        yield* act(() => keyboard.press("/"))
        yield* act(() => visit.page.locator("[role=search] input:focus").waitFor())
        yield* act(() => keyboard.type("/gq"))
        assert.strictEqual(yield* act(() => visit.page.locator(":focus").inputValue()), "/gq")
        yield* act(() => keyboard.press("Control+K"))
        const palette = visit.page.getByRole("dialog", { name: "Commands" })
        yield* act(() => palette.getByRole("option", { name: "Overview page" }).waitFor())
        assert.deepStrictEqual(yield* Visit.faults(visit), [])
        yield* act(() => keyboard.type("busy"))
        yield* act(() => palette.getByRole("option", { name: "Open the task busy" }).waitFor())
        yield* act(() => keyboard.press("Enter"))
        yield* act(() => visit.page.getByRole("button", { name: "Run again …" }).waitFor())
        // What the page offers is a command, and a text that is markup finds nothing
        yield* act(() => keyboard.press("Control+K"))
        yield* act(() => palette.locator("input:focus").waitFor())
        yield* act(() => keyboard.type("run ag"))
        yield* act(() => palette.getByRole("option", { name: "Run again … on this page" }).waitFor())
        yield* act(() => keyboard.press("Enter"))
        yield* act(() => visit.page.getByRole("heading", { name: "Run this task again?" }).waitFor())
        yield* act(() => keyboard.press("Escape"))
        yield* act(() => visit.page.getByRole("dialog").waitFor({ state: "detached" }))
        yield* act(() => keyboard.press("Control+K"))
        yield* act(() => palette.locator("input:focus").waitFor())
        yield* act(() => keyboard.type("new sleep"))
        yield* act(() => palette.getByRole("option", { name: "New task: sleep type" }).waitFor())
        yield* act(() => keyboard.press("Enter"))
        yield* act(() => visit.page.getByRole("heading", { name: "New task" }).waitFor())
        assert.include(visit.page.url(), "type=sleep")
        assert.deepStrictEqual(visit.problems, [])
      }).pipe(Effect.scoped))
  })
})
