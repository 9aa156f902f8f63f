/** Writes `docs/chaos.md` from what the suite left behind. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Page from "./Page.ts"
import { folder, type Row } from "./Scenario.ts"

const rows = readdirSync(folder).filter((name) => name.endsWith(".json")).toSorted().flatMap((name) =>
  JSON.parse(readFileSync(join(folder, name), "utf8")) as ReadonlyArray<Row>
)
writeFileSync(Page.path, Page.render(rows))
