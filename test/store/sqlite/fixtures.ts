/**
 * Files, stores on them, and processes that share them.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import type { StoreServices } from "../../../src/store/Driver.ts"
import { SqliteStore } from "../../../src/store/sqlite/index.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"

/** A folder that goes with the scope. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "taskforge-sqlite-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** The path of a file that does not exist yet. */
export const file = Effect.map(folder, (path) => join(path, "tasks.db"))

/** A store on a file, open until the scope closes. */
export const open = (path: string, options: Partial<SqliteStore.Options> = {}) =>
  Effect.map(
    Layer.build(Layer.fresh(SqliteStore.layer({ ...options, path }))),
    (context) => Context.get(context, TaskStore)
  )

/** Uses a store on a file and closes it. */
export const using = <A, E>(
  path: string,
  use: (store: Context.Service.Shape<typeof TaskStore>) => Effect.Effect<A, E, StoreServices>,
  options: Partial<SqliteStore.Options> = {}
) => Effect.provide(TaskStore.use(use), Layer.fresh(SqliteStore.layer({ ...options, path })))

/** Another process has the file. */
export const elsewhere = <A, E>(path: string, effect: Effect.Effect<A, E, StoreServices>) =>
  Effect.provide(effect, Layer.fresh(SqliteStore.layer({ path })))

/** Refuses tasks whose payload is `bad` and claims of the instance `bad`, in the middle of a transaction. */
export const refuseBad = (path: string) =>
  Effect.sync(() => {
    const database = new DatabaseSync(path)
    database.exec(`
      CREATE TRIGGER bad_task BEFORE INSERT ON task WHEN new.payload = 'bad' BEGIN SELECT raise(ABORT, 'bad'); END;
      CREATE TRIGGER bad_claim AFTER UPDATE ON task WHEN new.worker = 'bad' AND old.state = 1
        BEGIN SELECT raise(ABORT, 'bad'); END
    `)
    database.close()
  })

/** How a process ended and the lines that it wrote. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly lines: ReadonlyArray<string>
  readonly errors: string
}

/**
 * Runs `process.ts` until it ends, or kills it once it has written so many lines. A process that has started is
 * killed when its caller is interrupted.
 */
export const run = (args: ReadonlyArray<string>, killAfterLines = Infinity): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const script = fileURLToPath(new URL("./process.ts", import.meta.url))
    const child = spawn(process.execPath, ["--conditions=source", script, ...args])
    let output = ""
    let errors = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
      if (output.split("\n").length > killAfterLines) child.kill("SIGKILL")
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text
    })
    // a killed process may leave half a line
    child.on(
      "close",
      (code, signal) => resume(Effect.succeed({ code, signal, lines: output.split("\n").slice(0, -1), errors }))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })
