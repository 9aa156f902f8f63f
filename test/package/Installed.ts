/** The package as a program has it that installed it: its manifest and its declarations, built from the sources. */
import { execFile } from "node:child_process"
import { copyFileSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What the compiler of the project says, an error each; `[]` if it says nothing. */
export const compile = (folder: string, ...options: ReadonlyArray<string>): Promise<ReadonlyArray<string>> =>
  new Promise((resolve) => {
    execFile(
      join(root, "node_modules/.bin/tsc"),
      ["--pretty", "false", ...options],
      { cwd: folder, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) =>
        resolve(error === null ? [] : (stdout + stderr).split(/\n(?=\S)/).filter((line) => line.includes("error")))
    )
  })

/** Puts the package below a folder of the repository, where Effect is found as well. */
export const install = async (folder: string): Promise<void> => {
  const installed = join(folder, "node_modules/taskforge")
  mkdirSync(installed, { recursive: true })
  copyFileSync(join(root, "package.json"), join(installed, "package.json"))
  for (const [config, folder] of [["build", "dist"], ["suite", "dist/testing"]] as const) {
    const options = ["--emitDeclarationOnly", "--noCheck", "--outDir", join(installed, folder)]
    const errors = await compile(root, "-p", `scripts/tsconfig.${config}.json`, ...options)
    if (errors.length > 0) throw new Error(errors.join("\n"))
  }
}
