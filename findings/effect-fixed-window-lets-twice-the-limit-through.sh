#!/usr/bin/env bash
# Date: 2026-11-28. Versions: effect 4.1.0.
#
# Surprise: "limit 10 per second" of the `fixed-window` algorithm of `effect/persistence`'s RateLimiter lets 19 requests
# through within one second, and the window is not a second long: it grows by window / limit with each token taken, so
# one request alone begins a window of 100 ms. `token-bucket` lets as many through: a full bucket and its refill.
#
# What TaskForge does: docs/configuration.md says what its rate limits promise (the limit per window in the long run, less
# than twice the limit in any one window), and test/http/limits.test.ts holds them to it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund effect@4.1.0 >/dev/null
cat > probe.mjs <<'PROBE'
import { Clock, Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"

const { version } = JSON.parse(readFileSync("node_modules/effect/package.json", "utf8"))
console.log(`effect ${version}`)

const limit = 10
const windowMillis = 1000

/** How many requests pass within one second at most, when they come at these times (in ms), ten at once. */
const most = (algorithm, times) => Effect.gen(function*() {
  const limiter = yield* RateLimiter.make
  const passed = []
  for (const [at, count] of times) {
    const now = yield* Clock.currentTimeMillis
    yield* TestClock.adjust(at - now)
    for (let index = 0; index < count; index++) {
      const answer = yield* Effect.result(limiter.consume({ algorithm, key: "k", limit, window: windowMillis, onExceeded: "fail" }))
      if (answer._tag === "Success") passed.push(at)
    }
  }
  return Math.max(...passed.map((from) => passed.filter((at) => at >= from && at < from + windowMillis).length))
}).pipe(
  Effect.provide(Layer.fresh(RateLimiter.layerStoreMemory).pipe(Layer.provideMerge(TestClock.layer()))),
  Effect.runPromise
)

const fixed = await most("fixed-window", [[0, 1], [99, 10], [1000, 10]])
const bucket = await most("token-bucket", [[0, 10], ...Array.from({ length: 9 }, (_, i) => [(i + 1) * 100, 1])])
console.log(`fixed-window: ${fixed} of at most ${limit} passed within one second; token-bucket: ${bucket}`)
if (fixed !== 19 || bucket !== 19) {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
node probe.mjs
