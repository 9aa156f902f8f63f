#!/usr/bin/env bash
# Date: 2026-11-30. Versions: effect 4.1.0.
#
# Surprise: in the hour that a clock skips, `Cron.next` depends on the minute in which it is asked. `30 2 * * *` in Berlin ticks at
# 01:30 UTC on 31 March 2024 when asked before 01:00 UTC; asked from 01:00 on, with half an hour to go, that night has no tick. A process
# that starts or edits its schedule then loses the night's run. `match` is false in every minute of that day, so a program that asks
# `match` each minute loses it always. And by default `0 * * * *` has a hole of two hours in autumn: the second of the two hours is left out.
#
# What TaskForge does: the table in docs/schedules.md, "When the clocks change". The next tick follows from the last one, and is the same from
# each minute before it (test/domain/Timetable.properties.test.ts).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund effect@4.1.0 >/dev/null
cat > probe.mjs <<'PROBE'
import { Cron, Result } from "effect"
import { readFileSync } from "node:fs"

const { version } = JSON.parse(readFileSync("node_modules/effect/package.json", "utf8"))
console.log(`effect ${version}, zone data ${process.versions.tz}`)

const parse = (cron) => Result.getOrThrow(Cron.parse(cron, "Europe/Berlin"))
const short = (date) => date.toISOString().slice(0, 16)

const nightly = parse("30 2 * * *")
const asked = ["00:59", "01:00", "01:10"].map((time) => short(Cron.next(nightly, new Date(`2024-03-31T${time}:00Z`))))
const matches = Array.from({ length: 1440 }, (_, minute) => new Date(Date.UTC(2024, 2, 31, 0, minute)))
  .filter((date) => Cron.match(nightly, date)).length
console.log(`30 2 * * * asked at 00:59, 01:00 and 01:10 UTC: ${asked.join(", ")}; minutes of the day that match: ${matches}`)

const hourly = parse("0 * * * *")
const first = Cron.next(hourly, new Date("2024-10-26T23:30:00Z"))
const hours = [first, Cron.next(hourly, first)].map(short)
console.log(`0 * * * * in autumn: ${hours.join(", ")}`)

const expected = ["2024-03-31T01:30", "2024-04-01T00:30", "2024-04-01T00:30", 0, "2024-10-27T00:00", "2024-10-27T02:00"]
if (JSON.stringify([...asked, matches, ...hours]) !== JSON.stringify(expected)) {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
node probe.mjs
