/**
 * The PostgreSQL store as layers.
 *
 * It works on the application's `PgClient`: what is enqueued or completed inside the application's
 * `sql.withTransaction` is committed or rolled back with it. A second client would silently not join.
 */
import * as Pg from "@effect/sql-pg/PgClient"
import { Clock, Config, Context, Duration, Effect, Layer, Redacted, type Scope } from "effect"
import { RateLimiterStore } from "effect/persistence/RateLimiter"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Bounds from "../../domain/Bounds.ts"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import { apart } from "../../domain/Spans.ts"
import { Budget } from "../Admission.ts"
import * as Coalescer from "../Coalescer.ts"
import { demandSettings, type ServerServices, settingNames, type StoreSettings } from "../Driver.ts"
import { EventLog } from "../EventLog.ts"
import { InstanceStore } from "../InstanceStore.ts"
import { Notifier, work } from "../Notifier.ts"
import { RecordStore } from "../RecordStore.ts"
import { promotion, TaskStore } from "../TaskStore.ts"
import { Refusals } from "../WriteHealth.ts"
import * as Archive from "./Archive.ts"
import * as Attempt from "./Attempt.ts"
import * as Claim from "./Claim.ts"
import * as Connection from "./Connection.ts"
import * as Database from "./Database.ts"
import * as Dependencies from "./Dependencies.ts"
import * as Enqueue from "./Enqueue.ts"
import * as Events from "./Events.ts"
import * as Failure from "./Failure.ts"
import * as Hints from "./Hints.ts"
import * as Instances from "./Instances.ts"
import * as Lanes from "./Lanes.ts"
import * as Migrations from "./Migrations.ts"
import * as Operate from "./Operate.ts"
import * as Passes from "./Passes.ts"
import * as RateLimits from "./RateLimits.ts"
import * as Read from "./Read.ts"
import * as Records from "./Records.ts"
import * as Server from "./Server.ts"
import * as Tally from "./Tally.ts"
import * as Task from "./Task.ts"

/** The schema that the store keeps to itself, unless configured. */
export const defaultSchema = "taskforge"

/** How the store behaves. */
export interface Options extends StoreSettings {
  /** The schema; it is created. Processes that name the same one share a queue. Default `taskforge`. */
  readonly schema?: string | undefined
  /**
   * Whether prepared statements may be used. Unless given, they are where no connection pooler shares sessions of the
   * server between connections; `true` says that the pooler there is follows them (PgBouncer 1.21 and newer, with
   * `max_prepared_statements`). With {@link layer}, whose client is the application's, this only answers the check.
   */
  readonly prepare?: boolean | undefined
}

/** The server and the connections to it, for programs that have no client of their own. */
export interface ConnectionOptions extends Options {
  /** `postgres://user:password@host:port/database`. */
  readonly url: Redacted.Redacted | string
  /** Connections of this process at most: one listens, the others work. Default 10, at least 3. */
  readonly maxConnections?: number | undefined
  /**
   * A statement that takes longer is given up by the server, and a connection without TLS on which nothing is heard for
   * half as long again is closed. A third of the pools' lease is the longest that makes sense for the store alone.
   * Default 30 s.
   */
  readonly statementTimeout?: Duration.Input | undefined
  /** A statement that waits longer for a lock is given up by the server. Default 5 s. */
  readonly lockTimeout?: Duration.Input | undefined
  /** What the server's lists show. Default `taskforge`. */
  readonly applicationName?: string | undefined
}

const names: Bounds.Names<ConnectionOptions> = {
  ...settingNames,
  schema: 1,
  prepare: 1,
  url: 1,
  maxConnections: 1,
  statementTimeout: 1,
  lockTimeout: 1,
  applicationName: 1
}

/** The fewest connections that the store works with: one listens, one is in a transaction, one is free. */
const fewestConnections = 3

/** Tasks sent in one statement at most, where several callers share it. */
const maxTasksAtOnce = 2000

/** Characters of a payload or a result count as more tasks: a statement has a size that can be sent. */
const weights = Coalescer.weights(16 * 1024)

/**
 * The store on the application's client.
 *
 * @example
 * ```ts
 * import { PgClient } from "@effect/sql-pg"
 * import { PostgresStore } from "taskforge/postgres"
 *
 * const StoreLive = PostgresStore.layer().pipe(
 *   Layer.provideMerge(PgClient.layer({ url: Redacted.make("postgres://app@localhost/app") }))
 * )
 * ```
 */
export const layer = (
  options: Options = {}
): Layer.Layer<ServerServices, StoreError | StoreIncompatible, Pg.PgClient> =>
  Layer.effectContext(Effect.flatMap(Pg.PgClient, (client) =>
    Effect.flatMap(routeOf(client.config), (route) => {
      const prepares = client.config.prepare !== false
      return route.isShared && prepares && options.prepare !== true
        ? Effect.fail(new StoreIncompatible({ reason: sharedSessions }))
        : make(options, route)
    })))

