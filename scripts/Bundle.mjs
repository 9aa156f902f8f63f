/**
 * Bundles of the sources, each built once for what it is built of. While that is unchanged nothing is built, so a second
 * start costs no more than to read the sources. It reads them whole: times of files say too little, for a checkout, a
 * copy and an archive set them at will.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const list = "files.json"

const bundles = {
  server: { source: "src/main.ts", config: "scripts/rolldown.config.ts" },
  taskforge: { source: "src/cli/main.ts", config: "scripts/rolldown.cli.config.ts" }
}

/** A program that still runs may load more of an old bundle, such as the module of a thread. */
const maxKept = 4

/** A build takes seconds; what is unfinished after an hour was left by a process that was killed. */
const maxBuildMs = 3_600_000

/** Where bundles are kept. */
export const cache = join(root, "node_modules/.cache/taskforge")

/**
 * The file to run for a bundle, `server` or `taskforge`: its entry, built first if these sources have no bundle yet.
 * Where no bundle can be kept, as in a checkout that is read only, it is the entry of the sources.
 */
export const file = (name) => {
  const made = fingerprint()
  const dir = join(cache, `${name}-${made}`)
  if (!isWhole(dir)) {
    const unfinished = emptyFolder(name)
    if (unfinished === undefined) return join(root, bundles[name].source)
    try {
      build(name, unfinished)
      // Sources that changed under the builder may be in the bundle or not
      if (fingerprint() !== made) return file(name)
      keep(unfinished, dir)
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
    removeOld(name, dir)
  }
  return join(dir, `${name}.cjs`)
}

/** What a bundle is built of, as one short text: the sources with those of the dashboard, the packages that are installed, and what builds them. */
const fingerprint = () => {
  const hash = createHash("sha256").update(process.version)
  const settings = readdirSync(root).filter((name) => /\.(json|config\.ts)$/.test(name)).sort()
  // While rolldown reads its configuration, a compiled one (.js) lies next to it
  const scripts = filesOf("scripts").filter((path) => !path.endsWith(".js"))
  for (
    const path of [
      ...settings,
      "node_modules/.package-lock.json",
      ...scripts,
      ...filesOf("dashboard"),
      ...filesOf("src")
    ]
  ) {
    const content = read(join(root, path))
    hash.update(`${path}\0${content.length}\0`).update(content)
  }
  return hash.digest("hex").slice(0, 16)
}

/** Every file below a folder, in the same order each time, without what editors leave there while they are open. */
const filesOf = (folder) =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !/^\.|~$/.test(name))
    .sort((a, b) => a.name < b.name ? -1 : 1)
    .flatMap((entry) => entry.isDirectory() ? filesOf(`${folder}/${entry.name}`) : `${folder}/${entry.name}`)

/** The content of a file, nothing if there is none. */
const read = (path) => {
  try {
    return readFileSync(path)
  } catch (error) {
    if (error.code !== "ENOENT") throw error
    return ""
  }
}

/** Whether a bundle has every file in its full length: a crash or a cleaner may have taken a part of it. */
const isWhole = (dir) => {
  try {
    const files = JSON.parse(readFileSync(join(dir, list), "utf8"))
    return files.every(([name, bytes]) => statSync(join(dir, name)).size === bytes)
  } catch {
    return false
  }
}

/** A folder of our own to build in, or `undefined` where none can be made. */
const emptyFolder = (name) => {
  try {
    mkdirSync(cache, { recursive: true })
    return mkdtempSync(join(cache, `unfinished-${name}-`))
  } catch ({ message }) {
    process.stderr.write(`Running from the sources, which start slower: no bundle can be kept (${message})\n`)
  }
}

/** A process of its own builds, so that the program that follows does not carry the builder in its memory. */
const build = (name, dir) => {
  process.stderr.write(`Building ${name}, once for these sources ...\n`)
  const builder = join(root, "node_modules/rolldown/bin/cli.mjs")
  const args = [builder, "--config", bundles[name].config, "--dir", dir, "--log-level", "warn"]
  const { error, status } = spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
  if (status !== 0) throw new Error(`${name} could not be built`, { cause: error })
  writeFileSync(join(dir, list), JSON.stringify(readdirSync(dir).map((name) => [name, statSync(join(dir, name)).size])))
}

/** Moves a bundle to its place in one step, unless another process was faster. */
const keep = (unfinished, dir) => {
  if (isWhole(dir)) return
  try {
    rmSync(dir, { recursive: true, force: true })
    renameSync(unfinished, dir)
  } catch (error) {
    if (!isWhole(dir)) throw error
  }
}

/** Removes the oldest bundles of this name, but never the one that is about to run. */
const removeOld = (name, current) => {
  const entries = readdirSync(cache).map((entry) => {
    const path = join(cache, entry)
    return { entry, path, ageMs: Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) }
  })
  const old = entries.filter(({ entry, path }) => entry.startsWith(`${name}-`) && path !== current)
    .sort((a, b) => a.ageMs - b.ageMs)
    .slice(maxKept - 1)
  const left = entries.filter(({ ageMs, entry }) => entry.startsWith("unfinished-") && ageMs > maxBuildMs)
  for (const { path } of [...old, ...left]) rmSync(path, { recursive: true, force: true })
}
