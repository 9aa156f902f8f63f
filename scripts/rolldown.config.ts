import { globSync } from "node:fs"
import { basename, join } from "node:path"
import { defineConfig, type Plugin } from "rolldown"
import { moduleText } from "./PageFiles.mjs"

/** What threads load: each is an entry of its own, found beside the server under the name that it has in the sources. */
const ofThreads = globSync(["src/threads/ThreadMain.ts", "src/**/*.thread.ts"], {
  cwd: join(import.meta.dirname, "..")
})

/** The dashboard, built for each bundle, in the place of the empty list that the sources have. */
const dashboard: Plugin = {
  name: "dashboard",
  load: { filter: { id: /[\\/]src[\\/]dashboard[\\/]PageFiles\.ts$/ }, handler: () => moduleText() }
}

/** V8 keeps a source with a single character beyond Latin-1 at two bytes for each of them. */
const oneBytePerCharacter: Plugin = {
  name: "one-byte-per-character",
  generateBundle: (_, files) => {
    for (const file of Object.values(files)) {
      if (file.type === "chunk") file.code = file.code.replace(beyondLatin1, escape)
    }
  }
}

// oxlint-disable-next-line eslint/no-control-regex
const beyondLatin1 = /[^\u0000-\u00ff]/g

const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/**
 * The server in one file: it takes half the memory of the modules it is made of. CommonJS takes 4 MB less than ESM,
 * leaving out comments and dead code another 5. Names and lines stay, so a stack trace reads well without the source
 * map, which costs 45 MB once `node --enable-source-maps` loads it.
 */
export const bundle = (input: Record<string, string>) =>
  defineConfig({
    input,
    platform: "node",
    // What has a binary of its own stays where it is installed.
    external: [/^sharp$/],
    resolve: { conditionNames: ["source", "import", "node", "default"] },
    transform: { define: { "import.meta.env": "undefined" } },
    plugins: [dashboard, oneBytePerCharacter],
    output: {
      dir: "dist",
      format: "cjs",
      entryFileNames: "[name].cjs",
      // What is loaded on demand (the script of `/docs` has 3 MB, the drivers of other stores) stays outside of the
      // server's memory until then.
      codeSplitting: true,
      chunkFileNames: "[name].cjs",
      comments: false,
      minify: "dce-only",
      sourcemap: true
    }
  })

export default bundle({
  server: "src/main.ts",
  ...Object.fromEntries(ofThreads.map((path) => [basename(path, ".ts"), path]))
})
