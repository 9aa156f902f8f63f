import { availableParallelism } from "node:os"
import { join } from "node:path"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/LongestFirst.ts"

const conditions = ["source", "module", "node", "development|production"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/randomness.ts"],
    // Processes and threads that tests start compile the same again. The sources whose coverage is measured do not come from it
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/compiled") },
    pool: "forks",
    // Many tests wait for servers, processes and clocks: as many files as cores leave the cores idle
    maxWorkers: availableParallelism() * 2,
    // A process loads Effect and the sources once instead of for each file: that was a second of each
    isolate: false,
    execArgv: ["--conditions=source"],
    sequence: { sequencer: LongestFirst },
    // They end what hangs, and judge nothing: no test depends on how quick the machine is
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ["default", ["json", { outputFile: "coverage/tests.json" }]],
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      // They run in processes of their own, which the end-to-end tests start.
      exclude: ["src/main.ts", "src/server/**", "src/cli/main.ts", "src/cli/Program.ts"],
      reporter: [["text", { skipFull: true }], "json-summary", "html"],
      thresholds: { lines: 90 }
    }
  }
})
