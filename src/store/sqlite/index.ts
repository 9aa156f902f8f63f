/**
 * The SQLite driver: one machine, one file, durable; needs nothing but Node.
 */
export * as SqliteStore from "./SqliteStore.ts"
export { StoreError, StoreIncompatible } from "../../domain/Errors.ts"
export type { ServerServices, StoreServices } from "../Driver.ts"
