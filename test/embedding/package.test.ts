/** What is in the package: no more than its entries reach, and all that its README links. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { posix } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8"))

/** The files that npm would publish, as far as they are there: what is built may not be. */
const filesOf = (): ReadonlyArray<string> => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })
  return JSON.parse(output)[0].files.map(({ path }: { readonly path: string }) => path)
}

/** A file of the repository and all that it imports by a relative path. */
const reachedFrom = (path: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(path)) return seen
  seen.add(path)
  for (const [, target] of readFileSync(`${root}${path}`, "utf8").matchAll(/ from "(\.[^"]+)"$/gm)) {
    reachedFrom(posix.join(posix.dirname(path), target!), seen)
  }
  return seen
}

describe("the package", () => {
  let files: ReadonlyArray<string>
  beforeAll(() => {
    files = filesOf()
  })

  it("has every page, file and folder that its README links", () => {
    const text = readFileSync(`${root}README.md`, "utf8")
    const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target]) => target!)
    const relative = links.filter((target) => !/^[a-z]+:/.test(target)).map((target) => posix.normalize(target))
    assert.isAbove(relative.length, 10)
    assert.deepStrictEqual(
      relative.filter((target) => !files.some((path) => path === target || path.startsWith(`${target}/`))),
      []
    )
  })

  it("has no maps, no second bundle, and no sources that no entry reaches", () => {
    const suite = reachedFrom("test/store/index.ts")
    assert.isAbove(suite.size, 30)
    const others = files.filter((path) =>
      /\.map$|^src\/(cli|server|main)\b|^(findings|scripts)\//.test(path) ||
      path.startsWith("test/") && !suite.has(path) ||
      path.endsWith(".cjs") && !path.startsWith("dist/cli/")
    )
    assert.deepStrictEqual(others, [])
  })

  it("says what it is, and has a source and types for each entry", () => {
    for (const field of ["description", "keywords", "license", "author", "engines", "bin"]) {
      assert.isNotEmpty(manifest[field], field)
    }
    assert.deepStrictEqual([...reachedFrom("test/store/index.ts")].filter((path) => !files.includes(path)), [])
    for (const [name, entry] of Object.entries<Record<string, string>>(manifest.exports)) {
      if (typeof entry === "string") continue
      const source = entry["source"]!
      assert.include(files, source.slice(2), name)
      const built = source.replace("./src", "./dist").replace("./test", "./dist/testing")
      assert.strictEqual(entry["types"], built.replace(/\.ts$/, ".d.ts"))
      assert.strictEqual(entry["default"], built.replace(/\.ts$/, ".js"))
    }
  })
})
