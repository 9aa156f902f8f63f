#!/usr/bin/env bash
# Date: 2026-11-28. Versions: effect 4.1.0, node 24.21.0 (npm packages).
#
# Surprise: `Schema.Struct({ constructor: Schema.optionalKey(Schema.String) })` refuses `{}`. The parser asks with `in`
# whether the object has the field, so the members that every object inherits count as given. Records are read by their own
# keys, so `Schema.Record` takes columns named `constructor` and `__proto__` as they are.
#
# What TaskForge does: no payload of a shipped task type has such a field; names that clients choose are keys of records,
# and are looked up with `Object.hasOwn`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund effect@4.1.0 node@24.21.0 >/dev/null
cat > probe.mjs <<'PROBE'
import { Exit, Schema } from "effect"
import { readFileSync } from "node:fs"

const version = JSON.parse(readFileSync("node_modules/effect/package.json", "utf8")).version
console.log(`node ${process.version}, effect ${version}`)
const takesNothing = (name) =>
  Exit.isSuccess(Schema.decodeUnknownExit(Schema.Struct({ [name]: Schema.optionalKey(Schema.String) }))({}))
const seen = { other: takesNothing("other"), constructor: takesNothing("constructor"), toString: takesNothing("toString") }
console.log("an optional field that is not given is taken:", JSON.stringify(seen))
const record = JSON.parse(`{"__proto__":"a","constructor":"b"}`)
const decoded = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.String))(record)
console.log("a record:", JSON.stringify(decoded))
if (JSON.stringify(seen) !== `{"other":true,"constructor":false,"toString":false}` ||
  JSON.stringify(decoded) !== JSON.stringify(record)) {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
./node_modules/.bin/node probe.mjs
