/**
 * Starts the server of these sources, which is built first if they have changed. On Linux the process becomes the server
 * with settings of the allocator, which are read before a program runs: it gives memory back instead of keeping it for
 * each thread. No process stays in between that would have to pass signals on. Elsewhere the server runs right here.
 */
import { createRequire } from "node:module"
import * as Bundle from "./Bundle.mjs"

const server = Bundle.file("server")

if (process.platform === "linux" && process.execve !== undefined) {
  const allocator = { MALLOC_ARENA_MAX: "2", MALLOC_TRIM_THRESHOLD_: "131072" }
  process.execve(process.execPath, [process.execPath, ...process.execArgv, server], { ...allocator, ...process.env })
}
createRequire(import.meta.url)(server)
