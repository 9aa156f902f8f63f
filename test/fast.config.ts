/** `npm run test:fast`: what a change breaks first. It starts no servers and builds nothing. */
import { defineConfig } from "vitest/config"
import all from "../vitest.config.ts"

const folders = [
  "access",
  "config",
  "docs",
  "domain",
  "engine",
  "events",
  "handlers/data",
  "handlers/files",
  "maintenance",
  "observability",
  "queue",
  "store/memory",
  "testing",
  "types",
  "worker"
]

const files = [
  "architecture",
  "cli/tasks",
  "http/access",
  "http/creating",
  "http/older",
  "http/requests",
  "http/system",
  "http/tasks",
  "store/memory",
  "store/model/memory",
  "store/model/sqlite",
  "store/sqlite"
]

const { projects: _, ...settings } = all.test!

export default defineConfig({
  ...all,
  test: {
    ...settings,
    include: [
      ...folders.map((folder) => `test/${folder}/**/*.test.ts`),
      ...files.map((file) => `test/${file}.test.ts`)
    ],
    env: { MODEL_RUNS: "100" }
  }
})
