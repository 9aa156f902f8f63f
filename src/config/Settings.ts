/**
 * The server's configuration: every setting read and checked, or one error that tells everything that is wrong.
 */
import { Array as List, type Config, type Duration, Effect, type LogLevel, type Redacted } from "effect"
import type { IpNetwork } from "effect/net"
import { InvalidSettings } from "./InvalidSettings.ts"
import { read, type Reading, type Setting, show } from "./Setting.ts"
import type { Rate } from "./SettingSchemas.ts"
import { table } from "./SettingsTable.ts"
import { parse as parseStoreUrl, type StoreUrl } from "./StoreUrl.ts"

/** A configuration that makes sense. */
export interface Settings {
  /** Where to listen; `undefined` depends on who may come, see `ListenAddress`. */
  readonly host: string | undefined
  /** A key of the role admin that is not in the store. */
  readonly adminKey: Redacted.Redacted<string> | undefined
  /** Callers need a key, also while there is none. */
  readonly requireKeys: boolean
  /** Names that the server goes by. */
  readonly allowedHosts: ReadonlyArray<string> | undefined
  /** Other machines may use the server without keys. */
  readonly insecure: boolean
  readonly ratePerAddress: Rate | undefined
  readonly ratePerKey: Rate | undefined
  readonly allowedOrigins: ReadonlyArray<string> | undefined
  readonly trustedProxies: ReadonlyArray<IpNetwork.IpNetwork> | undefined
  readonly maxConnections: number
  readonly requestLog: boolean
  readonly port: number
  readonly workers: number
  /** Queues to work on; `undefined` is all. */
  readonly queues: ReadonlyArray<string> | undefined
  readonly jobTimeout: Duration.Duration
  readonly retryAttempts: number
  readonly store: StoreUrl
  /** Tells queues on one server apart. */
  readonly namespace: string
  readonly postgresConnections: number
  readonly postgresPrepare: "auto" | "on" | "off"
  /** Unfinished tasks accepted at most; `undefined` is the store's default. */
  readonly queueSize: number | undefined
  /** Bytes that tasks may have together, in MiB; `undefined` is the store's default. */
  readonly queueMaxSize: number | undefined
  readonly sqliteSync: "full" | "normal"
  readonly logLevel: LogLevel.LogLevel
  readonly logFormat: "auto" | "pretty" | "json"
  readonly lease: Duration.Duration
  readonly pollInterval: Duration.Duration
  readonly shutdown: Duration.Duration
  readonly headStart: Duration.Duration
  readonly maxCrashes: number
  readonly keepFinished: Duration.Duration
  readonly keepFailed: Duration.Duration
  readonly maxFinished: number
  readonly maxKeyedFinished: number
  /** Threads for tasks that compute; `undefined` is one per processor. */
  readonly threads: number | undefined
  /** Heap of one thread, in MiB. */
  readonly threadMemory: number
  /** Folders that tasks may use. */
  readonly folders: ReadonlyArray<string>
  readonly outboundAllow: ReadonlyArray<string> | undefined
  readonly outboundTimeout: Duration.Duration
  /** Bytes of an answer, in MiB. */
  readonly outboundMaxSize: number
  readonly outboundRedirects: number
  readonly webhookSecret: Redacted.Redacted<string> | undefined
  readonly smtpUrl: Redacted.Redacted<string> | undefined
  readonly smtpTls: "offered" | "required"
  readonly mailFrom: string
  readonly outbox: string
  readonly imageMaxPixels: number
  /** Bytes of an image file, in MiB. */
  readonly imageMaxSize: number
}

/** Where tasks are kept when nothing is said. */
const defaultStore = { _tag: "Sqlite", path: "data/taskforge.db" } as const

/** Slots when nothing is said and the ceiling allows. */
const defaultWorkers = 10

/** Reads the configuration from the current `ConfigProvider`. */
export const load: Effect.Effect<Settings, InvalidSettings | Config.ConfigError> = Effect.gen(function*() {
  const readings = yield* readAll
  const problems = [
    ...Object.values(readings).flatMap((reading) => reading._tag === "Problem" ? reading.problems : []),
    ...[tooManyWorkers, unclearStore].flatMap((check) => check(readings) ?? [])
  ]
  return List.isReadonlyArrayNonEmpty(problems) ? yield* new InvalidSettings({ problems }) : combine(readings)
})

/** What was read for each setting of the table. */
type Readings = {
  readonly [Name in keyof typeof table]: (typeof table)[Name] extends Setting<infer A> ? Reading<A> : never
}

const readAll = Effect.all(
  Object.fromEntries(Object.entries(table).map(([name, setting]) => [name, read<unknown>(setting)]))
) as Effect.Effect<Readings, Config.ConfigError>

const tooManyWorkers = ({ maxConcurrency, workers }: Readings): string | undefined =>
  workers._tag === "Value" && workers.from !== undefined && maxConcurrency._tag === "Value" &&
    workers.value! > maxConcurrency.value
    ? `${show(workers.from)}: expected at most WORKER_MAX_CONCURRENCY, which is ${maxConcurrency.value}`
    : undefined

/** What is wrong with the short names of a store, which count where `STORE_URL` is not set. */
const unclearStore = ({ databaseUrl, redisUrl, store }: Readings): string | undefined => {
  if (store._tag === "Problem" || store.from !== undefined) return undefined
  if (databaseUrl._tag === "Problem" || redisUrl._tag === "Problem") return undefined
  if (databaseUrl.from !== undefined && redisUrl.from !== undefined) {
    return `${show(databaseUrl.from)} and ${show(redisUrl.from)}: both name a store; set STORE_URL to say which it is`
  }
  for (
    const [{ from }, kind, { expected }] of [
      [databaseUrl, "PostgreSQL", table.databaseUrl],
      [redisUrl, "Redis", table.redisUrl]
    ] as const
  ) {
    if (from !== undefined && parseStoreUrl(from.text)?._tag !== kind) return `${show(from)}: expected ${expected}`
  }
  return undefined
}

/** The settings, when there is no problem with any. */
const combine = (readings: Readings): Settings => {
  const values = Object.fromEntries(
    Object.entries(readings).map(([name, reading]) => [name, reading._tag === "Value" ? reading.value : undefined])
  ) as { readonly [Name in keyof Readings]: Extract<Readings[Name], { readonly _tag: "Value" }>["value"] }
  return {
    ...values,
    workers: values.workers ?? Math.min(defaultWorkers, values.maxConcurrency),
    store: values.store ?? parseStoreUrl(values.databaseUrl ?? values.redisUrl ?? "") ?? defaultStore
  }
}
