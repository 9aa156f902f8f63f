/** Every link between the pages and to the files of the project. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))
const pages = globSync(["*.md", "docs/**/*.md", "bench/*.md"], { cwd: root }).sort()

interface Link {
  readonly page: string
  /** What the reader sees. */
  readonly text: string
  /** Where the file or folder is. */
  readonly path: string
  readonly anchor: string | undefined
}

/** The links of a page that do not leave the project. */
const linksOf = (page: string): ReadonlyArray<Link> => {
  const prose = readFileSync(join(root, page), "utf8").replace(/^```[^]*?^```$/gm, "")
  return [...prose.matchAll(/\[([^\]]+)\]\(([^)\s]+)\)/g)].flatMap(([, text, target]) => {
    if (/^[a-z]+:/.test(target!)) return []
    const [path = "", anchor] = target!.split("#")
    return [{ page, text: text!, path: path === "" ? page : join(dirname(page), path), anchor }]
  })
}

/** The anchors that headings get where pages are shown. */
const anchorsOf = (page: string): ReadonlySet<string> =>
  new Set(
    [...readFileSync(join(root, page), "utf8").matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replace(/[^\w\- ]/g, "").replace(/ /g, "-")
    )
  )

/** The line of a source that an anchor names. */
const lineOf = (anchor: string | undefined): number | undefined => {
  const [, line] = /^L(\d+)$/.exec(anchor ?? "") ?? []
  return line === undefined ? undefined : Number(line)
}

/** A change above the place that a link names may move it this far before the page is to follow. */
const maxLinesOff = 20

const links = pages.flatMap(linksOf)

describe("the links of the pages", () => {
  it("lead to files and folders that are there", () => {
    assert.isAbove(links.length, 100)
    assert.deepStrictEqual(
      links.filter(({ path }) => !existsSync(join(root, path))).map(({ page, path }) => `${page}: ${path}`),
      []
    )
  })

  it("lead to headings that are there", () => {
    const lost = links.filter(({ anchor, path }) =>
      anchor !== undefined && lineOf(anchor) === undefined && !(path.endsWith(".md") && anchorsOf(path).has(anchor))
    )
    assert.deepStrictEqual(lost.map(({ anchor, page, path }) => `${page}: ${path}#${anchor}`), [])
  })

  it("to the sources name something that stands in the file", () => {
    const toSources = links.filter(({ path, text }) => path.startsWith("src/") && /^`[^`]+`$/.test(text))
    assert.isAbove(toSources.length, 30)
    const lost = toSources.filter(({ path, text }) =>
      statSync(join(root, path)).isFile() && !readFileSync(join(root, path), "utf8").includes(text.slice(1, -1))
    )
    assert.deepStrictEqual(lost.map(({ page, path, text }) => `${page}: ${text} in ${path}`), [])
  })

  it("to a line of the sources name something that stands there, or near that line", () => {
    const toLines = links.flatMap(({ anchor, page, path, text }) => {
      const line = lineOf(anchor)
      return line === undefined ? [] : [{ page, path, line, name: text.slice(1, -1) }]
    })
    const onPage = links.filter(({ page, path }) =>
      ["docs/effect.md", "docs/patterns.md"].includes(page) && path.startsWith("src/")
    )
    assert.lengthOf(toLines, onPage.length)
    const lost = toLines.flatMap(({ line, name, page, path }) => {
      const places = readFileSync(join(root, path), "utf8").split("\n").flatMap((text, index) =>
        text.includes(name) ? [index + 1] : []
      )
      return places.some((place) => Math.abs(place - line) <= maxLinesOff)
        ? []
        : [`${page}: ${name} is in the lines ${places.join(", ")} of ${path}, not near ${line}`]
    })
    assert.deepStrictEqual(lost, [])
  })

  it("walk the way of a task through at most 30 files", () => {
    const page = "docs/architecture.md"
    const [, walk] = /^## The way of a task[^]*?\n([^]*?)^## /m.exec(readFileSync(join(root, page), "utf8")) ?? []
    const way = new Set(
      links.filter((link) => link.page === page && walk!.includes(`](../${link.path})`)).map(({ path }) => path)
    )
    const isFolder = (path: string) => statSync(join(root, path)).isDirectory()
    const files = [...way].filter((path) => !isFolder(path))
    // In each store the same files do the same: those of one are on the way
    const inStore = ["Enqueue", "Claim", "Attempt", "Read"]
    for (const folder of [...way].filter(isFolder)) {
      for (const name of inStore) assert.isTrue(existsSync(join(root, folder, `${name}.ts`)), `${folder}/${name}.ts`)
    }
    assert.isAtLeast(files.length, 20)
    assert.isAtMost(files.length + inStore.length, 30)
  })
})
