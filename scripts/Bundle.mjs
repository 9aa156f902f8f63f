/**
 * Bundles of the sources, each made once for what it was made of. Nothing is built while the sources, the lock file and
 * the configuration are what they were, so a second start does not wait for a build.
 */
import { createHash } from "node:crypto"
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const cache = join(root, "node_modules/.cache/taskforge")

/** What the content of a bundle depends on, as one short text. */
const fingerprint = () => {
  const hash = createHash("sha256").update(process.version)
  for (
    const path of [
      "package-lock.json",
      ...globSync(["src/**/*.ts", "*.config.ts", "scripts/*.mjs"], { cwd: root }).sort()
    ]
  ) {
    hash.update(path).update("\0").update(readFileSync(join(root, path))).update("\0")
  }
  return hash.digest("hex").slice(0, 16)
}

const write = async ({ output, ...input }, dir) => {
  const { rolldown } = await import("rolldown")
  const bundle = await rolldown({ ...input, cwd: root, logLevel: "warn" })
  await bundle.write({ ...output, dir })
  await bundle.close()
}

/** Builds the server into `dist`, unless what is there was made of these sources. */
export const server = async () => {
  const stamp = join(cache, "server")
  const made = fingerprint()
  const dir = join(root, "dist")
  if (existsSync(join(dir, "server.cjs")) && existsSync(stamp) && readFileSync(stamp, "utf8") === made) return
  process.stderr.write("Building the server, once for these sources ...\n")
  // A build that is cut off must not look like one that is done
  rmSync(stamp, { force: true })
  await write((await import("../rolldown.config.ts")).default, dir)
  mkdirSync(cache, { recursive: true })
  writeFileSync(stamp, made)
}

/** The command line of these sources as one file. It is in a folder of its own, so that two may build it together. */
export const commandLine = async () => {
  const dir = join(cache, `cli-${fingerprint()}`)
  const file = join(dir, "taskforge.cjs")
  if (existsSync(file)) return file
  process.stderr.write("Building the command line, once for these sources ...\n")
  for (const old of globSync("cli-*", { cwd: cache })) rmSync(join(cache, old), { recursive: true, force: true })
  const unfinished = join(cache, `building-${process.pid}`)
  try {
    await write((await import("../rolldown.cli.config.ts")).default, unfinished)
    renameSync(unfinished, dir)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    // Another process was faster
    if (!existsSync(file)) throw error
  }
  return file
}
