/** An engine with all handlers that ship with the server, a folder of its own, and the loopback address allowed. */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Option, Redacted, References, type Schema } from "effect"
import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { InvalidPayload } from "../../src/domain/Errors.ts"
import type { TaskFailure } from "../../src/domain/TaskRecord.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { Folders } from "../../src/handlers/files/Folders.ts"
import * as Handlers from "../../src/handlers/index.ts"
import type { Options as MailOptions } from "../../src/handlers/mail/Mail.ts"
import { Mailer } from "../../src/handlers/mail/Mailer.ts"
import { Outbound } from "../../src/handlers/outbound/Outbound.ts"
import type { Options as OutboundOptions } from "../../src/handlers/outbound/OutboundRequest.ts"
import { type EnqueueOptions, fromJson } from "../../src/queue/Submission.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { ThreadPool } from "../../src/threads/ThreadPool.ts"

/** The folder for tasks. */
export class Home extends Context.Service<Home, string>()("taskforge/test/Home") {
  static readonly layer = Layer.effect(
    Home,
    Effect.acquireRelease(
      Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "taskforge-home-")))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
  )
}

/** What differs between tests. */
export interface Options {
  /** Real threads instead of none. */
  readonly threads?: boolean
  /** Memory of a thread at most. */
  readonly memoryMiB?: number
  readonly outbound?: OutboundOptions
  readonly secret?: string
  readonly mail?: MailOptions
}

/** Everything for one test. */
const layer = ({ mail, memoryMiB, outbound, secret, threads = false }: Options = {}) =>
  Layer.unwrap(Effect.map(Home, (home) =>
    Engine.layer(
      Handlers.layer.pipe(Layer.provide([
        threads ? ThreadPool.layer({ size: 2, memoryMiB }) : ThreadPool.layerInline,
        Folders.layer([home]),
        Outbound.layer({ allow: ["127.0.0.1"], timeout: "1 minute", ...outbound }),
        Handlers.WebhookSecret.layer(secret === undefined ? undefined : Redacted.make(secret)),
        Handlers.ImageLimits.layer({ maxPixels: 1_000_000, maxBytes: 1_000_000 }),
        Mailer.layer({ outbox: join(home, "outbox"), ...mail })
      ])),
      { worker: { concurrency: 20, pollInterval: "1 minute" }, shutdown: "1 second" }
    ))).pipe(
      Layer.provideMerge(MemoryStore.layer()),
      Layer.provideMerge(Home.layer),
      Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
    )

/** Runs a test with all of it. */
export const withHandlers = (options: Options = {}) => Effect.provide(layer(options), { local: true })

/** Enqueues JSON as the HTTP API does. */
export const post = Effect.fnUntraced(function*(type: string, payload: Schema.Json, options: EnqueueOptions = {}) {
  const definition = Handlers.definitions.find((one) => one.type === type)!
  const queue = yield* TaskQueue
  const [accepted] = yield* queue.submit([yield* fromJson(definition, payload, options, 0)])
  return accepted!.id
})

/** How a task of the type ends. */
export const outcomeOf = Effect.fnUntraced(function*(type: string, payload: Schema.Json, options: EnqueueOptions = {}) {
  const queue = yield* TaskQueue
  return yield* queue.outcome(yield* post(type, payload, options))
})

/** The result of a task that must succeed. */
export const resultOf = Effect.fnUntraced(function*<A = Record<string, unknown>>(type: string, payload: Schema.Json) {
  const { failure, result } = yield* outcomeOf(type, payload, { maxRetries: 0 })
  assert.isNull(failure, `${type} failed: ${failure?.message} ${failure?.stack ?? ""}`)
  return Option.getOrThrow(result) as A
})

/** The failure of a task that must fail at its first attempt. */
export const failureOf = Effect.fnUntraced(function*(type: string, payload: Schema.Json) {
  const { failure, result } = yield* outcomeOf(type, payload, { maxRetries: 0 })
  assert.isNotNull(failure, `${type} succeeded: ${result}`)
  return failure as TaskFailure
})

/** Payloads that are not even accepted. */
export const isRefused = (type: string, payload: Schema.Json) =>
  Effect.map(Effect.flip(post(type, payload)), (error) => assert.instanceOf(error, InvalidPayload))
