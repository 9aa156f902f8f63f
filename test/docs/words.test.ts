/** Words that the pages do without, because a plainer one says the same. */
import { assert, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))

const plainer: Readonly<Record<string, string>> = {
  "anew": "again",
  "anybody": "a caller, a person, an instance …",
  "beside": "with, next to, compared with",
  "everybody": "all callers, every client …",
  "inside of": "in",
  "meanwhile": "at the same time, during that",
  "nobody": "no caller, no instance …",
  "somebody": "a caller, a person, an instance …",
  "whoever": "a caller that, the process that …"
}

const pattern = new RegExp(`\\b(${Object.keys(plainer).join("|")})\\b`, "gi")

it.each(globSync(["*.md", "docs/**/*.md", "bench/*.md"], { cwd: root }))("%s is in plain words", (page) => {
  const found = readFileSync(root + page, "utf8").split("\n").flatMap((line, index) =>
    [...line.matchAll(pattern)].map(([word]) => `${page}:${index + 1}: ${word}: ${plainer[word.toLowerCase()]}`)
  )
  assert.deepStrictEqual(found, [])
})
