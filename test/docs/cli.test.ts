import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { exitCodes } from "../../src/cli/Failure.ts"
import { render } from "./CliPage.ts"

const page = new URL("../../docs/cli.md", import.meta.url)

describe("the page about the command line", () => {
  it.live("has every command, argument, flag and example as they are", () =>
    Effect.gen(function*() {
      const text = yield* render
      yield* Effect.promise(() => expect(text).toMatchFileSnapshot(page.pathname))
    }))

  it("has every exit code", () => {
    const text = readFileSync(page, "utf8")
    for (const code of Object.values(exitCodes)) assert.include(text, `\n| ${code} | `)
  })
})
