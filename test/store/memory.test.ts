import { Clock, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as RateLimiterStore from "../../src/store/RateLimits.ts"
import { stepping } from "../engine/Clocks.ts"
import { lifeOrder } from "../events/lifeOrder.ts"
import type { Driver } from "./conformance/driver.ts"
import { rateLimits } from "./conformance/rateLimits.ts"
import { suite } from "./conformance/suite.ts"

const driver: Driver = { layer: MemoryStore.layer, advance: TestClock.adjust, forgets: true }

suite("The memory store", driver)
lifeOrder("the memory store", Effect.map(Layer.build(MemoryStore.layer()), Effect.succeed))
rateLimits(
  "A process by itself",
  Clock.clockWith((live) =>
    Effect.sync(() => {
      const { clock, step } = stepping(live)
      const layer = Layer.provide(Layer.fresh(RateLimiterStore.layer), Layer.succeed(Clock.Clock, clock))
      return { layer, setBack: step("-1 hour") }
    })
  ),
  false
)
