/** This process among all that share the store. */
import { Context, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import { hostname } from "node:os"
import * as Bounds from "../domain/Bounds.ts"

/** The version of this package, as health, the registry of instances and the API reference show it. */
export const version = "0.1.0"

/** What the others call this instance, and where people find it. */
export class Instance extends Context.Service<Instance, {
  /** Unique among all that run. */
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly version: string
}>()("taskforge/store/Instance") {
  /** This process, under a random name unless it is given one. Dies of `InvalidOption` when no store could keep that. */
  static readonly layer = (id?: string): Layer.Layer<Instance, never, SecureRandom.SecureRandom> =>
    Layer.effect(
      Instance,
      Effect.gen(function*() {
        Bounds.demand("instance", Bounds.name, id)
        const random = yield* SecureRandom.SecureRandom
        return {
          id: id ?? `instance-${(yield* random.uuidV4()).slice(0, 8)}`,
          host: hostname(),
          pid: process.pid,
          version
        }
      })
    )
}
