#!/usr/bin/env bash
# Date: 2026-11-29. Versions: effect 4.1.0, @effect/platform-node 4.1.0.
#
# Surprise: an endpoint of `effect/http-api` whose payload is `Schema.NullOr(X)` refuses a request without a body (400), while one
# whose payload is the list `[X, Schema.Null]` takes it as null. Both take a body that is `null`, and both describe the same
# union in their types. An empty body becomes null only where a schema of the list is null by itself.
#
# What TaskForge does: a pause of a queue may come without a body, as `curl -X POST` sends it, so its payload is such a list
# (src/http/api/QueuesApi.ts); test/http/queues.test.ts and test/http/access.test.ts send no body.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund effect@4.1.0 @effect/platform-node@4.1.0 >/dev/null
cat > probe.mjs <<'PROBE'
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { readFileSync } from "node:fs"

for (const name of ["effect", "@effect/platform-node"]) {
  console.log(name, JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version)
}

const Options = Schema.Struct({ reason: Schema.optionalKey(Schema.String) })
const api = HttpApi.make("api").add(
  HttpApiGroup.make("pauses").add(
    HttpApiEndpoint.post("union", "/union", { payload: Schema.NullOr(Options), success: Schema.String }),
    HttpApiEndpoint.post("list", "/list", { payload: [Options, Schema.Null], success: Schema.String })
  )
)
const say = ({ payload }) => Effect.succeed(JSON.stringify(payload))
const server = HttpRouter.serve(
  HttpApiBuilder.layer(api).pipe(
    Layer.provide(HttpApiBuilder.group(api, "pauses", (handlers) => handlers.handleAll({ union: say, list: say })))
  ),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

const ask = (path, body) => {
  const post = HttpClientRequest.post(path)
  const request = body === undefined ? post : HttpClientRequest.bodyText(post, body, "application/json")
  return Effect.map(HttpClient.execute(request), ({ status }) => status).pipe(Effect.provide(server), Effect.runPromise)
}

const found = {
  "NullOr(X), null": await ask("/union", "null"),
  "NullOr(X), no body": await ask("/union"),
  "[X, Null], null": await ask("/list", "null"),
  "[X, Null], no body": await ask("/list")
}
console.log(found)
if (Object.values(found).join() !== "200,400,200,200") {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
node probe.mjs
