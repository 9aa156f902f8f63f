#!/usr/bin/env bash
# Date: 2026-11-30. Versions: rrule-temporal 2.2.8, temporal-polyfill 1.0.8.
#
# Surprise: rrule-temporal leaves out what it does not expect, without a word. `BYHOUR=25` and `BYHUOR=17` recur at the start's hour. A part that
# narrows another one is dropped: the 100th day of the year, if it is the first of a month, recurs on 10 April. A daily 02:30 is left out
# on the day without it, and an hourly rule leaves out one of two hours in autumn, where `MINUTELY;INTERVAL=30` has both. `COUNT=100000` ends
# with an error after 10,000, as does a rule that never recurs.
#
# What TaskForge does: src/domain/RecurrenceRule.ts refuses what it does not know; parts narrow each other as the RFC's table says
# (test/domain/RecurrenceRule.test.ts); hours are as in docs/schedules.md, "When the clocks change".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund rrule-temporal@2.2.8 temporal-polyfill@1.0.8 >/dev/null
cat > probe.mjs <<'PROBE'
import "temporal-polyfill/global"
import { readFileSync } from "node:fs"
import { RRuleTemporal } from "rrule-temporal"

const { version } = JSON.parse(readFileSync("node_modules/rrule-temporal/package.json", "utf8"))
console.log(`rrule-temporal ${version}, zone data ${process.versions.tz}`)

const first = (rule, start, zone, count) =>
  new RRuleTemporal({ rruleString: `DTSTART;TZID=${zone}:${start}\nRRULE:${rule}` })
    .all((_, index) => index < count).map((date) => date.toString().slice(0, 16)).join(" ")

const cases = [
  ["FREQ=DAILY;BYHOUR=25", "20260101T090000", "UTC", 1, "2026-01-01T09:00"],
  ["FREQ=DAILY;BYHUOR=17", "20260101T090000", "UTC", 1, "2026-01-01T09:00"],
  ["FREQ=YEARLY;BYYEARDAY=100;BYMONTHDAY=1", "20260101T090000", "UTC", 1, "2026-04-10T09:00"],
  ["FREQ=DAILY", "20240330T023000", "Europe/Berlin", 2, "2024-03-30T02:30 2024-04-01T02:30"],
  ["FREQ=HOURLY", "20241027T013000", "Europe/Berlin", 3, "2024-10-27T01:30 2024-10-27T02:30 2024-10-27T03:30"]
]
let hasChanged = false
for (const [rule, start, zone, count, expected] of cases) {
  let found
  try {
    found = first(rule, start, zone, count)
  } catch (error) {
    found = error.message
  }
  console.log(`${rule} from ${start} in ${zone}: ${found}`)
  hasChanged ||= found !== expected
}
if (hasChanged) {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
node probe.mjs
