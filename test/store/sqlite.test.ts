import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { eventLog } from "./conformance/eventLog.ts"
import { instances } from "./conformance/instances.ts"
import { lifeOrder } from "./conformance/lifeOrder.ts"
import { records } from "./conformance/records.ts"
import { type Driver, suite } from "./conformance/suite.ts"
import { model } from "./model/property.ts"
import { recordDifferential, recordModel } from "./model/records.ts"
import { file } from "./sqlite/fixtures.ts"

const driver: Driver = {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
}

suite("The SQLite store", driver)
model("The SQLite store", driver, { runs: 800 })
instances("The SQLite store", { layer: SqliteStore.layer({ path: ":memory:" }), advance: TestClock.adjust })
records("The SQLite store", { layer: SqliteStore.layer({ path: ":memory:" }), advance: TestClock.adjust })
recordModel("The SQLite store", { layer: SqliteStore.layer({ path: ":memory:" }), advance: TestClock.adjust }, {
  runs: 200
})
recordDifferential("The SQLite store", { layer: SqliteStore.layer({ path: ":memory:" }), advance: TestClock.adjust }, {
  runs: 200
})
eventLog("The SQLite store", { layer: SqliteStore.layer({ path: ":memory:" }), advance: TestClock.adjust })
lifeOrder(
  "a SQLite file",
  Effect.map(file, (path) => Layer.build(Layer.fresh(SqliteStore.layer({ path }))))
)
