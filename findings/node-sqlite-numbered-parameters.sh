#!/usr/bin/env bash
# 2026-11-28, Node 22.19.0, 24.0.0 and 24.21.0 from npm's `node` package.
# The surprise: `node:sqlite` of Node 22.19 and 24.0 cannot bind SQLite's numbered parameters (`?1`, `?2`) to values
# given by position: a valid `SELECT ?1` with one value fails with "column index out of range". Only bare `?` works.
# Later versions take both, so a program that is developed on them fails on the lower ones that it also promises.
# What TaskForge does: all statements of its SQLite store use bare `?`, a test reads every statement that is prepared,
# and the store runs on Node 22.19.0 and 24.0.0 in each run of the tests.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >bind.mjs <<'JS'
import { DatabaseSync } from "node:sqlite"
const database = new DatabaseSync(":memory:")
const tried = (sql, ...values) => {
  try {
    return JSON.stringify(Object.values(database.prepare(sql).get(...values)))
  } catch (error) {
    return error.message
  }
}
console.log(`${tried("SELECT ? AS a, ? AS b", 1, 2)} | ${tried("SELECT ?1 AS a", 1)} | ${tried("SELECT ?1 AS a, ?2 AS b, ?1 AS c", 1, 2)}`)
JS

expect() {
  local version=$1 expected=$2
  mkdir "$version"
  (cd "$version" && npm init -y >/dev/null && npm install --no-save --silent "node@$version" >/dev/null)
  local seen
  seen=$("$version/node_modules/.bin/node" --no-warnings bind.mjs)
  echo "Node $version: $seen"
  [ "$seen" = "$expected" ] || {
    echo "expected: $expected" >&2
    exit 1
  }
}

refused="column index out of range"
expect 22.19.0 "[1,2] | $refused | $refused"
expect 24.0.0 "[1,2] | $refused | $refused"
expect 24.21.0 "[1,2] | [1] | [1,2,1]"
