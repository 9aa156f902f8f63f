/** The program of the README, run as a reader would run it. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { modulesOf } from "./CodeBlocks.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const readme = readFileSync(join(root, "README.md"), "utf8")

describe("the README", () => {
  it("has one program, which prints what the page says and keeps its tasks where the page says", () => {
    const modules = modulesOf("README.md", readme)
    assert.lengthOf(modules, 1)
    const [{ path, text }] = modules as [(typeof modules)[number]]
    // Below the repository, where the program finds the packages, and this one by its own name
    mkdirSync(join(root, "coverage"), { recursive: true })
    const folder = mkdtempSync(join(root, "coverage/readme-"))
    try {
      writeFileSync(join(folder, path), text)
      const output = execFileSync(process.execPath, ["--conditions=source", path], {
        cwd: folder,
        encoding: "utf8",
        timeout: 60_000
      })
      assert.include(readme, `\`node ${path}\` prints:\n\n\`\`\`text\n${output}\`\`\``)
      assert.isTrue(existsSync(join(folder, "tasks.db")))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it("goes from what it is to install, program, server, command line and pages", () => {
    const headings = [...readme.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
    assert.deepStrictEqual(headings, ["Install", "A program", "A server", "The command line", "Pages", "Work on it"])
    const blocks = [...readme.matchAll(/^```\w+\n([^]*?)^```$/gm)].map(([, block]) => block)
    assert.strictEqual(blocks[0], "npm install taskforge effect\n")
  })
})
