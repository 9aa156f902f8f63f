/**
 * The Redis driver: several machines, lowest latency. Needs the `redis` package.
 */
export * as RedisStore from "./RedisStore.ts"
