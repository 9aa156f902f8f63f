import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { inPages, inSources, type Retired, retiredIn } from "./RetiredWords.ts"
import { readSourceTree } from "./SourceTree.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const sources = [...readSourceTree(`${root}src`)]
const pages = globSync(["*.md", "docs/**/*.md", "bench/*.md"], { cwd: root })

describe("words that have been retired", () => {
  it("are not in the sources", () => {
    assert.isAbove(sources.length, 0)
    assert.deepStrictEqual(sources.flatMap(([path, text]) => retiredIn(path, text, inSources)), [])
  })

  it("are not on the pages", () => {
    assert.isAbove(pages.length, 0)
    assert.deepStrictEqual(pages.flatMap((path) => retiredIn(path, readFileSync(root + path, "utf8"), inPages)), [])
  })

  it.each([
    ["worker/Claimer.ts", "readonly worker: string"],
    ["store/TaskStore.ts", "  /** The worker that claims. */"],
    ["domain/Settlement.ts", "export const redrive = 1"],
    ["store/TaskStore.ts", "export interface Lease {"],
    ["store/Notifier.ts", "readonly publish: (signal: Signal) => void"],
    ["store/TaskStore.ts", "readonly note: (notes: ReadonlyArray<Note>) => void"],
    ["worker/Settler.ts", "const ack = 1"],
    ["store/redis/Text.ts", "const status = text[0]"],
    ["handlers/Hash.ts", "const mostRounds = 10"],
    ["handlers/Sleep.ts", "const longest = 10"],
    ["store/TaskStore.ts", "export const promoteLimit = 10"],
    ["Task.ts", "  /** The lane. Default `default`. */"],
    ["store/EventLog.ts", " * or nobody attended meanwhile"]
  ])("are found in %s: %s", (path, line) => {
    assert.strictEqual(new Set(retiredIn(path, line, inSources).map((found) => found.split(": ")[0])).size, 1)
  })

  it("are found on a page, and in an identifier of the middle of a line", () => {
    assert.lengthOf(retiredIn("docs/tasks.md", "one\nA worker holds it", inPages), 1)
    assert.lengthOf(retiredIn("docs/tasks.md", "`onThread` starts worker threads", inPages), 0)
  })

  it("have no exception that nothing needs", () => {
    const texts = new Map([
      ...sources,
      ...pages.map((path) => [path, readFileSync(root + path, "utf8")] as const)
    ])
    const isNeeded = ({ but, word }: Retired, place: string) =>
      [...texts].some(([path, text]) =>
        path.startsWith(place) && retiredIn(path, text, [{ word, but, say: "" }]).length > 0
      )
    const all = [...inSources, ...inPages]
    const idle = all.flatMap((retired) =>
      Object.keys(retired.except ?? {}).filter((place) => !isNeeded(retired, place))
    )
    assert.deepStrictEqual(idle, [])
  })
})
