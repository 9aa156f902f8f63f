import { assert, it } from "@effect/vitest"
import { zoneDataVersion } from "../../src/observability/ZoneData.ts"

it("tells the version of the zone data that Node has", () => {
  assert.match(zoneDataVersion, /^\d{4}[a-z]$/)
  assert.strictEqual(zoneDataVersion, process.versions["tz"])
})
