/** What a person needs once the server listens: where to go, where the tasks are, who may come, and what to type next. */
import { Config, Effect, Layer, Option } from "effect"
import { HttpServer as Listener } from "effect/http"
import { resolve } from "node:path"
import * as ListenAddress from "../config/ListenAddress.ts"
import type { Settings } from "../config/Settings.ts"
import * as StoreUrl from "../config/StoreUrl.ts"
import { quoted } from "../domain/Quoting.ts"
import { WorkerPool } from "../worker/WorkerPool.ts"
import * as ConfiguredLog from "./ConfiguredLog.ts"

/** Logs it: as a text on a terminal, as the fields of one record for machines. */
export const layer = (settings: Settings, address: ListenAddress.ListenAddress) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { instance } = yield* WorkerPool
    const url = Listener.formatAddress((yield* Listener.HttpServer).address)
    const said = `taskforge listens on ${url}`
    if (settings.store._tag === "Memory") {
      yield* Effect.logWarning("Tasks are kept in memory only: the end of this process loses every task")
    }
    if ((yield* ConfiguredLog.formatOf(settings)) === "pretty") {
      const command = (yield* startedByNpm) ? ofClone : "taskforge"
      return yield* Effect.logInfo([said, "", ...lines(settings, address, { url, command })].join("\n"))
    }
    const { store } = settings
    yield* Effect.annotateLogs(Effect.logInfo(said), {
      url,
      store: StoreUrl.format(store),
      ...(store._tag === "Sqlite" ? { file: resolve(store.path) } : {}),
      access: access(settings, address),
      slots: settings.workers,
      instance
    })
  }))

interface Names {
  readonly url: string
  /** How the command line is called here. */
  readonly command: string
}

/** The text, line by line. */
export const lines = (
  settings: Settings,
  address: ListenAddress.ListenAddress,
  { command, url }: Names
): ReadonlyArray<string> => [
  `Open    ${openAt(url)}`,
  `Tasks   ${place(settings.store)}`,
  `Access  ${access(settings, address)}`,
  `Try     ${example(settings, address, { command, url })}`,
  `        ${
    address.requireKeys && settings.store._tag === "Sqlite"
      ? `${command} watch --store ${quoted(`sqlite:${resolve(settings.store.path)}`)}`
      : `${command} watch${openAt(url) === "http://localhost:8080" ? "" : ` --server ${openAt(url)}`}`
  }`,
  "Stop    Ctrl-C: running tasks get time to end, and the rest run at the next start"
]

/** A name that a browser on this machine can open. */
const openAt = (url: string): string => url.replace(/\/\/(0\.0\.0\.0|\[::\]|127\.0\.0\.1)(?=:|$)/, "//localhost")

const place = (store: StoreUrl.StoreUrl): string => {
  switch (store._tag) {
    case "Memory":
      return "in memory, until this process ends; leave STORE_URL out to keep them in a file"
    case "Sqlite":
      return `${resolve(store.path)}, a SQLite file`
    default:
      return StoreUrl.format(store)
  }
}

/** Who may come, and what changes that. */
const access = ({ adminKey }: Settings, { host, requireKeys }: ListenAddress.ListenAddress): string => {
  const needs = adminKey === undefined
    ? "with an API key, made by taskforge keys create"
    : "with TASKFORGE_ADMIN_KEY, or a key made by taskforge keys create"
  if (ListenAddress.isLoopback(host)) {
    return requireKeys
      ? `from this machine only, ${needs}; for others set SERVER_HOST=0.0.0.0`
      : "from this machine only, because no API key is asked for; for others set TASKFORGE_ADMIN_KEY"
  }
  return requireKeys ? `from every machine that reaches ${host}, ${needs}` : `from every machine that reaches ${host}`
}

const payload = `{"hello": "world"}`

/** A command that works as it is. A store in a file can be asked without a key; else a variable names one. */
const example = (
  { adminKey, store }: Settings,
  { requireKeys }: ListenAddress.ListenAddress,
  { command, url }: Names
): string => {
  if (requireKeys && store._tag === "Sqlite") {
    return `${command} enqueue echo '${payload}' --wait --store ${quoted(`sqlite:${resolve(store.path)}`)}`
  }
  const key = adminKey === undefined ? "TASKFORGE_API_KEY" : "TASKFORGE_ADMIN_KEY"
  const header = requireKeys ? ` -H "authorization: Bearer $${key}"` : ""
  return `curl ${openAt(url)}/api/v1/tasks${header} -H 'content-type: application/json' ` +
    `-d '{"type": "echo", "payload": ${payload}}'`
}

/** The command line of a clone; `cmd.exe` runs no script of a shell. */
const ofClone = process.platform === "win32" ? "npm run --silent taskforge --" : "scripts/taskforge"

const startedByNpm = Config.option(Config.String("npm_lifecycle_event")).pipe(
  Effect.map((event) => Option.getOrUndefined(event) === "start"),
  Effect.orElseSucceed(() => false)
)
