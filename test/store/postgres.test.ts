import * as Postgres from "../servers/Postgres.ts"
import { withServer } from "../servers/withServer.ts"
import { apiKeys } from "./conformance/apiKeys.ts"
import { eventLog } from "./conformance/eventLog.ts"
import { type Driver, suite } from "./conformance/suite.ts"
import { Schemas } from "./postgres/fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const { advance, layer } = new Schemas(server)
  const driver: Driver = { layer, advance, live: true }

  suite("The PostgreSQL store", driver)
  apiKeys("The PostgreSQL store", layer())
  eventLog("The PostgreSQL store", { layer: layer(), advance, live: true })
})
