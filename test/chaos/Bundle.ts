/** The server as it is shipped: one file, built as `npm start` builds it, with the ledger's task type in it. */
import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build as bundle } from "rolldown"
import config from "../../scripts/rolldown.config.ts"
import { directory } from "../e2e/Server.ts"

/** Builds the server and answers its file, which goes with the scope. */
export const build: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function*() {
  const dir = yield* directory
  const options = [config].flat()[0]!
  yield* Effect.promise(() =>
    bundle({
      ...options,
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      input: { ...(options.input as Record<string, string>), chaos: "test/chaos/ChaosServer.ts" },
      output: { ...[options.output ?? {}].flat()[0]!, dir, sourcemap: false },
      logLevel: "silent"
    })
  )
  return join(dir, "chaos.cjs")
})
