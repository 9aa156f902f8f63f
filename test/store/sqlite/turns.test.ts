/**
 * Two stores on one file that take turns: what one of them does, the other has to find, though it keeps in memory which
 * lanes have work.
 */
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { DatabaseSync } from "node:sqlite"
import { SqliteStore } from "../../../src/store/sqlite/index.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { cancelling } from "../conformance/cancelling.ts"
import { claiming } from "../conformance/claiming.ts"
import type { Driver } from "../conformance/driver.ts"
import { lanes } from "../conformance/lanes.ts"
import { order } from "../conformance/order.ts"
import { pausing } from "../conformance/pausing.ts"
import { rerunning } from "../conformance/rerunning.ts"
import { rescuing } from "../conformance/rescuing.ts"
import { scheduling } from "../conformance/scheduling.ts"
import { model } from "../model/property.ts"
import { file } from "./fixtures.ts"

type Store = Context.Service.Shape<typeof TaskStore>

/** Each operation is done by the store whose turn it is. */
const takingTurns = (stores: readonly [Store, Store]): Store => {
  let turn = 0
  return new Proxy(stores[0], {
    get: (_, name) => Reflect.get(stores[turn++ % 2 === 0 ? 0 : 1], name)
  })
}

const driver: Driver = {
  layer: (settings) =>
    Layer.effectContext(Effect.gen(function*() {
      const options = { ...settings, path: yield* file, synchronous: "normal" as const }
      const one = yield* Layer.build(Layer.fresh(SqliteStore.layer(options)))
      const other = yield* Layer.build(Layer.fresh(SqliteStore.layer(options)))
      // The other has left numbers out, as if the file came back after a power failure
      const database = new DatabaseSync(options.path)
      database.exec("UPDATE tally SET claim = 0")
      database.close()
      return Context.add(one, TaskStore, takingTurns([Context.get(one, TaskStore), Context.get(other, TaskStore)]))
    })),
  advance: TestClock.adjust
}

for (const area of [lanes, claiming, order, scheduling, rescuing, cancelling, rerunning, pausing]) area(driver)
model("A SQLite file that two stores share", driver, { runs: 30 })
