import { relative } from "node:path"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * What takes longest, the longest first. One that began last would run alone, on one core of two. Those that mostly
 * wait, as chaos does, are not begun together: meanwhile the cores would have little to compute.
 */
const longest = [
  "test/chaos/postgres.test.ts",
  "test/store/postgres.test.ts",
  "test/browser/dashboard.test.ts",
  "test/site",
  "test/browser/conditions.test.ts",
  "test/simulation/mutants.test.ts",
  "test/store/postgres/statistics.test.ts",
  "test/package",
  "test/http/fuzz.test.ts",
  "test/chaos/redis.test.ts",
  "test/store/model/postgres.test.ts",
  "test/store/redis/gates.test.ts",
  "test/examples.test.ts",
  "test/store/sqlite.test.ts",
  "test/store/postgres/health.test.ts",
  "test/cli/processes.test.ts",
  "test/store/postgres/gates.test.ts",
  "test/store/redis/failover.test.ts",
  "test/e2e/crash.test.ts",
  "test/store/model",
  "test/simulation",
  "test/flow/stores.test.ts",
  "test/workflow",
  "test/store/redis.test.ts",
  "test/docs/typescript.test.ts",
  "test/servers",
  "test/e2e",
  "test/flow",
  "test/threads",
  "test/store/postgres",
  "test/store/redis",
  "test/deploy",
  "test/http/budgets.test.ts",
  "test/browser",
  "test/cli/system.test.ts",
  "test/store",
  "test/http",
  "test/cli",
  "test/handlers"
]

/** Orders files by how long they take: vitest orders those that it has never run by their size, which says little. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    return sorted
      .map((file) => ({ file, place: this.placeOf(file) }))
      .toSorted((a, b) => a.place - b.place)
      .map(({ file }) => file)
  }

  private placeOf({ moduleId }: TestSpecification): number {
    const path = relative(this.ctx.config.root, moduleId)
    const place = longest.findIndex((start) => path.startsWith(start))
    return place === -1 ? longest.length : place
  }
}
