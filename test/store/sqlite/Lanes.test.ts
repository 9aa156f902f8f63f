import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Database from "../../../src/store/sqlite/Database.ts"
import { Lanes } from "../../../src/store/sqlite/Lanes.ts"

describe("the lanes that are remembered of a file", () => {
  it.effect("are forgotten when their tasks were cancelled, and nobody asks for their queues", () =>
    Effect.gen(function*() {
      const database = yield* Database.open(Database.inMemory, 0)
      const lanes = new Lanes(database)
      lanes.refresh()
      for (let index = 0; index < 100_000; index++) {
        // as for a task that becomes pending and is cancelled before somebody claims
        lanes.note(`queue ${index}`, "type", 0, index + 1)
        if (index % 100 === 0) lanes.refresh()
      }
      assert.isAtMost(lanes.size, 10_100)
    }).pipe(Effect.scoped))
})
