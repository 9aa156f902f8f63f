/**
 * The levels of the log by module, which can change while the process runs. All loggers get all lines then, and the levels decide
 * which of them pass: a fiber that has begun long ago obeys a level that is set now.
 */
import { Context, Effect, type Fiber, Layer, Logger, LogLevel, References } from "effect"
import * as LogModule from "./LogModule.ts"

/** A level that a module can have, as settings, requests and commands write it. */
export const levels = ["trace", "debug", "info", "warn", "error", "fatal", "none"] as const

/** A level that a module can have. */
export type Level = typeof levels[number]

/** Levels by module; `*` stands for all that are not named. */
export type Levels = Readonly<Record<string, Level>>

/** Modules that have a level of their own at most, in one place where levels are said. */
export const maxModules = 50

/** The least important level that passes, in words of Effect. */
export const toEffect = (level: Level): LogLevel.LogLevel =>
  `${level.slice(0, 1).toUpperCase()}${level.slice(1)}` as LogLevel.LogLevel

/** A level of Effect as it is written. */
export const fromEffect = (level: LogLevel.LogLevel): Level =>
  levels.find((known) => toEffect(known) === level) ?? "trace"

/** With it, a fiber leaves it to the levels of the modules what it logs; code that sets any other minimum has that. */
const floor: LogLevel.LogLevel = "All"

/** Modules whose level is remembered at most: the types of handlers come from outside. */
const maxRemembered = 1000

/** The levels of this process. */
export class LogLevels {
  private readonly atStart: Levels
  private said: ReadonlyArray<Levels> = []
  private readonly known = new Map<string, LogLevel.LogLevel>()

  /** `atStart` has a level for `*`. */
  constructor(atStart: Levels) {
    this.atStart = atStart
  }

  /** What is said while the process runs: what comes first counts before what comes later, and all of it before the start. */
  say(said: ReadonlyArray<Levels>): void {
    this.said = said
    this.known.clear()
  }

  /** The level of a module: the most exact name counts, and of the same name what was said last. */
  of(module: string): LogLevel.LogLevel {
    const known = this.known.get(module)
    if (known !== undefined) return known
    if (this.known.size >= maxRemembered) this.known.clear()
    const level = this.find(module)
    this.known.set(module, level)
    return level
  }

  /** Whether lines of a module pass that have this level. */
  allows(module: string, level: LogLevel.LogLevel): boolean {
    return LogLevel.isGreaterThanOrEqualTo(level, this.of(module))
  }

  /** Whether a line passes. */
  passes({ fiber, logLevel }: Pick<Logger.Options<unknown>, "fiber" | "logLevel">): boolean {
    return fiber.cache.minimumLogLevel !== floor || this.allows(fiber.getRef(LogModule.Current), logLevel)
  }

  /** What holds now: the level of all modules that have one of their own, and of `*`. */
  get held(): Levels {
    const sources = [this.atStart, ...this.said.toReversed()]
    return Object.fromEntries(sources.flatMap((source) => Object.entries(source)))
  }

  private find(module: string): LogLevel.LogLevel {
    const names = LogModule.typeOf(module) === undefined
      ? [module, LogModule.others]
      : [module, "handlers", LogModule.others]
    for (const name of names) {
      for (const source of [...this.said, this.atStart]) {
        if (Object.hasOwn(source, name)) return toEffect(source[name]!)
      }
    }
    return "Info"
  }
}

/** The levels of the process; none where a program has its own way to log. */
export const Current: Context.Reference<LogLevels | undefined> = Context.Reference<LogLevels | undefined>(
  "taskforge/domain/LogLevels",
  { defaultValue: () => undefined }
)

/** Answers how to ask whether lines of a module pass that have a level: it is asked before work that only the line needs. */
export const probe = (module: LogModule.LogModule, level: LogLevel.LogLevel): Effect.Effect<() => boolean> =>
  Effect.withFiber((fiber) => {
    const levels = fiber.getRef(Current)
    const minimum = fiber.cache.minimumLogLevel
    const fixed = LogLevel.isGreaterThanOrEqualTo(level, minimum)
    return Effect.succeed(levels === undefined || minimum !== floor ? () => fixed : () => levels.allows(module, level))
  })

/** The least important level that passes in a fiber, as it is now. */
export const minimumOf = (fiber: Fiber.Fiber<unknown, unknown>): LogLevel.LogLevel => {
  const minimum = fiber.cache.minimumLogLevel
  return minimum === floor ? fiber.getRef(Current)?.of(fiber.getRef(LogModule.Current)) ?? minimum : minimum
}

/** What the levels are at the start. */
export interface Options {
  /** Of all modules that are not named. Default `info`. */
  readonly level?: Level | undefined
  /** Of single modules: `{ claimer: "debug", "handlers:email": "trace" }`. */
  readonly modules?: Levels | undefined
}

/**
 * Gives the modules of the engine levels of their own, for all loggers that there are: those of the start, and those that operators set
 * while it runs.
 *
 * @example
 * ```ts
 * const Live = Engine.layer(HandlersLive).pipe(
 *   Layer.provide(SqliteStore.layer({ path: "tasks.db" })),
 *   Layer.provide(LogLevels.layer({ level: "info", modules: { claimer: "debug" } }))
 * )
 * ```
 */
export const layer = ({ level = "info", modules = {} }: Options = {}): Layer.Layer<never> =>
  Layer.effectContext(Effect.withFiber((fiber) => {
    const levels = new LogLevels({ ...modules, [LogModule.others]: level })
    const loggers = [...fiber.getRef(Logger.CurrentLoggers)].map((logger) =>
      Logger.make<unknown, unknown>((line) => levels.passes(line) ? logger.log(line) : undefined)
    )
    return Effect.succeed(
      Context.empty().pipe(
        Context.add(Current, levels),
        Context.add(Logger.CurrentLoggers, new Set(loggers)),
        Context.add(References.MinimumLogLevel, floor)
      ) as Context.Context<never>
    )
  }))
