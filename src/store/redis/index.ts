/**
 * The Redis driver: several machines, lowest latency. Needs the `redis` package.
 */
export * as RedisStore from "./RedisStore.ts"
export { StoreError, StoreIncompatible } from "../../domain/Errors.ts"
export type { Services } from "./RedisStore.ts"
export type { StoreServices } from "../Driver.ts"
