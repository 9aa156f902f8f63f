/**
 * The task types that ship with the server. Each file is an example of how to write one: a definition that says what
 * the task takes, gives and fails with, and a layer that runs it.
 */
import { Layer } from "effect"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { Compute, ComputeLive } from "./Compute.ts"
import { Echo, EchoLive } from "./Echo.ts"
import { Fail, FailLive } from "./Fail.ts"
import { Primes, PrimesLive } from "./Primes.ts"
import { Sleep, SleepLive } from "./Sleep.ts"

export { Compute, Echo, Fail, Primes, Sleep }
export { FailedOnPurpose } from "./Fail.ts"

/** All definitions: what the HTTP API accepts. */
export const definitions: ReadonlyArray<AnyTaskDefinition> = [Echo, Sleep, Compute, Primes, Fail]

/** All handlers. */
export const layer = Layer.mergeAll(EchoLive, SleepLive, ComputeLive, PrimesLive, FailLive)
