#!/usr/bin/env bash
# Date: 2026-11-29. Versions: effect 4.1.0, @effect/platform-node 4.1.0.
#
# Surprise: a request's body can be read several times in Effect's server, because the request keeps what it has read. A route
# under `HttpRouter.prefixed` gets another request, whose address has lost the prefix, and that one keeps nothing: once a global
# middleware has read the body (to check a signature, say), the prefixed route reads an empty text and no error, while a
# route with its whole path reads the body.
#
# What TaskForge does: its routes can be mounted under a path, where they are prefixed. They answer such a request with
# 400 and the reason (test/http/mounted.test.ts), and `TaskRoutes.layer` says that a middleware in front may not read bodies.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-save --silent --no-audit --no-fund effect@4.1.0 @effect/platform-node@4.1.0 >/dev/null
cat > probe.mjs <<'PROBE'
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { readFileSync } from "node:fs"

for (const name of ["effect", "@effect/platform-node"]) {
  console.log(name, JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version)
}

const length = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.orDie(request.text)).pipe(
  Effect.map((text) => HttpServerResponse.text(`${text.length}`))
)
const routes = (reading) =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      if (reading) {
        yield* router.addGlobalMiddleware((next) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.andThen(Effect.orDie(request.text), next))
        )
      }
      yield* router.add("POST", "/whole/length", length)
      yield* router.prefixed("/under").add("POST", "/length", length)
    })
  )

const ask = (reading, path) =>
  HttpClient.execute(HttpClientRequest.bodyText(HttpClientRequest.post(path), "0123456789")).pipe(
    Effect.flatMap((answer) => Effect.map(answer.text, (text) => `${answer.status} ${text}`)),
    Effect.provide(
      HttpRouter.serve(routes(reading), { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layerTest)
      )
    ),
    Effect.runPromise
  )

const found = {
  "whole path, not read before": await ask(false, "/whole/length"),
  "prefixed, not read before": await ask(false, "/under/length"),
  "whole path, read by a middleware": await ask(true, "/whole/length"),
  "prefixed, read by a middleware": await ask(true, "/under/length")
}
console.log(found)
if (Object.values(found).join() !== "200 10,200 10,200 10,200 0") {
  console.log("The behaviour has changed")
  process.exit(1)
}
PROBE
node probe.mjs
