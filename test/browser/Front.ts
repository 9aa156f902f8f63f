/** What stands between a browser and a server: a proxy that can break streams, and an application with the dashboard in it. */
import { Effect, type Scope } from "effect"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, request } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as Bundle from "../../scripts/Bundle.mjs"
import { moduleText } from "../../scripts/PageFiles.mjs"
import type * as Server from "../e2e/Server.ts"

/** A proxy. */
export interface Front {
  readonly url: string
  /** Requests for streams, in the order in which they came. */
  readonly streams: ReadonlyArray<IncomingMessage>
  /** Ends the open streams, and answers 502 to new ones until it is told otherwise. */
  readonly breakStreams: (isBroken: boolean) => void
}

/** Starts a proxy in front of a server; what it passes on is under a path. */
export const start = (target: string, path = ""): Effect.Effect<Front, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Front & { readonly close: () => void }>((resume) => {
        const streams: Array<IncomingMessage> = []
        let isBroken = false
        const server = createServer((incoming, outgoing) => {
          const url = incoming.url!.startsWith(`${path}/`) ? incoming.url!.slice(path.length) : undefined
          const isStream = url?.startsWith("/api/v1/events") === true
          if (isStream) streams.push(incoming)
          if (url === undefined || (isStream && isBroken)) {
            outgoing.writeHead(url === undefined ? 404 : 502, { "content-type": "text/html" })
            outgoing.end("<h1>Bad gateway</h1>")
            return
          }
          const passed = request(
            new URL(url, target),
            { method: incoming.method, headers: incoming.headers },
            (answer) => {
              outgoing.writeHead(answer.statusCode!, answer.headers)
              answer.pipe(outgoing)
            }
          )
          passed.on("error", () => outgoing.destroy())
          outgoing.on("close", () => passed.destroy())
          incoming.pipe(passed)
        })
        server.listen(0, "127.0.0.1", () =>
          resume(Effect.succeed({
            url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
            streams,
            breakStreams: (wanted) => {
              isBroken = wanted
              if (wanted) { for (const stream of streams) stream.socket.destroy() }
            },
            close: () => {
              server.closeAllConnections()
              server.close()
            }
          })))
      }),
      ({ close }) => Effect.sync(close)
    ),
    (front) => front
  )

/** Makes an API key in the store of a server. */
export const keyOf = (
  _: Server.Server,
  directory: string,
  role: "read" | "write" | "admin"
): Effect.Effect<string> =>
  Effect.promise(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      Bundle.file("taskforge"),
      "keys",
      "create",
      role,
      "--role",
      role,
      "--json",
      "--store",
      `sqlite:${join(directory, "tasks.db")}`
    ])
    return /tf_\w+_[\w-]+/.exec(stdout)![0]
  })

/** What runs an application that has the routes of tasks, with the built page, under `/work/tasks`. */
export const application: Effect.Effect<Server.Runs, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = mkdtempSync(join(tmpdir(), "taskforge-page-"))
      writeFileSync(join(folder, "PageFiles.mjs"), await moduleText())
      writeFileSync(join(folder, "hook.mjs"), hook)
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => [
    process.execPath,
    "--conditions=source",
    "--import",
    join(folder, "hook.mjs"),
    fileURLToPath(new URL("Application.ts", import.meta.url))
  ]
)

/** Puts the built files in the place of the empty list of the sources, as builds do. */
const hook = `import { registerHooks } from "node:module"
registerHooks({
  resolve: (name, context, next) =>
    name.endsWith("/PageFiles.ts") ? { url: new URL("PageFiles.mjs", import.meta.url).href, shortCircuit: true } : next(name, context)
})
`
