/** The alert rules and the dashboard that come with the server: they ask for what it serves, and the rules keep their tests. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Echo, expecting, get, layer } from "./TestServer.ts"

const folder = fileURLToPath(new URL("../../deploy/", import.meta.url))
const rules = readFileSync(`${folder}prometheus/taskforge.rules.yml`, "utf8")
const dashboard = readFileSync(`${folder}grafana/taskforge.json`, "utf8")

/** Families that have a series only once there is what they are about. */
const later = ["taskforge_breaker_state", "taskforge_schedule_ticks_total"]

const handlers = Echo.toLayer(Effect.succeed)

const promtool = (...args: ReadonlyArray<string>) => {
  const { error, status, stderr, stdout } = spawnSync("promtool", args, {
    cwd: `${folder}prometheus`,
    timeout: Duration.toMillis("60 seconds"),
    encoding: "utf8"
  })
  if (error !== undefined) throw error
  assert.strictEqual(status, 0, stdout + stderr)
}

describe("what comes for monitoring", () => {
  it.effect("asks for metrics and labels that the server has", () =>
    Effect.gen(function*() {
      const { text } = yield* expecting(200, get("/metrics"))
      for (const used of new Set(`${rules}${dashboard}`.match(/taskforge_\w+/g))) {
        const family = used.replace(/_(?:bucket|sum|count)$/, "")
        const known = [used, family].some((name) => text.includes(`\n# TYPE ${name} `) || later.includes(name))
        assert.isTrue(known, used)
      }
      for (const [, label, value] of rules.matchAll(/\{(\w+)="([^"]+)"\}/g)) {
        assert.match(text, new RegExp(`[{,]${label}="${value}"`), `${label}=${value}`)
      }
    }).pipe(Effect.provide(layer({ handlers }))))

  it("has alert rules that keep their own tests", () => {
    promtool("check", "rules", "taskforge.rules.yml")
    promtool("test", "rules", "taskforge.rules.test.yml")
  })

  it("tests each alert", () => {
    const tests = readFileSync(`${folder}prometheus/taskforge.rules.test.yml`, "utf8")
    for (const [, alert] of rules.matchAll(/- alert: (\w+)/g)) {
      assert.match(tests, new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n`), alert)
    }
  })

  it("has a dashboard whose panels do not overlap", () => {
    const { panels } = JSON.parse(dashboard) as {
      readonly panels: ReadonlyArray<{ id: number; gridPos: { x: number; y: number; w: number; h: number } }>
    }
    const taken = new Set<string>()
    for (const { gridPos: { h, w, x, y } } of panels) {
      for (let row = y; row < y + h; row++) {
        for (let column = x; column < x + w; column++) {
          assert.isBelow(column, 24)
          assert.isFalse(taken.has(`${row} ${column}`))
          taken.add(`${row} ${column}`)
        }
      }
    }
    assert.strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length)
  })
})
