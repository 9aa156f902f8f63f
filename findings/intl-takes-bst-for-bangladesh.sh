#!/usr/bin/env bash
# Date: 2026-11-30. Versions: Node 24.21.0 of the package node.
#
# Surprise: `Intl` takes two dozen names of three letters that are no zones of IANA's, from an old table of Java's. `BST` is Bangladesh, not
# British summer time; `AST` is Alaska, not the Atlantic; `IST` India, not Israel or Ireland; `PST` is Los Angeles with its summer time, and
# `EST` Panama without one. Whoever checks a zone by asking `Intl` for it accepts them, as `DateTime.zoneMakeNamed` of effect does.
#
# What TaskForge does: src/domain/TimeZone.ts refuses these names, and names the zone that was meant where it can tell.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund node@24.21.0 >/dev/null
node_modules/node/bin/node -e '
  console.log(`Node ${process.versions.node}, ICU ${process.versions.icu}, zone data ${process.versions.tz}`)
  const zoneOf = (timeZone) => new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone
  const zones = ["BST", "AST", "IST", "PST"].map(zoneOf)
  console.log(`BST, AST, IST, PST: ${zones.join(", ")}`)
  if (zones.join() !== "Asia/Dhaka,America/Anchorage,Asia/Calcutta,America/Los_Angeles") {
    console.log("The behaviour has changed")
    process.exit(1)
  }
'
