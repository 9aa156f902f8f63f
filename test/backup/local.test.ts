import { it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { file } from "../store/sqlite/fixtures.ts"
import { backups } from "./backups.ts"
import { seesOneMoment } from "./snapshots.ts"

backups("a store in memory", { layer: MemoryStore.layer, advance: TestClock.adjust })
backups("an SQLite file", {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
})

it.live("A backup of an SQLite file that is written to is of one moment", () =>
  Effect.flatMap(
    file,
    (path) => seesOneMoment(SqliteStore.layer({ path }), SqliteStore.layer({ path, readOnly: true }))
  ))
