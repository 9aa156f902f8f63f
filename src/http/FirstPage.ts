/**
 * The page at `/` of a server without its dashboard: what this is, how it is doing, and where to go on. Plain HTML; a few lines of script keep the counts up
 * to date. And the picture that browsers show for the server's pages.
 */
import { Effect, type Layer, Option } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import type { Counts } from "../store/Counts.ts"
import { version } from "../store/InstanceStore.ts"
import { publicPage } from "./api/NeededRole.ts"
import { KeyRing } from "./KeyRing.ts"
import { SystemStatus } from "./SystemStatus.ts"
import { TaskCatalog } from "./TaskCatalog.ts"

/** Where the page is. */
const path = "/"

/** Where the picture is. */
export const favicon = "/favicon.svg"

/** Where browsers look for it when a page, such as JSON, names none. */
const usualFavicon = "/favicon.ico"

/** Open to every client. */
export const route = publicPage(path)

/** Open to every client: browsers ask for the picture by themselves. */
export const pictures = [favicon, usualFavicon].map(publicPage)

/** Serves the page. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | SystemStatus | TaskCatalog | KeyRing> = HttpRouter
  .use(
    Effect.fnUntraced(function*(router) {
      const status = yield* SystemStatus
      const { types } = yield* TaskCatalog
      const ring = yield* KeyRing
      const headers = {
        "content-security-policy": `default-src 'none'; style-src ${hashOf(style)}; script-src ${hashOf(script)}; ` +
          "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff"
      }
      yield* router.add(
        "GET",
        path,
        Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
          // Every client may open the page, so it shows counts only where no key is needed
          const counts = (yield* ring.isRequired) ? "hidden" : Option.getOrUndefined(yield* status.counts)
          const contentType = "text/html; charset=utf-8"
          return HttpServerResponse.text(render(counts, types, request.headers["host"]), { contentType, headers })
        })
      )
    })
  )

/** Serves the picture. */
export const layerPictures: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use(
  Effect.fnUntraced(function*(router) {
    yield* router.add("GET", favicon, picture)
    yield* router.add("GET", usualFavicon, picture)
  })
)

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const links = [
  ["/docs", "API reference", "every route, to read and to try"],
  ["/openapi.json", "OpenAPI", "the same for machines"],
  ["/api/v1/tasks", "Tasks", "the latest ones, as JSON"],
  ["/health", "Health", "what works and what does not"],
  ["/metrics", "Metrics", "for Prometheus"]
] as const

