/** A real server with the task types that ship, their real handlers, and a folder of its own for tasks. */
import { Duration, Effect, Layer } from "effect"
import { join } from "node:path"
import * as Handlers from "../../src/handlers/index.ts"
import * as ShippedHandlers from "../../src/server/ShippedHandlers.ts"
import { Home } from "../handlers/TestHandlers.ts"
import * as TestServer from "./TestServer.ts"

/** Runs tasks. They may connect to 127.0.0.1. */
export const running = Layer.unwrap(Effect.map(Home, (home) =>
  TestServer.layer({
    definitions: Handlers.definitions,
    handlers: ShippedHandlers.layer({
      threads: 1,
      threadMemory: 256,
      folders: [home],
      outboundAllow: ["127.0.0.1"],
      outboundTimeout: Duration.seconds(5),
      outboundMaxSize: 1,
      outboundRedirects: 5,
      webhookSecret: undefined,
      smtpUrl: undefined,
      smtpTls: "offered",
      mailFrom: "taskforge@localhost",
      outbox: join(home, "outbox"),
      imageMaxPixels: 1_000_000,
      imageMaxSize: 1
    })
  }))).pipe(Layer.provideMerge(Home.layer))

/** Only takes them. */
export const waiting = TestServer.layer({ definitions: Handlers.definitions })
