/** Every TypeScript block of the pages, checked by the compiler as the code of a program that has installed the package. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { modulesOf } from "./CodeBlocks.ts"

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const root = pathOf("../../")

const pages = globSync(["*.md", "docs/**/*.md", "bench/*.md"], { cwd: root }).sort()
const markdownOf = (page: string): string => readFileSync(join(root, page), "utf8")

/** A page with one mistake, so that a compiler that checks nothing fails. */
const wrongPage = "docs/wrong.md"
const wrongMarkdown = [
  "# A page with a mistake",
  "",
  "```ts",
  `import { Task } from "taskforge"`,
  "```",
  "",
  "```ts",
  `export const Wrong = Task.make(42)`,
  "```"
].join("\n")

/** Below the repository, where the packages are found and this one by its own name. */
mkdirSync(pathOf("../../coverage"), { recursive: true })
const folder = mkdtempSync(pathOf("../../coverage/docs-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What the compiler says about the blocks of all pages, each error with its page and line. */
const check = (): ReadonlyArray<string> => {
  const modules = [
    ...pages.flatMap((page) => modulesOf(page, markdownOf(page))),
    ...modulesOf(wrongPage, wrongMarkdown)
  ]
  for (const { path, text } of modules) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  // The parts of the reader's own program that pages import
  cpSync(pathOf("./program"), join(folder, "docs"), { recursive: true })
  const config = { extends: "../../tsconfig.json", compilerOptions: { noUnusedLocals: false }, include: ["**/*.ts"] }
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
  const pageOf = new Map(modules.map(({ page, path }) => [path, page]))
  return output().split(/\n(?=\S)/).filter((error) => error.includes(": error ")).map((error) =>
    error.trimEnd().replace(
      /^(.+?)\((\d+),\d+\)/,
      (place, path, line) => pageOf.has(path) ? `${pageOf.get(path)}:${line}` : place
    )
  )
}

const output = (): string => {
  try {
    return execFileSync(pathOf("../../node_modules/.bin/tsc"), ["-p", "."], { cwd: folder, encoding: "utf8" })
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}

describe("the TypeScript of the pages", () => {
  let errors: ReadonlyArray<string>
  beforeAll(() => {
    errors = check()
  })

  it("passes the compiler", () => {
    assert.deepStrictEqual(errors.filter((error) => !error.startsWith(wrongPage)), [])
  })

  it("is really checked: a mistake is named with its page and line", () => {
    const found = errors.filter((error) => error.startsWith(wrongPage))
    assert.lengthOf(found, 1)
    assert.include(found[0], `${wrongPage}:8: error TS2345`)
  })

  it("stands in blocks of the kind that is checked, and yields as people write it", () => {
    const others = pages.flatMap((page) =>
      markdownOf(page).split("\n").flatMap((line, index) =>
        /^\s*```\s*(typescript|tsx|js|javascript|jsx|mts|cts)\b|^\s+```ts|^```ts.|yield \*/.test(line)
          ? [`${page}:${index + 1}: ${line}`]
          : []
      )
    )
    assert.deepStrictEqual(others, [])
  })
})