const render = (
  counts: Counts | "hidden" | undefined,
  types: ReadonlyArray<string>,
  host = "localhost:8080"
): string => {
  const type = types.includes("echo") ? "echo" : types[0] ?? "echo"
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>TaskForge</title>
<link rel="icon" href="${favicon}" type="image/svg+xml">
${
    counts === "hidden" ? "" : `<noscript><meta http-equiv="refresh" content="10"></noscript>
`
  }<style>${style}</style>
</head>
<body>
<main>
<header>
<h1>TaskForge <small>${version}</small></h1>
<p>A durable task engine. It keeps what you post, runs it once it is due, tries again when it fails, and tells you how it went.</p>
</header>
${
    counts === "hidden"
      ? `<p>Requests need an API key. <code>taskforge keys create NAME</code> makes one, where the store is at hand.</p>`
      : `<div id="now">${
        counts === undefined
          ? `<p class="trouble">The task store does not answer; see <a href="/health">health</a>.</p>`
          : renderCounts(counts)
      }</div>`
  }
<section>
<h2>Your first task</h2>
<pre><code>${counts === "hidden" ? "TASKFORGE_API_KEY='your key'\n" : ""}curl http://${escape(host)}/api/v1/tasks \\
${
    counts === "hidden"
      ? `  -H "authorization: Bearer $TASKFORGE_API_KEY" \\\n`
      : ""
  }  -H 'content-type: application/json' \\
  -d '${escape(JSON.stringify({ type, payload: type === "echo" ? { hello: "world" } : {} }))}'</code></pre>
<p>The answer has the task's <code>id</code>: follow it at <code>/api/v1/tasks/{id}</code>.${renderTypes(types)}</p>
</section>
<nav>
${links.map(([href, name, text]) => `<a href="${href}"><b>${name}</b><span>${text}</span></a>`).join("\n")}
</nav>
</main>
${counts === "hidden" ? "" : `<script>${script}</script>`}
</body>
</html>
`
}

const renderCounts = ({ completed, failed, pending, running, scheduled }: Counts): string => {
  const numbers = { running, pending, scheduled, completed, failed }
  const items = Object.entries(numbers).map(([name, count]) =>
    `<li class="${count === 0 ? "none" : name}"><b>${count.toLocaleString("en")}</b> ${name}</li>`
  )
  return `<ul class="counts">\n${items.join("\n")}\n</ul>`
}

const renderTypes = (types: ReadonlyArray<string>): string =>
  types.length === 0
    ? ""
    : ` This server knows ${types.map((type) => `<code>${escape(type)}</code>`).join(", ")}.`

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;", "'": "&#39;" }

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character]!)

/** Puts the counts of a new page into this one, while the page is visible. They fade while the server does not answer. */
const script = `
setInterval(async () => {
  if (document.hidden) return
  const now = document.getElementById("now")
  try {
    const page = await (await fetch("/", { cache: "no-store" })).text()
    const next = new DOMParser().parseFromString(page, "text/html").getElementById("now")
    if (next) now.replaceWith(next)
    else location.reload()
  } catch {
    now.className = "old"
  }
}, 3000)
`

const style = `
:root{color-scheme:light dark;--ink:light-dark(#1b1f24,#e8eaed);--soft:light-dark(#5b6470,#9aa4b0);
--paper:light-dark(#fbfaf8,#14171a);--card:light-dark(#fff,#1c2024);--line:light-dark(#e4e1db,#2b3137);
--accent:light-dark(#b4470f,#ff9b5e);--bad:light-dark(#b3261e,#ff8a80)}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,sans-serif}
main{max-width:46rem;margin:0 auto;padding:min(12vh,6rem) 1.25rem 4rem;display:grid;grid-template-columns:minmax(0,1fr);gap:2.25rem}
h1{margin:0;font-size:2.5rem;line-height:1.1;letter-spacing:-.03em}
h1 small{font-size:.9rem;font-weight:400;letter-spacing:0;color:var(--soft);vertical-align:.9em}
h2{margin:0 0 .6rem;font-size:1rem}
header p{margin:.75rem 0 0;font-size:1.15rem;color:var(--soft);max-width:36rem}
p{overflow-wrap:anywhere}
section p{margin:.75rem 0 0;color:var(--soft)}
a{color:var(--accent)}
code{font:.92em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:var(--ink)}
pre{margin:0;padding:1rem 1.15rem;overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem}
.counts{margin:0;padding:0;list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(6.5rem,1fr));gap:.75rem}
.counts li{padding:.8rem 1rem;background:var(--card);border:1px solid var(--line);border-radius:.6rem;color:var(--soft);font-size:.9rem}
.counts b{display:block;font-size:1.6rem;line-height:1.2;color:var(--ink);font-variant-numeric:tabular-nums}
.counts .running b{color:var(--accent)}
.counts .none b{color:var(--soft)}
.counts .failed b,.trouble{color:var(--bad)}
.old{opacity:.4}
@media(max-width:30rem){main{padding-top:2rem}pre code{white-space:pre-wrap;overflow-wrap:anywhere}}
nav{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.75rem}
nav a{display:block;padding:.8rem 1rem;border:1px solid var(--line);border-radius:.6rem;text-decoration:none;color:inherit}
nav a:hover,nav a:focus-visible{border-color:var(--accent)}
nav b{display:block;color:var(--accent)}
nav span{font-size:.9rem;color:var(--soft)}
`

const picture = HttpServerResponse.text(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" ` +
    `fill="#b4470f"/><path d="M8 9h16v4h-6v11h-4V13H8z" fill="#fff"/></svg>`,
  {
    contentType: "image/svg+xml",
    headers: {
      "cache-control": "public, max-age=86400",
      "content-security-policy": "default-src 'none'",
      "x-content-type-options": "nosniff"
    }
  }
)
