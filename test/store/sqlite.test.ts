import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { lifeOrder } from "../events/lifeOrder.ts"
import type { Driver } from "./conformance/driver.ts"
import { suite } from "./conformance/suite.ts"
import { file } from "./sqlite/fixtures.ts"

const driver: Driver = {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
}

suite("The SQLite store", driver)
lifeOrder(
  "a SQLite file",
  Effect.map(file, (path) => Layer.build(Layer.fresh(SqliteStore.layer({ path }))))
)
