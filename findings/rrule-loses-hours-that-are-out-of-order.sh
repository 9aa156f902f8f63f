#!/usr/bin/env bash
# Date: 2026-11-30. Versions: rrule 2.8.1.
#
# Surprise: the order of a list matters to rrule. `BYHOUR=17,9` recurs at 17:00 and then at 09:00 of the same day; `after` stops at the first
# time that is later, so what is due at nine is never found; and `BYSETPOS=-1` takes nine for the last. A position that a period does not
# have wraps around: the last but one of a single Monday is that Monday.
#
# What TaskForge does: src/domain/RecurrenceRule.ts sorts lists, and refuses a rule whose positions no period has.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund rrule@2.8.1 >/dev/null
cat > probe.cjs <<'PROBE'
const { RRule } = require("rrule")
const { version } = require("rrule/package.json")
console.log(`rrule ${version}`)

const rule = (text, start) => new RRule({ ...RRule.parseString(text), dtstart: new Date(start) })
const short = (date) => date.toISOString().slice(0, 16)

const two = rule("FREQ=DAILY;BYHOUR=17,9;COUNT=4", "2026-01-01T00:00:00Z")
const all = two.all().map(short)
const after = short(two.after(new Date("2026-01-01T08:00:00Z")))
const last = short(rule("FREQ=DAILY;BYHOUR=17,9;BYSETPOS=-1;COUNT=1", "2026-01-01T00:00:00Z").all()[0])
const wrapped = rule("FREQ=MONTHLY;BYDAY=5MO;BYSETPOS=-2;COUNT=1", "2026-01-01T00:00:00Z").all().map(short)
console.log(`BYHOUR=17,9: ${all.join(", ")}; after eight: ${after}; the last of the day: ${last}; second last of one: ${wrapped}`)
const expected = ["2026-01-01T17:00", "2026-01-01T09:00", "2026-01-02T17:00", "2026-01-02T09:00", "2026-01-01T17:00"]
if (JSON.stringify([...all, after, last, ...wrapped]) !== JSON.stringify([...expected, "2026-01-01T09:00", "2026-03-30T00:00"])) {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
node probe.cjs
