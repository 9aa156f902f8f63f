import { Effect } from "effect"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { claimsOn } from "./claims.ts"

claimsOn("Workflows on SQLite", {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: () => Effect.void
})
