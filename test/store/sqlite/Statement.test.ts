/** The statements of the driver, as they reach `node:sqlite`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { open } from "./fixtures.ts"

/** Everything that a store prepares while it is opened, which is everything it ever runs beside its migrations. */
const prepared = Effect.gen(function*() {
  const statements: Array<string> = []
  const { prepare } = DatabaseSync.prototype
  yield* Effect.acquireUseRelease(
    Effect.sync(() => {
      DatabaseSync.prototype.prepare = function(this: DatabaseSync, ...args) {
        statements.push(args[0])
        return prepare.apply(this, args)
      }
    }),
    () => open(":memory:"),
    () =>
      Effect.sync(() => {
        DatabaseSync.prototype.prepare = prepare
      })
  )
  return statements
})

/** The parameters of a statement, without what is in strings and comments. */
const parametersOf = (sql: string): ReadonlyArray<string> =>
  sql.replaceAll(/'[^']*'|--.*/g, "").match(/\?\d*|[:@$]\w+/g) ?? []

describe("the statements", () => {
  it.effect("take their parameters by position alone: Node 22 and Node 24 before 24.7 cannot bind numbered ones", () =>
    Effect.gen(function*() {
      const statements = yield* prepared
      assert.isAbove(statements.length, 50)
      assert.deepStrictEqual(statements.filter((sql) => parametersOf(sql).some((name) => name !== "?")), [])
      assert.isAbove(statements.filter((sql) => parametersOf(sql).length > 0).length, 30)
    }))
})
