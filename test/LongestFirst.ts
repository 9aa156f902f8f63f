import { relative } from "node:path"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * What takes longest, the longest first. One that began last would run alone, on one core of two. Two that mostly wait, as
 * chaos does, are not begun together: meanwhile the cores would have one file to compute for.
 */
const longest = [
  "test/chaos/postgres.test.ts",
  "test/store/model/sqlite.test.ts",
  "test/http/fuzz.test.ts",
  "test/package",
  "test/store/model",
  "test/cli/processes.test.ts",
  "test/chaos/redis.test.ts",
  "test/simulation",
  "test/store/postgres/pooled.test.ts",
  "test/http/budgets.test.ts",
  "test/browser",
  "test/e2e/crash.test.ts",
  "test/store/sqlite/turns.test.ts",
  "test/e2e",
  "test/store/redis/failover.test.ts",
  "test/store/postgres.test.ts",
  "test/store/postgres/health.test.ts",
  "test/store/sqlite.test.ts",
  "test/threads",
  "test/workflow",
  "test/store/redis/cluster.test.ts",
  "test/cli/system.test.ts",
  "test/store/postgres",
  "test/store/redis.test.ts",
  "test/store/redis",
  "test/handlers",
  "test/http",
  "test/cli",
  "test/store"
]

/**
 * Orders files by how long they take: vitest orders those that it has never run by their size, which says little. Files
 * of a project stay together, as each project has processes of its own.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    return sorted
      .map((file) => ({ file, place: this.placeOf(file) }))
      .toSorted((a, b) => b.file.project.name.localeCompare(a.file.project.name) || a.place - b.place)
      .map(({ file }) => file)
  }

  private placeOf({ moduleId }: TestSpecification): number {
    const path = relative(this.ctx.config.root, moduleId)
    const place = longest.findIndex((start) => path.startsWith(start))
    return place === -1 ? longest.length : place
  }
}
