import { Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import * as PostgresStore from "../../src/store/postgres/PostgresStore.ts"
import { lifeOrder } from "../events/lifeOrder.ts"
import * as Postgres from "../servers/Postgres.ts"
import { withServer } from "../servers/withServer.ts"
import { rateLimits } from "./conformance/rateLimits.ts"
import { suite } from "./conformance/suite.ts"
import { Schemas } from "./postgres/fixtures.ts"
import { types } from "./postgres/types.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const schemas = new Schemas(server)
  const { advance, layer } = schemas
  const schema = Effect.acquireRelease(
    Effect.sync(() => `taskforge_limits_${randomBytes(6).toString("hex")}`),
    (name) => Effect.orDie(schemas.query(`DROP SCHEMA IF EXISTS "${name}" CASCADE`))
  )

  suite("The PostgreSQL store", { layer, advance, live: true })
  rateLimits(
    "The PostgreSQL store",
    Effect.map(schema, (schema) => ({
      layer: PostgresStore.layerUrl({ url: server.url, schema, maxConnections: 4 }),
      setBack: schemas.query(`UPDATE "${schema}".rate_limit SET expires_at = expires_at + 3600000`)
    })),
    true
  )
  lifeOrder(
    "a PostgreSQL schema",
    Effect.map(
      schema,
      (schema) => Layer.build(Layer.fresh(PostgresStore.layerUrl({ url: server.url, schema, maxConnections: 4 })))
    )
  )
  // Last, so that all statements of the others have been sent
  types("The PostgreSQL store", schemas, server)
})
