import { assert, describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { decisionOf, render } from "./DecisionsPage.ts"

const folder = new URL("../../docs/decisions/", import.meta.url)
const pages = readdirSync(folder).filter((file) => file !== "README.md").sort().map((file) =>
  [file, readFileSync(new URL(file, folder), "utf8")] as const
)
const decisions = pages.flatMap(([file, text]) => decisionOf(file, text) ?? [])

describe("the decisions", () => {
  it("begin with a number, a title, a status and a date", () => {
    const known = decisions.map(({ file }) => file)
    assert.deepStrictEqual(pages.map(([file]) => file).filter((file) => !known.includes(file)), [])
    for (const { file, status } of decisions) {
      assert.match(
        status,
        /^(accepted|rejected|(accepted, changed|replaced) by \[\d+\]\(\d{4}-[a-z0-9-]+\.md\))$/,
        file
      )
    }
  })

  it("have each number once, the one in the name of the file", () => {
    for (const { file, number } of decisions) {
      assert.strictEqual(file.slice(0, 5), `${String(number).padStart(4, "0")}-`)
    }
    assert.strictEqual(new Set(decisions.map(({ number }) => number)).size, decisions.length)
  })

  it("are listed in an index, with a word about the numbers that are not used", async () => {
    const page = new URL("README.md", folder)
    await expect(render(decisions)).toMatchFileSnapshot(page.pathname)
  })
})