/** Why a client that prepares statements is refused behind some poolers. */
const sharedSessions = "A connection pooler shares the server's sessions by the transaction, and the client prepares " +
  "statements: they are missing in the next session, which fails transactions and leaves connections unusable. Make the " +
  "client with prepare: false, or say prepare: true if the pooler follows prepared statements"

/** What the connections lead to. */
const routeOf = (config: Pg.PgClientConfig): Effect.Effect<Connection.Route, StoreError> =>
  Effect.mapError(Connection.routeOf(config), (error) => Failure.storeError("open", error))

/** Without types it may be something else. */
const aUrl: Bounds.Bound<unknown> = {
  expected: "an address such as postgres://app@localhost/app, as a text or Redacted",
  accepts: (url) => typeof url === "string" && url !== ""
}

/** The store with a pool of its own, which the program may use too. */
export const layerUrl = (
  options: ConnectionOptions
): Layer.Layer<ServerServices | Pg.PgClient | SqlClient, StoreError | StoreIncompatible | SqlError> => {
  const url = Redacted.isRedacted(options.url) ? options.url : Redacted.make(options.url)
  Bounds.demand("url", aUrl, Redacted.value(url) ?? "")
  const statementTimeoutMs = Math.ceil(Duration.toMillis(options.statementTimeout ?? defaultStatementTimeout))
  const lockTimeoutMs = Math.ceil(Duration.toMillis(options.lockTimeout ?? defaultLockTimeout))
  const address = Connection.addressOf(Redacted.value(url))
  const settings = {
    statement_timeout: String(statementTimeoutMs),
    lock_timeout: String(lockTimeoutMs),
    // forcing index scans inflates the costs of plans, which would trigger the JIT compiler
    jit: "off"
  }
  return Layer.unwrap(Effect.gen(function*() {
    // The server answers within the limit for statements, or it is not there any more
    const sockets = address === undefined ? {} : yield* Connection.watchedSockets(address, statementTimeoutMs * 1.5)
    const config = {
      url,
      ...sockets,
      maxConnections: options.maxConnections ?? 10,
      applicationName: options.applicationName ?? "taskforge",
      keepAlive: "10 seconds",
      startupParameters: settings
    } as const
    const route = yield* routeOf(config)
    const isPlain = route.takesParameters && !route.isShared
    const prepare = options.prepare ?? !route.isShared
    const client = Pg.layer({
      ...config,
      maxMessageSize,
      startupParameters: isPlain ? settings : undefined,
      prepare
    })
    // To migrate takes as long as it takes: no limit for a statement, and a server that is silent during it is not dead
    const untimed = { ...settings, statement_timeout: "0" }
    const patient = {
      client: Pg.layer({
        ...config,
        stream: undefined,
        maxConnections: 1,
        startupParameters: isPlain ? untimed : undefined,
        prepare
      }),
      local: isPlain ? {} : untimed
    }
    return Layer.provideMerge(Layer.effectContext(make(options, route, isPlain ? {} : settings, patient)), client)
  }))
}

/** Bytes of a row at most: more than the server can store. The client's own limit would make a larger row unreadable. */
const maxMessageSize = 2 ** 30

/** A statement that takes longer is given up, unless configured. */
const defaultStatementTimeout = Duration.seconds(30)

/** The same for one that waits for a lock. */
const defaultLockTimeout = Duration.seconds(5)

/** The same with options from configuration. */
export const layerConfig = (
  options: Config.Wrap<ConnectionOptions>
): Layer.Layer<
  ServerServices | Pg.PgClient | SqlClient,
  StoreError | StoreIncompatible | SqlError | Config.ConfigError
> => Layer.unwrap(Effect.map(Config.unwrap(options), layerUrl))

/** A client that waits as long as a migration takes. */
interface Patient {
  readonly client: Layer.Layer<Pg.PgClient, SqlError>
  readonly local: Database.LocalSettings
}

