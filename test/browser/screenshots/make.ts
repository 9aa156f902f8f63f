/** Makes the screenshots of every page, light and dark, in `docs/dashboard`: of a shop that has worked for half a minute. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Page } from "playwright-core"
import sharp from "sharp"
import * as Server from "../../e2e/Server.ts"
import * as Chromium from "../Chromium.ts"
import * as Front from "../Front.ts"
import * as Visit from "../Visit.ts"
import * as Day from "./Day.ts"

const folder = fileURLToPath(new URL("../../../docs/dashboard", import.meta.url))

/** A page: its address, the height of the window, and what is done on it before. */
interface Shot {
  readonly name: string
  readonly place: string
  readonly height?: number
  readonly before?: (page: Page) => Promise<unknown>
}

const shots: ReadonlyArray<Shot> = [
  { name: "overview", place: "#/?last=1d", height: 1400 },
  { name: "tasks", place: "#/tasks" },
  {
    name: "search",
    place: "#/tasks?type=email&payload.template=receipt",
    before: async (page) => {
      await page.getByRole("button", { name: "Act on all that match …" }).click()
      await page.getByText("would be cancelled").waitFor()
      await page.getByLabel("Why").fill("Receipts were sent by hand")
    }
  },
  { name: "task", place: "#/tasks/welcome-nobody", height: 1000 },
  { name: "task-running", place: "#/tasks/fulfil-20417", height: 1240 },
  { name: "errors", place: "#/errors?last=1d", height: 620 },
  { name: "queues", place: "#/queues", height: 760 },
  { name: "schedules", place: "#/schedules" },
  {
    name: "limits",
    place: "#/limits",
    height: 860,
    before: async (page) => {
      for (const summary of await page.getByText("How it stands now").all()) await summary.click()
      await page.getByLabel("Key").last().fill("berlin")
      await page.getByText("of 2 run").waitFor()
    }
  },
  { name: "instances", place: "#/instances", height: 620 },
  { name: "operations", place: "#/operations", height: 760 },
  { name: "new-task", place: "#/enqueue?type=email", height: 960 },
  { name: "commands", place: "#/tasks", before: (page) => page.keyboard.press("Control+K") },
  { name: "sign-in", place: "#/tasks", height: 620, before: signIn }
]

/** As a server with keys asks. */
async function signIn(page: Page): Promise<void> {
  await page.route(
    "**/api/v1/**",
    (route) => route.fulfill({ status: 401, json: { error: { code: "unauthorized", message: "The API needs a key" } } })
  )
  await page.reload()
  await page.getByRole("heading", { name: "Sign in" }).waitFor()
}

const post = (server: Server.Server, path: string, body: unknown) =>
  Effect.promise(() =>
    fetch(`${server.url}/api/v1/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
  )

/** What people did: operations of each kind of end, and a pause. */
const people = Effect.fnUntraced(function*(server: Server.Server) {
  const ada = { by: "ada", rate: 1000 }
  const cancel = { action: "cancel", ...ada, why: "The carrier is down until noon" }
  const made = yield* post(server, "operations", {
    ...cancel,
    filter: { type: ["track-parcel"] }
  })
  const { id } = (yield* Effect.promise(() => made.json())) as { readonly id: string }
  yield* Effect.sleep("3 seconds")
  yield* post(server, `operations/${id}/undo`, {})
  yield* post(server, "operations", {
    action: "rerun",
    by: "grace",
    rate: 1000,
    why: "The bank was down for two minutes",
    filter: { type: ["charge-card"], tag: ["CardDeclined"] }
  })
  yield* post(server, "operations", {
    action: "discard",
    by: "grace",
    rate: 1,
    why: "Receipts are kept elsewhere",
    filter: { type: ["email"], payload: { template: "receipt" }, status: ["completed"] }
  })
  yield* post(server, "queues/mail/pause", { by: "ada", reason: "The provider moves", for: "2h" })
})

const shoot = Effect.fnUntraced(function*(server: Server.Server, theme: "light" | "dark", shot: Shot) {
  const browser = yield* Chromium.shared
  const now = Date.now()
  const { page, problems } = yield* Visit.open(browser, `${server.url}/${shot.place}`, {
    theme,
    height: shot.height ?? 800,
    answers: { "**/api/v1/statistics*": Day.statistics(now), "**/api/v1/errors*": Day.errors(now) }
  })
  const image = yield* Effect.promise(async () => {
    await page.locator("main h1, main h2").first().waitFor()
    // The room of a scroll bar would be a strip next to what a dialog darkens
    await page.evaluate("document.documentElement.style.scrollbarGutter = 'auto'")
    await page.waitForTimeout(1500)
    await shot.before?.(page)
    await page.waitForTimeout(700)
    return page.screenshot()
  })
  const small = yield* Effect.promise(() => sharp(image).png({ palette: true, colours: 96, effort: 10 }).toBuffer())
  writeFileSync(`${folder}/${shot.name}-${theme}.png`, small)
  const wrong = problems.filter((problem) => !problem.includes("401"))
  yield* Effect.log(`${shot.name}, ${theme}: ${Math.round(small.length / 1024)} KiB`, ...wrong)
}, Effect.scoped)

const program = Effect.gen(function*() {
  mkdirSync(folder, { recursive: true })
  const [command, ...args] = (yield* Front.application) as ReadonlyArray<string>
  const shop = [command!, ...args.slice(0, -1), fileURLToPath(new URL("Shop.ts", import.meta.url))] as const
  const directory = yield* Server.directory
  const server = yield* Server.start(directory, {}, shop)
  yield* Server.launch(directory, {}, [...shop, "worker-1"])
  yield* Effect.sleep("40 seconds")
  yield* people(server)
  yield* Effect.sleep("8 seconds")
  for (const theme of ["light", "dark"] as const) {
    for (const shot of shots) yield* shoot(server, theme, shot)
  }
})

NodeRuntime.runMain(Effect.scoped(program))
