/**
 * Proves a storage driver, on `vitest` and `@effect/vitest`: {@link suite} holds it to the contracts, {@link model} and
 * {@link recordModel} compare it with a plain model of a store through random sequences of operations.
 *
 * @example
 * ```ts
 * import { TestClock } from "effect/testing"
 * import { type Driver, suite } from "taskforge/testing/store"
 *
 * const driver: Driver = { layer: MyStore.layer, advance: TestClock.adjust }
 *
 * suite("My store", driver)
 * ```
 */
export type { Driver } from "./conformance/driver.ts"
export { type Limited, rateLimits } from "./conformance/rateLimits.ts"
export { suite } from "./conformance/suite.ts"
export { model } from "./model/property.ts"
export { recordModel } from "./model/records.ts"
