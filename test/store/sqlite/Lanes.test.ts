import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Database from "../../../src/store/sqlite/Database.ts"
import { Lanes } from "../../../src/store/sqlite/Lanes.ts"

describe("the lanes that are remembered of a file", () => {
  it.effect("are forgotten when their tasks were cancelled, and nobody asks for their queues", () =>
    Effect.gen(function*() {
      const database = yield* Database.open(Database.inMemory, 0)
      const lanes = new Lanes(database, 0)
      lanes.refresh(1)
      for (let index = 0; index < 100_000; index++) {
        // as for a task that becomes pending and is cancelled before somebody claims
        lanes.note(`queue ${index}`, "type", null, 0, index + 1, false)
        if (index % 100 === 0) lanes.refresh(1)
      }
      assert.isAtMost(lanes.size, 10_100)
    }).pipe(Effect.scoped))

  it.effect("are read at a cost that does not grow with their tasks", () =>
    Effect.gen(function*() {
      const [few, many] = [yield* fileWith(1000), yield* fileWith(100_000)]
      const ratios = Array.from({ length: 21 }, () => timeToRead(many) / timeToRead(few))
      // 80 where one statement finds the next lane, by a step over each task of the one before
      assert.isBelow(ratios.sort((a, b) => a - b)[10]!, 10)
    }).pipe(Effect.scoped))
})

/** A database whose tasks are all in one lane. */
const fileWith = Effect.fnUntraced(function*(tasks: number) {
  const database = yield* Database.open(Database.inMemory, 0)
  database.exec(`
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${tasks})
    INSERT INTO task (id, type, queue, payload, priority, max_retries, state, created_at, due_at, rank)
      SELECT n, 'type', 'queue', '', 0, 0, 1, 0, 0, n FROM numbers
  `)
  return new Lanes(database, 0)
})

let version = 0

const timeToRead = (lanes: Lanes): number => {
  const before = process.hrtime.bigint()
  lanes.refresh(++version)
  assert.strictEqual(lanes.size, 1)
  return Number(process.hrtime.bigint() - before)
}
