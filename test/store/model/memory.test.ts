/** Random sequences of operations on the memory store. */
import { TestClock } from "effect/testing"
import * as MemoryStore from "../../../src/store/memory/MemoryStore.ts"
import type { Driver } from "../conformance/driver.ts"
import { model } from "./property.ts"
import { recordModel } from "./records.ts"

const driver: Driver = { layer: MemoryStore.layer, advance: TestClock.adjust }

model("The memory store", driver, { runs: 300 })
recordModel("The memory store", driver, { runs: 150 })
