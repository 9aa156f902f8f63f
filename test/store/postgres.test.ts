import * as Postgres from "../servers/Postgres.ts"
import { withServer } from "../servers/withServer.ts"
import { apiKeys } from "./conformance/apiKeys.ts"
import { eventLog } from "./conformance/eventLog.ts"
import { instances } from "./conformance/instances.ts"
import { suite } from "./conformance/suite.ts"
import { differential } from "./differential/differential.ts"
import { model } from "./model/property.ts"
import { Schemas } from "./postgres/fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const { advance, layer, layerStopped } = new Schemas(server)

  suite("The PostgreSQL store", { layer, advance, live: true })
  model("The PostgreSQL store", { layer: layerStopped, advance }, { runs: 15 })
  differential("The PostgreSQL store", { layer: layerStopped, advance }, { runs: 15 })
  instances("The PostgreSQL store", { layer: layer(), advance, live: true })
  apiKeys("The PostgreSQL store", layer())
  eventLog("The PostgreSQL store", { layer: layer(), advance, live: true })
})
