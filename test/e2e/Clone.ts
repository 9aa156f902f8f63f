/**
 * A clone of the project with sources of its own, so that it is built in a moment. What starts and builds it, its
 * configuration and its scripts are those of the project.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Server from "./Server.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Files of a clone by their paths. */
export type Files = Readonly<Record<string, string>>

/** The variables with which its programs find the Node of these tests first. */
export const environment = { PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter) }

/** Makes a clone; the folder goes with the scope. */
export const make = (files: Files): Effect.Effect<string, never, Scope.Scope> =>
  Effect.tap(Server.directory, (directory) =>
    Effect.sync(() => {
      for (const folder of ["dashboard", "scripts"]) {
        cpSync(join(root, folder), join(directory, folder), { recursive: true })
      }
      const { scripts, type } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
      write(directory, { "package.json": JSON.stringify({ type, scripts }), "package-lock.json": "{}", ...files })
      mkdirSync(join(directory, "node_modules/.bin"), { recursive: true })
      symlinkSync(process.execPath, join(directory, "node_modules/.bin/node"))
      symlinkSync(join(root, "node_modules/rolldown"), join(directory, "node_modules/rolldown"))
    }))

/** Writes files, with their folders. */
export const write = (directory: string, files: Files): void => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), content)
  }
}

/** What a process wrote, and how it ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of a clone to its end. */
export const run = (directory: string, command: string, ...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const child = spawn(command, args, { cwd: directory, env: environment, stdio: ["ignore", "pipe", "pipe"] })
    const written = { stdout: collect(child, "stdout"), stderr: collect(child, "stderr") }
    child.once("close", (code) => resume(Effect.succeed({ code, stdout: written.stdout(), stderr: written.stderr() })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const collect = (child: ChildProcess, stream: "stdout" | "stderr"): () => string => {
  let text = ""
  child[stream]!.setEncoding("utf8").on("data", (part: string) => {
    text += part
  })
  return () => text
}
