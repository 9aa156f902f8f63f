/** Random sequences of operations on the PostgreSQL store. */
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import type { Driver } from "../conformance/driver.ts"
import { dependencyDifferential } from "../differential/dependencies.ts"
import { differential } from "../differential/differential.ts"
import { Schemas } from "../postgres/fixtures.ts"
import { types } from "../postgres/types.ts"
import { model } from "./property.ts"
import { recordDifferential, recordModel } from "./records.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const schemas = new Schemas(server)
  const driver: Driver = { layer: schemas.layerStopped, advance: schemas.advance }

  model("The PostgreSQL store", driver, { runs: 8 })
  differential("The PostgreSQL store", driver, { runs: 8 })
  recordModel("The PostgreSQL store", driver, { runs: 8 })
  recordDifferential("The PostgreSQL store", driver, { runs: 6 })
  dependencyDifferential("The PostgreSQL store", driver, { runs: 8, namesAny: true })
  // Last, so that all statements of the others have been sent
  types("The PostgreSQL store, under random operations,", schemas, server)
})
