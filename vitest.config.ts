import { availableParallelism } from "node:os"
import { join } from "node:path"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/LongestFirst.ts"
import { withoutCoverage } from "./test/withoutCoverage.ts"

const conditions = ["source", "module", "node", "development|production"]

/**
 * They run without coverage, to which they add no line: what they try runs in other processes, or does many times over
 * what others do once. Coverage takes half as much CPU time again.
 */
const uncovered = [
  "test/architecture.test.ts",
  "test/architecture/**/*.test.ts",
  "test/browser/**/*.test.ts",
  "test/chaos/**/*.test.ts",
  "test/cli/processes.test.ts",
  "test/docs/readme.test.ts",
  "test/docs/typescript.test.ts",
  "test/domain/Timetable.properties.test.ts",
  "test/e2e/**/*.test.ts",
  "test/embedding/**/*.test.ts",
  "test/examples.test.ts",
  "test/http/budgets.test.ts",
  "test/http/fuzz.test.ts",
  "test/package/**/*.test.ts",
  "test/servers/**/*.test.ts",
  "test/simulation/**/*.test.ts",
  "test/store/model/**/*.test.ts",
  "test/store/plain.test.ts",
  "test/store/postgres/{gateCosts,gates,lanes,pages,pooled,sessions,shared,statistics}.test.ts",
  "test/store/redis/{blocks,closed,cluster,gates,lanes,sharing,together}.test.ts",
  "test/store/sqlite/turns.test.ts",
  "test/threads/ThreadPool.test.ts",
  "test/workflow/{postgres,redis,sqlite}.test.ts"
]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    projects: [
      { extends: true, test: { name: "covered", include: ["test/**/*.test.ts"], exclude: uncovered } },
      {
        extends: true,
        plugins: [withoutCoverage],
        test: {
          name: "uncovered",
          include: uncovered
        }
      }
    ],
    setupFiles: ["test/randomness.ts"],
    // Processes and threads that tests start compile the same again. The sources whose coverage is measured do not come from it
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/compiled") },
    pool: "forks",
    // Many tests wait for servers, processes and clocks: as many files as cores leave a third of the cores idle
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
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
