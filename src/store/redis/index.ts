/**
 * The Redis driver: several machines, lowest latency. Needs the `redis` package.
 */
export * as RedisStore from "./RedisStore.ts"
export { StoreError, StoreIncompatible } from "../../domain/Errors.ts"
export type { ServerServices, StoreServices } from "../Driver.ts"
