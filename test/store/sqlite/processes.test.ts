import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { file, run, using } from "./fixtures.ts"

describe("processes on one file", () => {
  it.live("share the work: no task is given twice or lost, and no lock reaches a caller", () =>
    Effect.gen(function*() {
      const path = yield* file
      const each = 400
      const ended = yield* Effect.forEach(["left", "right"], (name) =>
        run(["share", path, name, String(each), String(2 * each)]), { concurrency: 2 })
      for (const { code, errors } of ended) {
        assert.deepStrictEqual({ code, errors }, { code: 0, errors: "" })
      }
      const given = ended.flatMap(({ lines }) =>
        lines
      )
      assert.strictEqual(given.length, 2 * each)
      assert.strictEqual(new Set(given).size, 2 * each)
      const counts = yield* using(path, (store) => store.counts)
      assert.deepInclude(counts, { pending: 0, running: 0, completed: 2 * each })
      assert.strictEqual(counts.totals.created, 2 * each)
    }), 60_000)

  it.live("lose nothing acknowledged when they are killed", () =>
    Effect.gen(function*() {
      const path = yield* file
      const acknowledged: Array<string> = []
      for (const name of ["first", "second", "third"]) {
        const { lines, signal } = yield* run(["flood", path, name], 500)
        assert.strictEqual(signal, "SIGKILL")
        acknowledged.push(...lines)
      }
      assert.isAtLeast(acknowledged.length, 1500)
      yield* using(path, (store) =>
        Effect.gen(function*() {
          for (const id of acknowledged) assert.isDefined(yield* store.get(id), id)
        }))
      // the counters agree with the rows, whatever the kill interrupted
      const database = new DatabaseSync(path)
      assert.deepStrictEqual(
        database.prepare("SELECT pending AS n, total_created AS m FROM tally").get(),
        database.prepare("SELECT count(*) AS n, count(*) AS m FROM task").get()
      )
      database.close()
    }), 60_000)
})
