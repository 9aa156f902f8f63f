import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Gates from "../../../src/store/Gates.ts"
import * as Database from "../../../src/store/sqlite/Database.ts"
import { Passes } from "../../../src/store/sqlite/Passes.ts"

const limit = { tokens: 1, perMs: 1000, burst: 1 }
const limitOf = () => limit
const count = 2 * Gates.maxSwept + 500
const now = 1_000_000

const name = (index: number): string => `limit=${String(index).padStart(5, "0")}`

/** As many buckets and holders as that, of tasks that are not there, in a database of their own. */
const filled = Effect.map(Database.open(Database.inMemory, 0), (database) => {
  const passes = new Passes(database)
  for (let index = 0; index < count; index++) passes.setHolder(name(index), index + 1)
  const left = (table: string): number =>
    (database.prepare(`SELECT count(*) AS count FROM ${table}`).get() as { readonly count: number }).count
  return { passes, left }
})

describe("the passes of a file", () => {
  it.effect("are looked through part by part, from where the last look ended", () =>
    Effect.gen(function*() {
      const { left, passes } = yield* filled
      // every second one is full
      for (let index = 0; index < count; index++) {
        passes.setBucket(name(index), { level: 0, at: now - (index % 2) * 1000 })
      }
      const seen = []
      for (let time = 0; time < 4; time++) {
        passes.sweep(now, limitOf)
        seen.push([left("bucket"), left("holder")])
      }
      const part = Gates.maxSwept
      assert.deepStrictEqual(seen, [
        [count - part / 2, count - part],
        [count - part, count - 2 * part],
        [count / 2, 0],
        // the first again, of which nothing is full
        [count / 2, 0]
      ])
      passes.setBucket(name(0), { level: 0, at: now - 1000 })
      for (let time = 0; time < 3; time++) {
        passes.sweep(now, limitOf)
      }
      assert.strictEqual(left("bucket"), count / 2 - 1)
    }).pipe(Effect.scoped))

  it.effect("say whose buckets go on from now because the clock was set back", () =>
    Effect.gen(function*() {
      const { passes } = yield* filled
      passes.setBucket(name(1), { level: 0.5, at: now + 60_000 })
      passes.setBucket(name(2), { level: 0.5, at: now - 100 })
      assert.deepStrictEqual(passes.sweep(now, limitOf), [name(1)])
      assert.deepStrictEqual(passes.bucketOf(name(1)), { level: 0.5, at: now })
      assert.deepStrictEqual(passes.bucketOf(name(2)), { level: 0.5, at: now - 100 })
      assert.deepStrictEqual(passes.sweep(now, limitOf), [])
    }).pipe(Effect.scoped))
})
