import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Server from "../e2e/Server.ts"
import { withServer } from "../servers/withServer.ts"
import * as Chromium from "./Chromium.ts"
import * as Visit from "./Visit.ts"

const { act } = Visit

/** A definition as no shipped type is: nested, referring to itself, and full of markup. */
const markup = `<img src=x onerror="alert(1)"><b>bold</b>`
const strange = {
  type: "echo",
  description: markup,
  version: 1,
  queue: "default",
  priority: 1,
  timeout_ms: null,
  payload: {
    type: "object",
    properties: {
      [markup]: { type: "string", description: markup, default: markup },
      mode: { type: "string", enum: ["fast", markup] },
      tree: { $ref: "#/$defs/Tree" },
      tags: { type: "array", items: { type: "string", minLength: 1 }, maxItems: 2 },
      size: { anyOf: [{ type: "integer", minimum: 1 }, { type: "array", items: { type: "integer" } }] }
    },
    required: ["tags"],
    $defs: { Tree: { type: "object", properties: { child: { $ref: "#/$defs/Tree" }, name: { type: "string" } } } }
  },
  result: {}
}

await withServer("the form of a new task in a browser", Chromium.shared, (browser) => {
  describe("a new task", () => {
    it.live("is made by a form of what its type takes, with what is wrong in place, and copied with another payload", () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, { TASKFORGE_QUEUES: "elsewhere" })
        const visit = yield* Visit.open(browser, `${server.url}/#/tasks`)
        const { page } = visit
        yield* act(() => page.getByRole("link", { name: "New task" }).click())
        yield* act(() => page.getByRole("link", { name: /^http_request / }).click())
        yield* act(() => page.getByText("GET, when left out").waitFor({ state: "attached" }))
        // What is missing is said in place, before anything is sent
        yield* act(() => page.getByRole("button", { name: "Enqueue it" }).click())
        yield* act(() => page.locator(".schema-field", { hasText: "url" }).getByText("It is needed").waitFor())
        assert.strictEqual(yield* act(() => page.locator(":focus").getAttribute("aria-invalid")), "true")
        yield* act(() => page.getByLabel(/^max_bytes/).fill("12x"))
        yield* act(() => page.getByLabel(/^url/).fill("no URL"))
        yield* act(() => page.getByText("It is no whole number").waitFor())
        yield* act(() => page.getByLabel(/^max_bytes/).fill("100"))
        yield* act(() => page.getByLabel(/^method/).selectOption("PUT"))
        yield* act(() => page.getByRole("button", { name: "Give headers" }).click())
        yield* act(() => page.getByLabel("A name for headers").fill("x-note"))
        yield* act(() => page.keyboard.press("Enter"))
        yield* act(() => page.getByLabel(/^x-note/).fill(markup))
        // What only the server knows is said in place too
        yield* act(() => page.getByRole("button", { name: "Enqueue it" }).click())
        yield* act(() => page.locator(".schema-field > .trouble", { hasText: "Expected" }).waitFor())
        assert.strictEqual((yield* server.stats).totals.created, 0)
        yield* act(() => page.getByLabel(/^url/).fill("http://localhost/x"))
        yield* act(() => page.getByText("Queue, priority, time and key").click())
        yield* act(() => page.getByLabel("Due in").fill("1h"))
        yield* act(() => page.getByLabel("Id", { exact: true }).fill("made"))
        yield* act(() => page.getByRole("button", { name: "Enqueue it" }).click())
        yield* act(() => page.locator(".state", { hasText: "scheduled" }).waitFor())
        const made = yield* Server.request<{ readonly payload: unknown }>(`${server.url}/api/v1/tasks/made`)
        assert.deepStrictEqual(made.payload, {
          url: "http://localhost/x",
          method: "PUT",
          headers: { "x-note": markup },
          max_bytes: 100
        })
        // A copy begins with the same payload
        yield* act(() => page.getByRole("link", { name: "Enqueue a copy …" }).click())
        yield* act(() => page.getByRole("heading", { name: "Copy of a task" }).waitFor())
        yield* act(() => page.getByLabel(/^max_bytes/).fill(""))
        yield* act(() => page.getByRole("button", { name: "As JSON" }).click())
        const json = yield* act(() => page.getByLabel("The payload as JSON").inputValue())
        assert.deepStrictEqual(JSON.parse(json), {
          url: "http://localhost/x",
          method: "PUT",
          headers: { "x-note": markup }
        })
        yield* act(() => page.getByLabel("The payload as JSON").fill(json.replace("PUT", "POST")))
        yield* act(() => page.getByText("Queue, priority, time and key").click())
        yield* act(() => page.getByLabel("Id", { exact: true }).fill("copied"))
        yield* act(() => page.getByRole("button", { name: "Enqueue it" }).click())
        yield* act(() => page.locator(".task-id", { hasText: "copied" }).waitFor())
        const copied = yield* Server.request<{ readonly payload: object }>(`${server.url}/api/v1/tasks/copied`)
        assert.deepInclude(copied.payload, { method: "POST", url: "http://localhost/x" })
        // The refusal of what did not fit
        assert.deepStrictEqual(visit.problems.filter((problem) => !problem.includes("400")), [])

        // A schema that is nested without an end, and texts that look like markup
        yield* act(() => page.route("**/api/v1/definitions/echo", (route) => route.fulfill({ json: strange })))
        yield* act(() => page.goto(`${server.url}/#/enqueue?type=echo`))
        yield* act(() => page.getByText(markup).first().waitFor())
        for (let level = 0; level < 3; level++) {
          yield* act(() => page.getByRole("button", { name: /^Give (tree|child)$/ }).first().click())
        }
        assert.strictEqual(yield* act(() => page.getByRole("button", { name: "Give child" }).count()), 0)
        yield* act(() => page.getByRole("button", { name: "Add to tags" }).click())
        yield* act(() => page.getByRole("radio", { name: "list" }).check())
        yield* act(() => page.getByRole("button", { name: "Add to size" }).click())
        yield* act(() => page.getByRole("button", { name: "Enqueue it" }).click())
        yield* act(() => page.getByText("It is needed").first().waitFor())
        assert.strictEqual(yield* act(() => page.locator("main img, main b:not([class])").count()), 0)
        assert.deepStrictEqual(yield* Visit.faults(visit), [])
        assert.strictEqual(yield* Visit.overflow(visit), 0)
      }).pipe(Effect.scoped))
  })
})
