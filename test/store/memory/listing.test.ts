/** A page of a list in memory looks at a bounded number of tasks. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MemoryStore from "../../../src/store/memory/MemoryStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { add, idsOf, tasks } from "../conformance/fixtures.ts"

describe("a list in memory", () => {
  it.effect("goes on by pages where what it looks for is rare", () =>
    Effect.gen(function*() {
      const store = yield* TaskStore
      const rare = yield* add({ type: "rare" })
      for (let count = 0; count < 250_000; count += 10_000) yield* add(...tasks(10_000))
      const pages = []
      for (let before: number | undefined, isLast = false; !isLast;) {
        const page = yield* store.list({ limit: 10, types: ["rare"], before })
        pages.push(idsOf(page.tasks))
        before = page.next
        isLast = page.next === undefined
      }
      assert.deepStrictEqual(pages, [[], [], rare])
    }).pipe(Effect.provide(MemoryStore.layer({ capacity: 1_000_000, maxBytes: 1e9 }))))
})
