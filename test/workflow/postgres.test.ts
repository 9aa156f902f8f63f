import * as PostgresServer from "../servers/Postgres.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { claimsOn } from "./claims.ts"

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  claimsOn("Workflows on PostgreSQL", new Schemas(server))
})
