/** A real browser, Debian's Chromium, without a window. */
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"
import { ServerMissing } from "../servers/Program.ts"

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

const options = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

/** How long a page may take to come, in milliseconds: it ends what hangs, however busy the machine is. */
export const patienceMs = 120_000

/** The browser's program. */
export const find: Effect.Effect<string, ServerMissing> = Effect.suspend(() => {
  const path = places.find(existsSync)
  return path === undefined
    ? Effect.fail(new ServerMissing({ reason: "there is no Chromium; on Debian: apt-get install chromium" }))
    : Effect.succeed(path)
})

/** Starts a browser that ends with the scope. `hosts` are names and the addresses that they resolve to. */
export const start = (
  executablePath: string,
  hosts: Readonly<Record<string, string>> = {}
): Effect.Effect<Browser, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => {
      const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`)
      const args = [...options, `--host-resolver-rules=${rules.join(",")}`]
      return chromium.launch({ executablePath, args, timeout: patienceMs })
    }),
    (browser) => Effect.promise(() => browser.close())
  )

/** A browser for all tests of a file: each visit is one to a browser of its own storage. */
export const shared: Effect.Effect<Browser, ServerMissing, Scope.Scope> = Effect.flatMap(find, (path) => start(path))
