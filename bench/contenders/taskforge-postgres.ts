import { Effect, Layer } from "effect"
import * as PostgresStore from "../../src/store/postgres/PostgresStore.ts"
import { schema, url } from "../postgres.ts"
import { runOn } from "./TaskForge.ts"

runOn(({ capacity }) =>
  Layer.unwrap(Effect.map(schema, (name) => PostgresStore.layerUrl({ url, schema: name, capacity })))
)
