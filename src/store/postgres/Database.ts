/**
 * Statements on the application's `PgClient`: typed errors, rows as arrays, and transactions.
 *
 * Whatever is asked from inside the application's own `sql.withTransaction` runs on that transaction's connection,
 * because the client finds it in the fiber's context.
 */
import type { PgClient, PgPoolConfig } from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import { type Cause, Clock, Context, Effect, Result, Schedule } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { StoreError } from "../../domain/Errors.ts"
import { inParentOnly } from "../../domain/Spans.ts"
import type { Refusals } from "../WriteHealth.ts"
import * as Failure from "./Failure.ts"

/**
 * A value that goes into a statement. A plain number is none: the client would choose its type by its value, so that one
 * statement would have several.
 */
export type Parameter = string | boolean | null | PgTypes.Parameter

/** Statements and transactions. What fails for a reason that passes is done again, unless the application does that. */
export interface Statements {
  /** One statement in one round trip; a transaction of its own unless the fiber is in one. */
  readonly query: <Row extends ReadonlyArray<unknown>>(
    operation: string,
    text: string,
    parameters?: ReadonlyArray<Parameter>
  ) => Effect.Effect<ReadonlyArray<Row>, StoreError>
  /** Several statements that happen entirely or not at all; inside a transaction, a savepoint. */
  readonly transaction: <A, E = never>(
    operation: string,
    body: Effect.Effect<A, StoreError | E>
  ) => Effect.Effect<A, StoreError | E>
}

/** The store's side of a `PgClient`. What is asked here is done again even when it may have been done before. */
export interface Database extends Statements {
  readonly client: PgClient
  /** The schema, quoted for use in SQL. */
  readonly schema: string
  /** For what must not be done twice: when it is not known whether it was done, it fails. */
  readonly once: Statements
  /** The store's clock. */
  readonly now: (operation: string) => Effect.Effect<number, StoreError>
  /** Whether the fiber is inside a transaction of the client. */
  readonly inTransaction: Effect.Effect<boolean>
}

/** Pauses before what failed is done again: 150 ms in all. Longer outages are their callers' to wait out. */
const pauses = Schedule.upTo(Schedule.jittered(Schedule.exponential("5 millis")), { times: 5 })

/** What took this long before it failed, in milliseconds, was no moment's fault: another try would take as long. */
const maxPassingMs = 1000

/** Connections of a pool whose configuration names no number. */
const defaultMaxConnections = 10

/** How long idle connections are looked through for one that was left in a failed transaction. */
const maxRollbackMs = 500

/** Settings for each transaction of the store, where a pooler takes none for the session. */
export type LocalSettings = Readonly<Record<string, string>>

