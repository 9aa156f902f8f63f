/** The levels of the log by module, as operators set them while instances run: for all instances, or for one. */
import { type DateTime, Duration, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InstanceNotFound, InvalidOption, type StoreError } from "../domain/Errors.ts"
import * as Levels from "../domain/LogLevels.ts"
import * as LogLevelText from "../domain/LogLevelText.ts"
import * as LogModule from "../domain/LogModule.ts"
import { nearest } from "../domain/Quoting.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import * as StoredType from "../domain/StoredType.ts"
import * as LogLevelRecords from "../logs/LogLevelRecords.ts"
import type { InstanceStore } from "../store/InstanceStore.ts"
import { RecordStore } from "../store/RecordStore.ts"

/** A level that an operator has set. Times are by the store's clock. */
export interface SetLogLevel {
  readonly module: string
  readonly level: Levels.Level
  readonly by: string | null
  readonly since: DateTime.Utc
  /** When it ends by itself; `null` when it waits to be unset. */
  readonly until: DateTime.Utc | null
}

/** What is set for all instances, or for one. */
export interface LogLevelSettings {
  /** By the names of the modules. */
  readonly levels: ReadonlyArray<SetLogLevel>
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** For whom levels are set, who sets them, and for how long. */
export interface LogLevelOptions {
  /** The id of the one instance that obeys; all when left out. */
  readonly instance?: string | undefined
  /** Who sets them. Over HTTP, the name of a key takes its place. */
  readonly by?: string | undefined
  /** How long they hold; until they are unset when left out. Not together with `until`. */
  readonly for?: Duration.Input | undefined
  /** When they end: a time that has not passed by the store's clock. Not together with `for`. */
  readonly until?: DateTime.DateTime | undefined
}

/** Which levels are unset. */
export interface UnsetLogLevels {
  /** Those that were set for this instance; those for all when left out. */
  readonly instance?: string | undefined
  /** Those of these modules; all that are set when left out. */
  readonly modules?: ReadonlyArray<string> | undefined
}

/** The part of `TaskQueue` that sets levels of the log. Instances obey within a third of a lease. */
export interface LogLevels {
  /** What is set for all instances, or for one. */
  readonly logLevels: (instance?: string) => Effect.Effect<LogLevelSettings, InvalidOption | StoreError>
  /**
   * Sets levels by module, `*` for all modules that are not named; those of other modules stay. The most exact name counts; of the same
   * name, what is set for the instance comes before what is set for all, and that before what was said at its start.
   *
   * @example
   * ```ts
   * const look = TaskQueue.use((queue) =>
   *   queue.setLogLevels({ claimer: "debug", "handlers:email": "trace" }, { for: "10 minutes" })
   * )
   * ```
   */
  readonly setLogLevels: (
    levels: Levels.Levels,
    options?: LogLevelOptions
  ) => Effect.Effect<void, InstanceNotFound | InvalidOption | StoreError>
  /** Forgets what was set. */
  readonly unsetLogLevels: (which?: UnsetLogLevels) => Effect.Effect<void, InvalidOption | StoreError>
}

const optionBounds: { readonly [Name in keyof LogLevelOptions]-?: Bounds.Bound<any> } = {
  instance: Bounds.name,
  by: Bounds.name,
  for: Bounds.timeout,
  until: Bounds.runAt
}

const refused = (option: string, found: string, expected: string) =>
  Effect.fail(new InvalidOption({ option, found, expected, index: 0 }))

/** Levels and options, unless one is unknown or outside of its bound. */
export const check = Effect.fnUntraced(function*(levels: Levels.Levels, options: LogLevelOptions) {
  const invalid = Bounds.refuseUnknown(options, optionBounds) ??
    Bounds.refuse("instance", optionBounds.instance, options.instance) ??
    Bounds.refuse("by", optionBounds.by, options.by) ?? Bounds.refuse("for", optionBounds.for, options.for) ??
    Bounds.refuse("until", optionBounds.until, options.until) ??
    (options.for !== undefined && options.until !== undefined
      ? new InvalidOption({ option: "for", found: "given with until", expected: "one of both", index: 0 })
      : undefined)
  if (invalid !== undefined) return yield* invalid
  const entries = Object.entries(levels)
  if (entries.length === 0 || entries.length > Levels.maxModules) {
    return yield* refused("levels", `${entries.length} modules`, `1 to ${Levels.maxModules} modules with their levels`)
  }
  for (const [module, level] of entries) yield* checkEach(module, String(level))
  return Object.fromEntries(entries.map(([module, level]) => [LogModule.normalized(module), level]))
})

const checkEach = (module: string, level: string) => {
  const name = LogModule.normalized(module)
  const problem = LogModule.problemOf(name)
  if (problem !== undefined) return refused("levels", Bounds.foundOf(module), `a module: ${problem}`)
  const wrong = LogLevelText.problemOf(level)
  if (wrong !== undefined) return refused("levels", Bounds.foundOf(level), `a level: ${wrong}`)
  const type = LogModule.typeOf(name)
  return type === undefined || Bounds.name.accepts(type)
    ? Effect.void
    : refused("levels", Bounds.foundOf(module), `a type of ${Bounds.name.expected}`)
}

/** These operations on a store. */
export const make = (instances: InstanceStore["Service"], records: RecordStore["Service"]): LogLevels => {
  const onRecords = Effect.provideService(RecordStore, records)

  /** A handler of a type that no instance runs is most likely misspelt; an instance that is not there certainly is. */
  const demandKnown = Effect.fnUntraced(function*(levels: Levels.Levels, instance: string | undefined) {
    const { instances: living } = yield* instances.list
    const told = instance === undefined ? living : living.filter(({ id }) => id === instance)
    if (instance !== undefined && told.length === 0) return yield* new InstanceNotFound({ id: instance })
    if (instance !== undefined && told[0]!.logLevels === undefined) {
      const expected = "an instance whose log has levels by module: a server does, a program with LogLevels.layer too"
      return yield* refused("instance", `${instance} of version ${told[0]!.version}`, expected)
    }
    const types = [...new Set(told.flatMap((one) => StoredType.namesOf(one.types)))]
    if (types.length === 0) return
    for (const module of Object.keys(levels)) {
      const type = LogModule.typeOf(module)
      if (type === undefined || types.includes(type)) continue
      const meant = nearest(type, types)
      const expected = `a type that ${instance ?? "a living instance"} runs` +
        (meant === undefined ? "" : `; did you mean handlers:${meant}?`)
      return yield* refused("levels", Bounds.foundOf(module), expected)
    }
  })

  return {
    logLevels: Effect.fnUntraced(function*(instance) {
      yield* Bounds.check("instance", Bounds.name, instance)
      const { levels, now } = yield* onRecords(LogLevelRecords.get(instance))
      return {
        now: utc(now),
        levels: levels.map(({ since, until, ...level }) => ({ ...level, since: utc(since), until: utcOrNull(until) }))
      }
    }),
    setLogLevels: Effect.fnUntraced(function*(levels, options = {}) {
      const said = yield* check(levels, options)
      yield* demandKnown(said, options.instance)
      const { by, for: time, instance, until } = options
      yield* onRecords(LogLevelRecords.set(instance, said, {
        by,
        forMs: time === undefined ? undefined : Math.ceil(Duration.toMillis(time)),
        until: until === undefined ? undefined : Math.ceil(until.epochMilliseconds)
      }))
      if (instance !== undefined) yield* onRecords(LogLevelRecords.forgetGone(instances))
    }),
    unsetLogLevels: Effect.fnUntraced(function*({ instance, modules } = {}) {
      yield* Bounds.check("instance", Bounds.name, instance)
      for (const module of modules ?? []) {
        const problem = LogModule.problemOf(LogModule.normalized(module))
        if (problem !== undefined) return yield* refused("modules", Bounds.foundOf(module), `modules: ${problem}`)
      }
      yield* onRecords(LogLevelRecords.unset(instance, modules?.map(LogModule.normalized)))
    })
  }
}
