/** The PostgreSQL store behind PgBouncer keeps the contract of every store. */
import * as PgBouncer from "../../servers/PgBouncer.ts"
import { withServer } from "../../servers/withServer.ts"
import { suite } from "../conformance/suite.ts"
import { Schemas } from "./fixtures.ts"

await withServer("PgBouncer", PgBouncer.pooled, ({ direct, pooler }) => {
  const { advance, layer } = new Schemas(direct, pooler)
  suite("The PostgreSQL store behind PgBouncer", { layer, advance, live: true })
})
