/** Each example is run as a reader would run it, and prints what its last comment says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Postgres from "./servers/Postgres.ts"
import { withServer } from "./servers/withServer.ts"

const folder = fileURLToPath(new URL("../examples/", import.meta.url))
const files = readdirSync(folder).sort()
const examples = files.filter((file) => /^\d/.test(file))

/** Needs the server that `DATABASE_URL` names. */
const onPostgres = examples.filter((file) => file.includes("transactions"))

const expectedOf = (file: string): string => {
  const [, comment] = readFileSync(folder + file, "utf8").split("\n// It prints:\n") as [string, string | undefined]
  assert.isDefined(comment, `${file} does not say what it prints`)
  return comment!.replace(/^\/\/ /gm, "")
}

const outputOf = (file: string, env: NodeJS.ProcessEnv = {}): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const program = execFile(
      process.execPath,
      ["--conditions=source", folder + file],
      { env: { ...process.env, ...env } },
      (error, stdout, stderr) => resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(stderr)))
    )
    return Effect.sync(() => program.kill())
  })

describe("an example prints what it says", () => {
  it.live.each(examples.filter((file) => !onPostgres.includes(file)))(
    "%s",
    (file) => Effect.map(outputOf(file), (output) => assert.strictEqual(output, expectedOf(file))),
    60_000
  )
})

await withServer("PostgreSQL", Postgres.find, (postgres) => {
  describe("an example in PostgreSQL prints what it says", () => {
    it.live.each(onPostgres)("%s", (file) =>
      Effect.gen(function*() {
        const DATABASE_URL = yield* Postgres.scratchDatabase(postgres)
        assert.strictEqual(yield* outputOf(file, { DATABASE_URL }), expectedOf(file))
      }), 60_000)
  })
})

describe("the examples", () => {
  it("are numbered without a gap", () => {
    assert.deepStrictEqual(
      examples.map((file) => file.slice(0, 3)),
      examples.map((_, index) => `${String(index + 1).padStart(2, "0")}-`)
    )
  })

  it("need nothing that is not in the package", () => {
    for (const file of files) assert.notInclude(readFileSync(folder + file, "utf8"), `from "../`, file)
  })
})
