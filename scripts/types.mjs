/**
 * Checks the types, and of files that have been checked before only what has changed or uses what has. What is known of
 * them is kept for these settings and these packages alone, since the compiler asks neither which diagnostics are on.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const cache = join(root, "node_modules/.cache/types")

const hash = createHash("sha256")
for (const path of ["tsconfig.json", "dashboard/tsconfig.json", "node_modules/.package-lock.json"]) {
  hash.update(readFileSync(join(root, path)))
}
const known = `${hash.digest("hex").slice(0, 16)}.tsbuildinfo`

mkdirSync(cache, { recursive: true })
for (const name of readdirSync(cache)) if (!name.endsWith(known)) rmSync(join(cache, name))

/** The dashboard is checked by itself: it runs in a browser, and the rest of the project does not. */
for (const project of [".", "dashboard"]) {
  const args = [
    "-p",
    project,
    "--incremental",
    "--tsBuildInfoFile",
    join(cache, `${project.replace(".", "project")}-${known}`)
  ]
  const { status } = spawnSync("tsc", args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" })
  if (status !== 0) process.exitCode = status ?? 1
}
