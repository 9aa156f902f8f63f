import { assert, describe, it } from "@effect/vitest"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll } from "vitest"
import * as ThreadModule from "../../src/threads/ThreadModule.ts"

const folder = mkdtempSync(join(tmpdir(), "taskforge-modules-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const url = (path: string) => pathToFileURL(join(folder, path))

describe("a module that a handler names", () => {
  it.each([
    ["the file of that name", "a.thread.ts", ["a.thread.ts", "a.thread.js"], "a.thread.ts"],
    ["the source, before it is compiled", "b.thread.js", ["b.thread.ts"], "b.thread.ts"],
    ["what a compiler made of it", "c.thread.ts", ["c.thread.js"], "c.thread.js"],
    ["an entry of a bundle in CommonJS", "d.thread.js", ["d.thread.cjs"], "d.thread.cjs"],
    ["an entry above a chunk", "assets/e.thread.js", ["assets/x.js", "e.thread.js"], "e.thread.js"]
  ])("is %s", (_, named, files, found) => {
    mkdirSync(join(folder, "assets"), { recursive: true })
    for (const file of files) writeFileSync(join(folder, file), "")
    assert.strictEqual(ThreadModule.find(url(named)).href, url(found).href)
    assert.notInclude(ThreadModule.missing(), url(named).href)
  })

  it("is known to be missing until it is there", () => {
    const module = url("later.thread.js")
    assert.strictEqual(ThreadModule.find(module).href, module.href)
    assert.include(ThreadModule.missing(), module.href)
    writeFileSync(join(folder, "later.thread.ts"), "")
    assert.strictEqual(ThreadModule.find(module).href, url("later.thread.ts").href)
    assert.notInclude(ThreadModule.missing(), module.href)
  })
})
