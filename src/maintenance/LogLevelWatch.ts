/**
 * Gives the log the levels that operators have set for this instance and for all. It reads them three times per lease. A level that holds for a time ends at
 * its time, also while the store is out of reach.
 */
import { Clock, Duration, Effect, Layer, References } from "effect"
import * as LogLevels from "../domain/LogLevels.ts"
import * as LogLevelText from "../domain/LogLevelText.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import * as LogLevelRecords from "../logs/LogLevelRecords.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { Instance } from "../store/InstanceStore.ts"
import type { RecordStore } from "../store/RecordStore.ts"

/** How the watch works. */
export interface Options {
  /** The instances' lease. Default 15 s. */
  readonly lease?: Duration.Input | undefined
}

/** A level, and when it ends by the monotonic clock of this process. */
interface Timed {
  readonly module: string
  readonly level: LogLevels.Level
  readonly endsAt: number
}

/** Watches until the scope closes. Does nothing where the program has its own way to log. */
export const layer = ({ lease = "15 seconds" }: Options = {}): Layer.Layer<
  never,
  never,
  RecordStore | Supervisor | Instance
> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const levels = yield* LogLevels.Current
    if (levels === undefined) return
    const { id } = yield* Instance
    const supervisor = yield* Supervisor
    const clock = yield* Clock.Clock
    const now = () => MonotonicClock.exactMillis(clock)
    const intervalMs = Duration.toMillis(lease) / 3
    /** What is set for this instance, and for all. */
    let known: ReadonlyArray<ReadonlyArray<Timed>> = []
    let told = LogLevelText.format(levels.held)

    /** Applies what has not ended, and answers when the next of it ends. */
    const apply = Effect.suspend(() => {
      known = known.map((source) => source.filter(({ endsAt }) => endsAt > now()))
      levels.say(known.map((source) => Object.fromEntries(source.map(({ level, module }) => [module, level]))))
      const held = LogLevelText.format(levels.held)
      const endsAt = Math.min(...known.flat().map((one) => one.endsAt))
      if (held === told) return Effect.succeed(endsAt)
      told = held
      // A reader of the log has to know from when on lines are missing
      return Effect.as(
        Effect.provideService(Effect.logInfo(`levels of the log: ${held}`), References.MinimumLogLevel, "Info"),
        endsAt
      )
    })

    const look = Effect.gen(function*() {
      const found = yield* LogLevelRecords.getFor(id)
      const timed = (levels: ReadonlyArray<LogLevelRecords.SetLevel>): ReadonlyArray<Timed> =>
        levels.map(({ level, module, until }) => ({
          module,
          level,
          endsAt: until === null ? Infinity : now() + until - found.now
        }))
      known = [timed(found.own), timed(found.common)]
    })

    yield* supervisor.rounds(
      "log levels",
      Effect.gen(function*() {
        yield* Effect.onError(look, () => apply)
        const endsAt = yield* apply
        return Math.max(1, Math.min(intervalMs, Math.ceil(endsAt - now())))
      }),
      { maxBackoff: Math.min(intervalMs, 1000) }
    )
  }))
