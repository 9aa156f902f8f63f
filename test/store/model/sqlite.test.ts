/** Random sequences of operations on the SQLite store. */
import { TestClock } from "effect/testing"
import * as SqliteStore from "../../../src/store/sqlite/SqliteStore.ts"
import type { Driver } from "../conformance/driver.ts"
import { dependencyDifferential } from "../differential/dependencies.ts"
import { model } from "./property.ts"
import { recordDifferential, recordModel } from "./records.ts"

const driver: Driver = {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
}

model("The SQLite store", driver, { runs: 150 })
recordModel("The SQLite store", driver, { runs: 60 })
recordDifferential("The SQLite store", driver, { runs: 50 })
dependencyDifferential("The SQLite store", driver, { runs: 60 })
