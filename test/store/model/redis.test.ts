/** Random sequences of operations on the Redis store. */
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import type { Driver } from "../conformance/driver.ts"
import { dependencyDifferential } from "../differential/dependencies.ts"
import { differential } from "../differential/differential.ts"
import { connect } from "../redis/fixtures.ts"
import { model } from "./property.ts"
import { recordDifferential, recordModel } from "./records.ts"

await withServer("Redis", Redis.find, async (server) => {
  const { advance, layerStopped: layer } = await connect(server)
  const driver: Driver = { layer, advance }

  model("The Redis store", driver, { runs: 20 })
  differential("The Redis store", driver, { runs: 20 })
  recordModel("The Redis store", driver, { runs: 20 })
  recordDifferential("The Redis store", driver, { runs: 10 })
  dependencyDifferential("The Redis store", driver, { runs: 20 })
})
