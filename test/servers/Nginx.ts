/** nginx for tests, with the configuration of `deploy/nginx`: in front of instances that the test names. */
import { Effect, type Scope } from "effect"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Program from "./Program.ts"

/** nginx that belongs to the test. */
export interface OwnNginx extends Program.Program {
  readonly url: string
}

const shipped = fileURLToPath(new URL("../../deploy/nginx/", import.meta.url))

/** The program. */
const installed: Effect.Effect<string, Program.ServerMissing> = Effect.suspend(() => {
  const binary = Program.findBinary(["nginx"])
  return binary === undefined
    ? new Program.ServerMissing({ reason: "There is no nginx: install it (apt-get install nginx-light)" })
    : Effect.succeed(binary)
})

/** Starts it in front of two ports of this machine. Only names, ports and folders of the shipped files are changed. */
export const start = Effect.fnUntraced(function*(
  instances: readonly [port: number, port: number]
): Effect.fn.Return<OwnNginx, Program.ServerMissing, Scope.Scope> {
  const binary = yield* installed
  const program = yield* Program.run({
    binary,
    folder: yield* Program.folderFor(undefined, "nginx"),
    user: undefined,
    stopSignal: "SIGTERM",
    args: (port, folder) => {
      const site = replaced(readFileSync(join(shipped, "taskforge.conf"), "utf8"), {
        "listen 8080;": `listen 127.0.0.1:${port};`,
        "server taskforge-1:8080 ": `server 127.0.0.1:${instances[0]} `,
        "server taskforge-2:8080 ": `server 127.0.0.1:${instances[1]} `
      })
      const container = readFileSync(join(shipped, "nginx.conf"), "utf8").replaceAll("/tmp/", `${folder}/`)
      const whole = replaced(container, {
        // What Node gives a process for its output cannot be opened by a name
        "access_log /dev/stdout ": `access_log ${folder}/access.log `,
        "include /etc/nginx/taskforge.conf;": `include ${folder}/taskforge.conf;`
      })
      // Started by root, its workers are another user, and keep large bodies there
      chmodSync(folder, 0o755)
      writeFileSync(join(folder, "taskforge.conf"), site)
      writeFileSync(join(folder, "nginx.conf"), whole)
      return ["-c", join(folder, "nginx.conf"), "-e", "stderr", "-g", "daemon off;"]
    },
    isReady: connects
  })
  return { ...program, url: urlOf(program.port) }
})

/** A request would be passed on, and could put an instance out of use. */
const connects = (port: number): Effect.Effect<void, unknown> =>
  Effect.callback((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("error", (cause) => resume(Effect.fail(cause)))
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
  })

const urlOf = (port: number): string => `http://127.0.0.1:${port}`

/** Each text has to be there once: a file that has changed must not run unchanged. */
const replaced = (text: string, changes: Readonly<Record<string, string>>): string => {
  for (const [from, to] of Object.entries(changes)) {
    if (text.split(from).length !== 2) throw new Error(`Not once in the configuration of nginx: ${from}`)
    text = text.replace(from, to)
  }
  return text
}
