import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

const conditions = ["source", "module", "node", "development|production"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/randomness.ts"],
    pool: "forks",
    // Many tests wait for servers, processes and clocks: as many files as cores leave a third of the cores idle
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    // A process loads Effect and the sources once instead of for each file: that was a second of each
    isolate: false,
    execArgv: ["--conditions=source"],
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
