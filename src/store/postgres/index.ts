/**
 * The PostgreSQL driver: several machines, one queue, and tasks in the application's own transactions. Needs
 * `@effect/sql-pg`.
 */
export * as PostgresStore from "./PostgresStore.ts"
export { StoreError, StoreIncompatible } from "../../domain/Errors.ts"
export type { ServerServices, StoreServices } from "../Driver.ts"
