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
for (const path of ["tsconfig.json", "node_modules/.package-lock.json"]) hash.update(readFileSync(join(root, path)))
const known = `${hash.digest("hex").slice(0, 16)}.tsbuildinfo`

mkdirSync(cache, { recursive: true })
for (const name of readdirSync(cache)) if (name !== known) rmSync(join(cache, name))

const { status } = spawnSync("tsc", ["--incremental", "--tsBuildInfoFile", join(cache, known)], {
  cwd: root,
  stdio: "inherit",
  shell: process.platform === "win32"
})
process.exitCode = status ?? 1
