/**
 * Loaded by a server before its own program: at `SIGUSR2` it collects all garbage, and writes how many bytes are left to
 * the file that `KEPT_FILE` names. The resident size of a process says little of that, since neither the heap nor the
 * allocator gives pages back when what was on them is gone.
 */
import { renameSync, writeFileSync } from "node:fs"

process.on("SIGUSR2", () => {
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  const file = process.env["KEPT_FILE"]!
  writeFileSync(`${file}.part`, String(heapUsed + external))
  renameSync(`${file}.part`, file)
})
