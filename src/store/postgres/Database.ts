/**
 * Statements on the application's `PgClient`: typed errors, rows as arrays, and transactions.
 *
 * Whatever is asked from inside of the application's own `sql.withTransaction` runs on that transaction's connection,
 * because the client finds it in the fiber's context.
 */
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import { Context, Effect, Result, Schedule } from "effect"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type { StoreError } from "../../domain/Errors.ts"
import * as Failure from "./Failure.ts"

/** A value that goes into a statement. */
export type Parameter = string | number | boolean | null | PgTypes.Parameter

/** The store's side of a `PgClient`. */
export interface Database {
  readonly client: PgClient
  /** The schema, quoted for use in SQL. */
  readonly schema: string
  /** One statement in one round trip; a transaction of its own unless the fiber is in one. */
  readonly query: <Row extends ReadonlyArray<unknown>>(
    operation: string,
    text: string,
    parameters?: ReadonlyArray<Parameter>
  ) => Effect.Effect<ReadonlyArray<Row>, StoreError>
  /** Several statements that happen entirely or not at all; inside of a transaction, a savepoint. */
  readonly transaction: <A, E = never>(
    operation: string,
    body: Effect.Effect<A, StoreError | E>
  ) => Effect.Effect<A, StoreError | E>
  /** Whether the fiber is inside of a transaction of the client. */
  readonly inTransaction: Effect.Effect<boolean>
}

/** Deadlocks and serialization failures undo everything, so what met one is run again. */
const whileColliding = {
  schedule: Schedule.upTo(Schedule.jittered(Schedule.exponential("5 millis")), { times: 5 }),
  while: Failure.isCollision
}

/** Wraps a client. */
export const make = (client: PgClient, schema: string): Database => {
  const inTransaction = Effect.withFiber((fiber) =>
    Effect.succeed(Context.getOrUndefined(fiber.context, client.transactionService) !== undefined)
  )
  /** Inside of a transaction only its owner can run it again. */
  const repeated = <A, E>(operation: string, effect: Effect.Effect<A, E>) => {
    const typed = Effect.mapError(
      effect,
      (error): StoreError | Exclude<E, SqlError> =>
        isSqlError(error) ? Failure.storeError(operation, error) : error as Exclude<E, SqlError>
    )
    return Effect.flatMap(inTransaction, (inside) => inside ? typed : Effect.retry(typed, whileColliding))
  }
  return {
    client,
    schema: quote(schema),
    query: <Row extends ReadonlyArray<unknown>>(
      operation: string,
      text: string,
      parameters: ReadonlyArray<Parameter> = []
    ) =>
      // the row type is the caller's knowledge of its columns
      repeated(
        operation,
        Effect.map(client.unsafe(text, parameters).values, (rows) => rows as unknown as ReadonlyArray<Row>)
      ),
    transaction: (operation, body) => repeated(operation, client.withTransaction(body)),
    inTransaction
  }
}

/** A name as an SQL identifier. */
const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** An array of texts, or of `null`. */
export const texts = (values: ReadonlyArray<string | null>): PgTypes.Parameter => array(values, PgTypes.OID.text)

/** An array of numbers: doubles hold every whole number that the store knows, and need no `bigint`. */
export const numbers = (values: ReadonlyArray<number | null>): PgTypes.Parameter => array(values, PgTypes.OID.float8)

/** An array of truth values. */
export const booleans = (values: ReadonlyArray<boolean>): PgTypes.Parameter => array(values, PgTypes.OID.bool)

/** A number that may be greater than 2^31. */
export const number = (value: number | null): PgTypes.Parameter => PgTypes.float8(value)

const array = (values: ReadonlyArray<unknown>, elements: number): PgTypes.Parameter =>
  Result.getOrThrow(PgTypes.array(values, elements))