/** Wraps a client. */
export const make = (
  client: PgClient,
  schema: string,
  local: LocalSettings = {},
  refusals?: Refusals
): Database => {
  const inTransaction = Effect.withFiber((fiber) =>
    Effect.succeed(Context.getOrUndefined(fiber.context, client.transactionService) !== undefined)
  )

  /** `COMMIT` that is refused leaves its transaction open, and the client's pool lends such a connection out again. */
  const rollBackIdle = Effect.scoped(Effect.gen(function*() {
    const { maxConnections = defaultMaxConnections }: PgPoolConfig = client.config
    // those that are lent out are in the application's transactions
    for (let index = 0; index < maxConnections; index++) {
      const connection = yield* client.reserve
      yield* connection.executeUnprepared("ROLLBACK", [], undefined)
    }
  })).pipe(Effect.timeoutOption(maxRollbackMs), Effect.ignore)

  const names = Object.keys(local)
  const configure = client.unsafe(
    `SELECT ${names.map((_, index) => `set_config($${2 * index + 1}, $${2 * index + 2}, true)`).join(", ")}`,
    names.flatMap((name) => [name, local[name]!])
  )
  const configured = <A, E>(body: Effect.Effect<A, E>): Effect.Effect<A, E | SqlError> =>
    names.length === 0 ? body : Effect.andThen(configure, body)

  const repeated = <A, E>(
    operation: string,
    effect: Effect.Effect<A, E>,
    mayRepeat: (error: unknown) => boolean
  ): Effect.Effect<A, StoreError | Exclude<E, SqlError>> => {
    const typed = Effect.catchCause(effect, (cause): Effect.Effect<never, StoreError | Exclude<E, SqlError>> => {
      const error = Failure.ofCause(operation, cause)
      // without an `SqlError` in it, what is left is the body's own
      if (error === undefined) return Effect.failCause(cause as Cause.Cause<Exclude<E, SqlError>>)
      refusals?.note(error)
      if (!Failure.isLeftAborted(error)) return Effect.fail(error)
      return Effect.andThen(
        Effect.flatMap(inTransaction, (own) => own ? Effect.void : rollBackIdle),
        Effect.fail(error)
      )
    })
    return inParentOnly(Effect.withFiber((fiber) => {
      // inside a transaction only its owner can run it again
      if (Context.getOrUndefined(fiber.context, client.transactionService) !== undefined) return typed
      const clock = fiber.getRef(Clock.Clock)
      const startedAt = clock.monotonicTimeNanosUnsafe()
      const isMoment = (error: unknown) =>
        mayRepeat(error) && clock.monotonicTimeNanosUnsafe() - startedAt < BigInt(maxPassingMs) * 1_000_000n
      return Effect.retry(typed, { schedule: pauses, while: isMoment })
    }))
  }

  const statements = (isSafe: (error: StoreError) => boolean): Statements => ({
    query: <Row extends ReadonlyArray<unknown>>(
      operation: string,
      text: string,
      parameters: ReadonlyArray<Parameter> = []
    ) =>
      // the row type is the caller's knowledge of its columns
      repeated(
        operation,
        Effect.map(client.unsafe(text, parameters).values, (rows) => rows as unknown as ReadonlyArray<Row>),
        (error) => isPassing(error) && isSafe(error as StoreError)
      ),
    transaction: (operation, body) =>
      Effect.suspend(() => {
        // what fails before its commit has not been done
        let committing = false
        const once = Effect.suspend(() => {
          committing = false
          return client.withTransaction(Effect.tap(configured(body), () => Effect.sync(() => committing = true)))
        })
        return repeated(
          operation,
          once,
          (error) => isPassing(error) && (!committing || isSafe(error as StoreError))
        )
      })
  })

  const quoted = quote(schema)
  const repeating = statements(() => true)
  return {
    client,
    schema: quoted,
    ...repeating,
    once: statements((error) => !Failure.isUndecided(error)),
    now: (operation) =>
      Effect.map(
        repeating.query<[now: number]>(operation, `SELECT ${quoted}.now_ms()::float8`),
        ([row]) => row![0]
      ),
    inTransaction
  }
}

/** Doing the same again may help: at once, or once a connection that was left in a failed transaction is rolled back. */
const isPassing = (error: unknown): boolean => Failure.isPassing(error) || Failure.isLeftAborted(error)

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

/**
 * Equality with a value of another row, as SQL: the one comparison of a join that no plan can turn round. Where statistics are of a time
 * when a table was empty, a scan of all of its index looks as cheap as one look-up, and of `a = b` the planner takes that scan for the outer
 * side of the join. An array can only be looked up, in a function with {@link lookups} at least.
 */
export const isOneOf = (column: string, value: string): string => `${column} = ANY (ARRAY[${value}])`

/** Functions find what they need through indexes, whatever the statistics say, and plan once. */
export const lookups =
  "SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off SET enable_hashjoin TO off " +
  "SET enable_mergejoin TO off SET plan_cache_mode TO force_generic_plan"

/** The name in a stored type: see `StoredType`. */
export const typeName = (column: string): string => `split_part(${column}, E'\\x1f', 1)`
