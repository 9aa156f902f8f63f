import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as SelectedStore from "../../src/server/SelectedStore.ts"

describe("the driver of a store", () => {
  it.effect("that is not installed is named with the command that installs it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        SelectedStore.load("PostgreSQL", "@effect/sql-pg", () => import("a-library-that-is-not-there" as string))
      )
      assert.strictEqual(
        error.message,
        "The PostgreSQL store needs a library that is not installed: npm install @effect/sql-pg"
      )
    }))

  it.effect("that is broken is a defect, not a missing library", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        SelectedStore.load("Redis", "redis", () => Promise.reject(new SyntaxError("Unexpected token")))
      )
      assert.isTrue(Exit.hasDies(exit))
    }))
})
