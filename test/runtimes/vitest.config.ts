import { defineConfig } from "vitest/config"

/** `npm run runtimes`: apart from the other tests, because it needs the runtimes and the built library. */
export default defineConfig({
  test: {
    include: ["test/runtimes/runtimes.ts", "test/runtimes/bundlers.ts"],
    pool: "forks",
    testTimeout: 300_000,
    maxConcurrency: 2,
    reporters: ["verbose"]
  }
})
