import { it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import * as PostgresStore from "../../src/store/postgres/PostgresStore.ts"
import * as Postgres from "../servers/Postgres.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { backups } from "./backups.ts"
import { seesOneMoment } from "./snapshots.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const schemas = new Schemas(server)
  const { advance, layer } = schemas
  backups("a PostgreSQL schema", { layer, advance, live: true })

  it.live("A backup of a PostgreSQL schema that is written to is of one moment", () => {
    const schema = `taskforge_backup_${randomBytes(6).toString("hex")}`
    const options = { url: server.url, schema, maxConnections: 4 }
    return Effect.ensuring(
      seesOneMoment(PostgresStore.layerUrl(options), PostgresStore.layerUrl({ ...options, readOnly: true })),
      Effect.orDie(schemas.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`))
    )
  })
})
