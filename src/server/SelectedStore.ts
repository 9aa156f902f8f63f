/**
 * The store that the settings name. The driver of a server is loaded when it is chosen, and not before: who keeps tasks
 * in memory or in a file neither installs nor loads it.
 */
import { Duration, Effect, Layer, Schema } from "effect"
import * as Mark from "../backup/Mark.ts"
import type { Settings } from "../config/Settings.ts"
import * as StoreUrl from "../config/StoreUrl.ts"
import * as MemoryStore from "../store/memory/MemoryStore.ts"
import * as SqliteStore from "../store/sqlite/SqliteStore.ts"

/** What the choice of a store depends on. */
export type Choice = Pick<
  Settings,
  | "headStart"
  | "lease"
  | "maxCrashes"
  | "namespace"
  | "postgresConnections"
  | "postgresPrepare"
  | "queueMaxSize"
  | "queueSize"
  | "sqliteSync"
  | "store"
>

/** The library that a driver stands on is not installed. */
export class DriverMissing extends Schema.TaggedError<DriverMissing>()("DriverMissing", {
  store: Schema.String,
  packages: Schema.String
}) {
  override get message(): string {
    return `The ${this.store} store needs a library that is not installed: npm install ${this.packages}`
  }
}

/** How long an answer of a server is waited for, unless the lease is short. */
const maxAnswerTime = Duration.seconds(5)

/** How a store is opened. */
export interface Use {
  /** See `StoreSettings`. */
  readonly readOnly?: boolean
  /** Whether it may be one that is not whole, or has moved. */
  readonly mayBeMarked?: boolean
}

/** The store, open as long as its scope. One that is not whole or has moved is refused, unless it may be such a one. */
export const layer = (choice: Choice, { mayBeMarked = false, readOnly = false }: Use = {}) =>
  mayBeMarked
    ? driver(choice, readOnly)
    : Layer.provideMerge(Layer.effectDiscard(Mark.refuse(StoreUrl.format(choice.store))), driver(choice, readOnly))

const driver = (choice: Choice, readOnly: boolean) => {
  const { headStart, maxCrashes, namespace, queueMaxSize, queueSize, store } = choice
  const answerWithin = Duration.min(maxAnswerTime, Duration.divideUnsafe(choice.lease, 3))
  const maxBytes = queueMaxSize === undefined ? undefined : queueMaxSize * 1024 * 1024
  const shared = { capacity: queueSize, maxBytes, headStart, maxCrashes, readOnly }
  switch (store._tag) {
    case "Memory":
      return MemoryStore.layer(shared)
    case "Sqlite":
      return SqliteStore.layer({ ...shared, path: store.path, synchronous: choice.sqliteSync })
    case "PostgreSQL":
      return Layer.unwrap(Effect.map(
        load("PostgreSQL", "@effect/sql-pg", () => import("../store/postgres/PostgresStore.ts")),
        ({ layerUrl }) =>
          layerUrl({
            ...shared,
            url: store.url,
            schema: namespace,
            maxConnections: choice.postgresConnections,
            prepare: choice.postgresPrepare === "auto" ? undefined : choice.postgresPrepare === "on",
            statementTimeout: answerWithin
          })
      ))
    case "Redis":
      return Layer.unwrap(Effect.map(
        load("Redis", "redis", () => import("../store/redis/RedisStore.ts")),
        ({ layerUrl }) => layerUrl({ ...shared, url: store.url, prefix: namespace, answerWithin })
      ))
  }
}

/** Loads a driver. That the library is missing is the operator's to mend, anything else is a defect. */
export const load = <Module>(
  store: string,
  packages: string,
  driver: () => Promise<Module>
): Effect.Effect<Module, DriverMissing> =>
  Effect.tryPromise({ try: driver, catch: (cause) => new LoadFailed({ cause }) }).pipe(
    Effect.catch((error) =>
      isMissing(error.cause) ? Effect.fail(new DriverMissing({ store, packages })) : Effect.die(error.cause)
    )
  )

class LoadFailed extends Schema.TaggedError<LoadFailed>()("LoadFailed", { cause: Schema.Defect() }) {}

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause &&
  (cause.code === "ERR_MODULE_NOT_FOUND" || cause.code === "MODULE_NOT_FOUND")
