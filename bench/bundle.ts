import { Effect } from "effect"
import * as Path from "node:path"
import { build } from "rolldown"

/** Bundles a script with all it imports into one file, as the server is bundled, and answers its path. */
export const bundle = (script: string, format: "esm" | "cjs", directory: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const file = Path.join(directory, `bundle.${format === "esm" ? "mjs" : "cjs"}`)
    await build({
      input: script,
      platform: "node",
      resolve: { conditionNames: ["source", "import", "node", "default"] },
      transform: { define: { "import.meta.env": "undefined" } },
      output: { file, format, codeSplitting: false, comments: false, minify: "dce-only" },
      logLevel: "silent"
    })
    return file
  })
