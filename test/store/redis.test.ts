import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { apiKeys } from "./conformance/apiKeys.ts"
import { eventLog } from "./conformance/eventLog.ts"
import { instances } from "./conformance/instances.ts"
import { suite } from "./conformance/suite.ts"
import { differential } from "./differential/differential.ts"
import { model } from "./model/property.ts"
import { connect } from "./redis/fixtures.ts"

await withServer("Redis", Redis.find, async (server) => {
  const { advance, layer, layerStopped } = await connect(server)

  suite("The Redis store", { layer, advance, live: true })
  model("The Redis store", { layer: layerStopped, advance }, { runs: 40 })
  differential("The Redis store", { layer: layerStopped, advance }, { runs: 40 })
  instances("The Redis store", { layer: layer(), advance, live: true })
  apiKeys("The Redis store", layer())
  eventLog("The Redis store", { layer: layer(), advance, live: true })
})
