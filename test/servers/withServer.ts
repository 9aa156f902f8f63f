/**
 * Tests that need a server: with it they run; without it they are skipped loudly, or fail where `CI` is set.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Result, Scope } from "effect"
import { afterAll } from "vitest"
import type { ServerMissing } from "./Program.ts"

/**
 * Finds a server for the tests of this file and declares them with it. A server that was started for them ends after
 * them. Await it at the top of the file.
 *
 * @example
 * ```ts
 * await withServer("PostgreSQL", Postgres.find, (postgres) => {
 *   suite("The PostgreSQL store", driver(postgres))
 * })
 * ```
 */
export const withServer = async <Server>(
  name: string,
  find: Effect.Effect<Server, ServerMissing, Scope.Scope>,
  tests: (server: Server) => void | Promise<void>
): Promise<void> => {
  const scope = Scope.makeUnsafe()
  const found = await Effect.runPromise(Effect.result(Scope.provide(find, scope)))
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  if (Result.isSuccess(found)) return tests(found.success)
  const { reason } = found.failure
  const required = (process.env["CI"] ?? "") !== ""
  describe(`With ${name}`, () => {
    it("there is a server for these tests", (context) => {
      if (required) assert.fail(reason)
      console.warn(`SKIPPED: ${reason}`)
      context.skip(reason)
    })
  })
}