const make = Effect.fnUntraced(function*(
  options: Options,
  route: Connection.Route,
  local: Database.LocalSettings = {},
  patient?: Patient
): Effect.fn.Return<Context.Context<ServerServices>, StoreError | StoreIncompatible, Scope.Scope | Pg.PgClient> {
  const { capacity: maxUnfinished, headStartMs, maxCrashes } = demandSettings(options, names)
  const client = yield* Pg.PgClient
  const name = options.schema ?? defaultSchema
  yield* check(client, name)

  const clock = yield* Clock.Clock
  const refusals = new Refusals(clock)
  const database = Database.make(client, name, local, refusals)
  yield* Server.check(database)
  const forMigrating = patient === undefined
    ? Effect.succeed(database)
    : Layer.build(patient.client).pipe(
      Effect.map((context) => Database.make(Context.get(context, Pg.PgClient), name, patient.local)),
      Effect.mapError((error) => Failure.storeError("migrate", error))
    )
  yield* Effect.scoped(Migrations.migrate(database, name, forMigrating, options.readOnly))
  if (options.readOnly !== true) yield* Server.bringSequencesForward(database, name)
  yield* Server.agreeOnHeadStart(database, headStartMs)

  const tally = Tally.make(database, clock)
  // An exact counter would be a row that an application's transaction keeps locked. It is counted before anything is refused
  const capacity = new Budget(maxUnfinished, tally.unfinished, clock, 0)
  yield* capacity.measureFor(0)
  const budget = options.maxBytes === undefined ? undefined : new Budget(options.maxBytes, tally.bytes, clock)
  if (budget !== undefined) yield* budget.measureFor(0)
  const notifier = yield* Hints.make(client, name, route.isShared)
  const dependencies = Dependencies.make(database, headStartMs, clock, notifier.publish(work))
  const tasks = Task.make(database, headStartMs, dependencies)
  const enqueueOnce = Enqueue.make(database, tasks, dependencies, capacity, headStartMs, budget)
  // the server may have become another one while the process ran: one whose sequences are behind
  const numbering = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E | StoreError>) =>
    Effect.catchIf(
      effect,
      Failure.isNumberTaken,
      (error) =>
        Effect.flatMap(
          database.inTransaction,
          (inside): Effect.Effect<A, E | StoreError> =>
            inside ? Effect.fail(error) : Effect.andThen(Server.bringSequencesForward(database, name), effect)
        )
    )
  const enqueueNow: typeof enqueueOnce = (groups) => numbering(enqueueOnce(groups))
  const attempt = Attempt.make(database, tasks, dependencies, maxCrashes, headStartMs, notifier.publish(work))
  const operate = Operate.make(database, tasks, dependencies, capacity, tally)
  const read = Read.make(database)

  const enqueueing = {
    operation: "enqueue",
    run: enqueueNow,
    weightOf: weights.ofGroup,
    max: maxTasksAtOnce,
    isOneCallersOwn: Failure.isOneCallersOwn
  }
  const enqueueLater = yield* Coalescer.inTurns(enqueueing)
  const enqueueKeyedLater = yield* Coalescer.inTurns(enqueueing)
  const settleLater = yield* Coalescer.inTurns({
    operation: "settle",
    run: attempt.settle,
    weightOf: weights.ofEnd,
    max: maxTasksAtOnce,
    isOneCallersOwn: Failure.isOneCallersOwn
  })

  const budgets = budget === undefined ? [capacity] : [capacity, budget]
  const records = Records.make(database, { settle: attempt.settle, enqueue: enqueueOnce, dependencies, budgets })

  const claim = Claim.make(database, operate.expire, dependencies)
  const { laneCounts, stranded } = Lanes.make(database)
  const store = TaskStore.of({
    ...attempt,
    ...operate,
    ...read,
    ...Passes.make(database),
    awaitResults: (ids, maxBytes) =>
      Effect.tap(read.results(ids, maxBytes), (outcomes) =>
        Effect.sync(() => {
          notifier.awaiting(outcomes.flatMap((outcome, index) => outcome === undefined ? [ids[index]!] : []))
        })),
    enqueue: (groups) =>
      Effect.flatMap(database.inTransaction, (inside) =>
        inside
          ? enqueueNow(groups)
          : groups.some((group) => group.some(({ key }) => key !== null))
          ? enqueueKeyedLater(groups)
          : enqueueLater(groups)),
    settle: (settlements) =>
      Effect.flatMap(
        database.inTransaction,
        (inside) => inside ? attempt.settle(settlements) : settleLater(settlements)
      ),
    claim,
    announcesRoom: true,
    edges: dependencies.edges,
    links: dependencies.links,
    tell: dependencies.tell,
    consequences: () => dependencies.aftermath.take(),
    inTransaction: database.inTransaction,
    afterCommit: client.afterCommit,
    stranded: (runnable, limit) => Effect.andThen(claim(promotion), stranded(runnable, limit)),
    archive: Archive.make(database, tasks),
    writeHealth: yield* Server.writeHealth(database, refusals, Migrations.isOwn(database.schema)),
    counts: tally.counts(maxUnfinished),
    laneCounts
  })
  return Context.make(TaskStore, store).pipe(
    Context.add(Notifier, notifier),
    Context.add(InstanceStore, Instances.make(database)),
    Context.add(RecordStore, {
      ...records,
      atomically: (nonce, parts) => numbering(records.atomically(nonce, parts))
    }),
    Context.add(EventLog, Events.make(database)),
    Context.add(RateLimiterStore, yield* RateLimits.make(database))
  )
}, apart)

/** What cannot work is said at once, not found out under load. */
const check = (client: Pg.PgClient, schema: string): Effect.Effect<void, StoreIncompatible> => {
  const { maxConnections }: Pg.PgPoolConfig = client.config
  const reason = maxConnections !== undefined && maxConnections < fewestConnections
    ? `The pool has ${maxConnections} connections at most; the store needs ${fewestConnections}: one listens, one is ` +
      "in a transaction, one is free"
    : schema === "" || Buffer.byteLength(schema) > 63
    ? `The schema name ${JSON.stringify(schema)} cannot be used; a name has between 1 and 63 bytes`
    : schema.includes("'")
    ? `The schema name ${JSON.stringify(schema)} cannot be used; it has an apostrophe`
    : undefined
  return reason === undefined ? Effect.void : Effect.fail(new StoreIncompatible({ reason }))
}
