import { join } from "node:path"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { runOn } from "./TaskForge.ts"

runOn(({ capacity, directory }) => SqliteStore.layer({ path: join(directory, "tasks.db"), capacity }))
