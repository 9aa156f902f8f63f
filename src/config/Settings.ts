/**
 * The server's configuration: every setting read and checked, or one error that tells everything that is wrong.
 */
import { Array as List, type Config, Effect } from "effect"
import { InvalidSettings } from "./InvalidSettings.ts"
import { read, type Reading, type Setting, show } from "./Setting.ts"
import { table } from "./SettingsTable.ts"
import { parse as parseStoreUrl, type StoreUrl } from "./StoreUrl.ts"

/** The value of each setting, as the table says it. */
type Values = {
  readonly [Name in keyof typeof table]: (typeof table)[Name] extends Setting<infer A> ? A : never
}

/** A configuration that makes sense: the value of each setting, and the two that depend on others. */
export interface Settings extends Omit<Values, "workers" | "store" | "databaseUrl" | "redisUrl"> {
  readonly workers: number
  readonly store: StoreUrl
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
    ...[tooManyWorkers, tooFewSlots, tooManyReserved, unclearStore].flatMap((check) => check(readings) ?? [])
  ]
  return List.isReadonlyArrayNonEmpty(problems) ? yield* new InvalidSettings({ problems }) : combine(readings)
})

/** What was read for each setting of the table. */
type Readings = { readonly [Name in keyof Values]: Reading<Values[Name]> }

const readAll = Effect.all(
  Object.fromEntries(Object.entries(table).map(([name, setting]) => [name, read<unknown>(setting)]))
) as Effect.Effect<Readings, Config.ConfigError>

const tooManyWorkers = ({ maxConcurrency, workers }: Readings): string | undefined =>
  workers._tag === "Value" && workers.from !== undefined && maxConcurrency._tag === "Value" &&
    workers.value! > maxConcurrency.value
    ? `${show(workers.from)}: expected at most WORKER_MAX_CONCURRENCY, which is ${maxConcurrency.value}`
    : undefined

/** What is wrong with the minimum of slots. */
const tooFewSlots = ({ maxConcurrency, minConcurrency, workers }: Readings): string | undefined => {
  if (minConcurrency._tag !== "Value" || minConcurrency.from === undefined) return undefined
  const min = minConcurrency.value!
  if (maxConcurrency._tag === "Value" && min > maxConcurrency.value) {
    return `${show(minConcurrency.from)}: expected at most WORKER_MAX_CONCURRENCY, which is ${maxConcurrency.value}`
  }
  return workers._tag === "Value" && workers.from !== undefined && workers.value! < min
    ? `${show(workers.from)}: expected at least WORKER_MIN_CONCURRENCY, which is ${min}`
    : undefined
}

/** What is wrong with the slots that are kept for queues. */
const tooManyReserved = ({ maxConcurrency, minConcurrency, queues, shares, workers }: Readings): string | undefined => {
  if (shares._tag !== "Value" || shares.from === undefined) return undefined
  const said = Object.entries(shares.value!)
  const cramped = said.find(([, { max = Infinity, reserved = 0 }]) => max < reserved)
  if (cramped !== undefined) return `${show(shares.from)}: expected max of ${cramped[0]} to be at least its reserved`
  const known = queues._tag === "Value" ? queues.value : undefined
  const unknown = said.find(([queue]) => known !== undefined && queue !== "*" && !known.includes(queue))
  if (unknown !== undefined) {
    return `${show(shares.from)}: expected queues that TASKFORGE_QUEUES names, which ${unknown[0]} is not`
  }
  if (workers._tag !== "Value" || minConcurrency._tag !== "Value" || maxConcurrency._tag !== "Value") return undefined
  const slots = minConcurrency.value ?? workers.value ?? Math.min(defaultWorkers, maxConcurrency.value)
  const reserved = said.reduce((sum, [, share]) => sum + (share.reserved ?? 0), 0)
  return reserved > slots
    ? `${show(shares.from)}: expected at most ${slots} reserved slots together, which is the number of slots`
    : undefined
}

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
  ) as Values
  return {
    ...values,
    workers: values.workers ??
      Math.max(values.minConcurrency ?? 1, Math.min(defaultWorkers, values.maxConcurrency)),
    store: values.store ?? parseStoreUrl(values.databaseUrl ?? values.redisUrl ?? "") ?? defaultStore
  }
}
