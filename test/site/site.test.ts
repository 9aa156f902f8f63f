/** The site of the documents, built as `npm run site` does, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { execFile } from "node:child_process"
import { existsSync, globSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as Chromium from "../browser/Chromium.ts"
import * as Visit from "../browser/Visit.ts"
import { withServer } from "../servers/withServer.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const built = join(root, "scripts/site/.vitepress/dist")

/** What a server at a stranger's would say of the files. */
const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png"
}

const run = (command: string, args: ReadonlyArray<string>) =>
  Effect.promise(() => promisify(execFile)(command, args, { cwd: join(root, "scripts/site") }))

const build = Effect.gen(function*() {
  if (!existsSync(join(root, "scripts/site/node_modules/vitepress"))) {
    yield* run("npm", ["ci", "--no-audit", "--no-fund"])
  }
  yield* run(process.execPath, ["node_modules/vitepress/bin/vitepress.js", "build"])
})

/** A server of files that knows nothing about the site. */
const serve: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(({ url = "/" }, response) => {
        const { pathname } = new URL(url, "http://site")
        const file = join(built, pathname.endsWith("/") ? `${pathname}index.html` : pathname)
        if (!file.startsWith(built) || !existsSync(file)) return response.writeHead(404).end()
        return response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream").end(
          readFileSync(file)
        )
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ),
  (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
)

/** The addresses that a page leads to, and the names in it that one may lead to. */
const linksOf = (html: string) => ({
  to: [...html.matchAll(/<(?:a|img|script|link)\b[^>]*? (?:href|src)="([^"]+)"/g)].map(([, href]) =>
    href!.replaceAll("&amp;", "&")
  ),
  names: new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!))
})

await withServer("Chromium", Chromium.shared, (browser) => {
  describe("the site", () => {
    it.live("has every page, leads nowhere that is not there, loads nothing from elsewhere, and is searched", () =>
      Effect.gen(function*() {
        yield* build
        const pages = new Map(
          globSync("**/*.html", { cwd: built }).map((path) => [path, linksOf(readFileSync(join(built, path), "utf8"))])
        )
        for (const page of globSync("docs/**/*.md", { cwd: root })) {
          const path = page.slice("docs/".length).replace(/\.md$/, ".html").replace("README", "index")
          assert.isTrue(pages.has(path), page)
        }
        const lost: Array<string> = []
        for (const [page, { to }] of pages) {
          for (const href of to) {
            const { hash, origin, pathname } = new URL(href, `http://site/${page}`)
            if (origin !== "http://site") continue
            const path = decodeURIComponent(pathname.slice(1))
            const file = path === "" || path.endsWith("/") ? `${path}index.html` : path
            const name = decodeURIComponent(hash.slice(1))
            const isThere = file.endsWith(".html")
              ? pages.has(file) && (name === "" || pages.get(file)!.names.has(name))
              : existsSync(join(built, file))
            if (!isThere) lost.push(`${page}: ${href}`)
          }
        }
        assert.deepStrictEqual(lost, [])

        const url = yield* serve
        for (const theme of ["light", "dark"] as const) {
          for (const path of ["/", "/begin.html", "/limits.html", "/examples/12-steps.html"]) {
            const visit = yield* Visit.open(browser, url + path, { theme })
            yield* Visit.act(() => visit.page.waitForLoadState("networkidle"))
            assert.deepStrictEqual(visit.problems, [], path)
            assert.deepStrictEqual(visit.asked.filter((asked) => !asked.startsWith(url)), [], path)
            const faults = yield* Visit.faults(visit)
            // The theme's search button shows a key that its name leaves out
            const ours = faults.filter((fault) => !fault.startsWith("label-content-name-mismatch"))
            assert.deepStrictEqual(ours, [], `${path} ${theme}`)
          }
        }
        const phone = yield* Visit.open(browser, `${url}/tasks.html`, { width: 390 })
        yield* Visit.act(() => phone.page.waitForLoadState("networkidle"))
        assert.strictEqual(yield* Visit.overflow(phone), 0)

        const { page } = yield* Visit.open(browser, `${url}/begin.html`)
        yield* Visit.act(() => page.waitForLoadState("networkidle"))
        yield* Visit.act(() => page.click("#local-search button"))
        yield* Visit.act(() => page.fill("#localsearch-input", "circuit breaker"))
        yield* Visit.act(() => page.click("#localsearch-list li:first-child a"))
        yield* Visit.act(() => page.waitForURL(/breakers/))
        assert.include(yield* Visit.text({ page, problems: [], asked: [] }), "they wait in the store")
      }).pipe(Effect.scoped))
  })
})
