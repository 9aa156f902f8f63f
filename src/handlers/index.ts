/**
 * The task types that ship with the server. Each file is an example of how to write one: a definition that says what
 * the task takes, gives and fails with, and a layer that runs it. What runs on a thread is in a file `….thread.ts`.
 */
import { Layer } from "effect"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { Compute, ComputeLive } from "./Compute.ts"
import { DataProcess, DataProcessLive } from "./DataProcess.ts"
import { Echo, EchoLive } from "./Echo.ts"
import { Fail, FailLive } from "./Fail.ts"
import { HttpRequest, HttpRequestLive } from "./HttpRequest.ts"
import { Primes, PrimesLive } from "./Primes.ts"
import { Sleep, SleepLive } from "./Sleep.ts"
import { Webhook, WebhookLive } from "./Webhook.ts"

export { Compute, DataProcess, Echo, Fail, HttpRequest, Primes, Sleep, Webhook }
export { FailedOnPurpose } from "./Fail.ts"
export { WebhookSecret } from "./Webhook.ts"

/** All definitions: what the HTTP API accepts. */
export const definitions: ReadonlyArray<AnyTaskDefinition> = [
  Echo,
  Sleep,
  Compute,
  Primes,
  Fail,
  Webhook,
  HttpRequest,
  DataProcess
]

/** All handlers. */
export const layer = Layer.mergeAll(
  EchoLive,
  SleepLive,
  ComputeLive,
  PrimesLive,
  FailLive,
  WebhookLive,
  HttpRequestLive,
  DataProcessLive
)
