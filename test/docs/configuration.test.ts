import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { table } from "../../src/config/SettingsTable.ts"

const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8")

describe("the page about the configuration", () => {
  it.each(Object.values(table))("has $names as they are", (setting) => {
    const names = setting.names.map((name) => `\`${name}\``).join(", ")
    const fallback = "fallback" in setting && setting.fallback !== undefined ? `\`${setting.fallback}\`` : ""
    assert.include(page, `| ${names} | ${fallback} | ${setting.about} |`)
  })

  it("names no other variables", () => {
    const known = new Set<string>(Object.values(table).flatMap((setting) => [...setting.names]))
    const rows = [...page.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name]) => name!)
    assert.deepStrictEqual(rows.filter((name) => !known.has(name)), [])
  })
})
