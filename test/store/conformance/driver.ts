/**
 * What a store driver brings to the conformance suite, and how one claim about it is stated.
 */
import { it } from "@effect/vitest"
import type { Duration, Layer, Scope } from "effect"
import { Effect } from "effect"
import type { StoreServices, StoreSettings } from "taskforge/store"

/** A storage driver that is to be proven. */
export interface Driver {
  /** A new, empty store: every test builds its own. */
  readonly layer: (settings: StoreSettings) => Layer.Layer<StoreServices, unknown>
  /** Moves the store's own clock; it is set back where the duration is less than nothing. */
  readonly advance: (duration: Duration.Input) => Effect.Effect<void>
  /** The driver needs real time, because it talks to a server: no `TestClock`. */
  readonly live?: boolean
  /** What it does not do yet. */
  readonly without?: ReadonlyArray<"dependencies">
  /** It forgets finished tasks when a new one finds no room, and counts characters. */
  readonly forgets?: boolean
}

/** After which a test is ended: what hangs, for nothing depends on how quick the machine is. */
export const maxMs = 300_000

/** One claim about a driver: a fresh store with these settings, and what must hold. */
export const scenario = (
  driver: Driver,
  name: string,
  body: () => Effect.Effect<void, unknown, StoreServices | Scope.Scope>,
  settings: StoreSettings = {}
): void => {
  const test = driver.live === true ? it.live : it.effect
  test(name, () => Effect.provide(Effect.suspend(body), driver.layer(settings)), maxMs)
}
