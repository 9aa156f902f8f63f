/**
 * Keeps the engine's loops alive and knows which of them is in trouble.
 *
 * A loop's step that fails is logged, counted and tried again with backoff; until it succeeds, health is red and
 * names the loop and the reason. A part whose steps do not fail may stand still all the same: it is asked each time troubles are read.
 */
import {
  Cause,
  Clock,
  Context,
  type DateTime,
  Duration,
  Effect,
  Exit,
  Layer,
  Metric,
  Schedule,
  type Scope
} from "effect"
import { StoreError } from "../domain/Errors.ts"
import * as LogModule from "../domain/LogModule.ts"
import { utc, utcNow } from "../domain/StoredTime.ts"
import * as Metrics from "./Metrics.ts"

/** A part of the engine that does not work at the moment. */
export interface Trouble {
  /** The loop's name, such as `claimer`. */
  readonly part: string
  /** Why its last step failed. */
  readonly reason: string
  /** What to do about it, where the error says so. */
  readonly advice?: string | undefined
  readonly since: DateTime.Utc
  /** Failed steps in a row. */
  readonly failures: number
}

/** That a part does not get on, although none of its steps fails. */
export interface Stall {
  readonly reason: string
  readonly advice: string
  /** How long it has not. */
  readonly lasts: Duration.Duration
}

const failedSteps = Metrics.counters("taskforge_loop_failures_total", "Steps of background loops that failed")

/** Waits between failed steps: doubling from 50 ms to 5 s. */
const backoff = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")])

/** Runs loops and answers what is wrong with them. */
export class Supervisor extends Context.Service<Supervisor, {
  /**
   * Repeats `step` until the scope closes, whatever it fails with. `when` is waited for before each step, but not before one that is
   * tried again: a trouble ends with the work, and does not last until there is some more. `maxBackoff` is the longest wait between failed
   * steps, 5 s by default.
   */
  readonly loop: <E, R>(
    part: string,
    step: Effect.Effect<unknown, E, R>,
    options?: { readonly when?: Effect.Effect<unknown> | undefined; readonly maxBackoff?: Duration.Input | undefined }
  ) => Effect.Effect<void, never, R | Scope.Scope>
  /** The same for a step that answers how many milliseconds to wait before the next one, `Infinity` where there is none. */
  readonly rounds: <E, R>(
    part: string,
    round: Effect.Effect<number, E, R>,
    options?: { readonly maxBackoff?: Duration.Input | undefined }
  ) => Effect.Effect<void, never, R | Scope.Scope>
  /** Reports a trouble that stays until the process is started again, and warns of it in the log. */
  readonly warn: (
    trouble: { readonly part: string; readonly reason: string; readonly advice: string }
  ) => Effect.Effect<void>
  /**
   * Asks a part whether it gets on, each time troubles are read, until the scope closes. A loop of the same name whose steps fail
   * is told of instead.
   */
  readonly watch: (part: string, look: () => Stall | undefined) => Effect.Effect<void, never, Scope.Scope>
  /** The loops whose last step failed, the parts that stand still, and the troubles that stay. */
  readonly troubles: Effect.Effect<ReadonlyArray<Trouble>>
}>()("taskforge/observability/Supervisor") {
  /** The one supervisor of an engine. */
  static readonly layer: Layer.Layer<Supervisor> = Layer.effect(
    Supervisor,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const troubles = new Map<string, Trouble>()
      const watches = new Map<string, { readonly module: string; readonly look: () => Stall | undefined }>()
      /** Parts that stood still when troubles were read last. */
      const stalled = new Set<string>()

      const failed = Effect.fnUntraced(function*(part: string, cause: Cause.Cause<unknown>) {
        const before = troubles.get(part)
        const reason = Cause.prettyErrors(cause)[0]?.message ?? "unknown"
        const advice = adviceOf(cause)
        troubles.set(part, {
          part,
          reason,
          ...(advice === undefined ? {} : { advice }),
          since: before?.since ?? utcNow(clock),
          failures: (before?.failures ?? 0) + 1
        })
        yield* Metric.update(failedSteps({ part }), 1)
        // A store that is down for an hour should not write an hour of stacks.
        if (before === undefined) {
          const sentence = advice === undefined ? reason : `${reason}. What to do: ${advice}`
          yield* Effect.logError(`${part} failed: ${sentence}`, cause)
        } else yield* Effect.logDebug(`${part} still fails: ${reason}`)
      })

      const recovered = (part: string) => troubles.delete(part) ? Effect.logInfo(`${part} works again`) : Effect.void

      const stallOf = Effect.fnUntraced(function*(part: string, look: () => Stall | undefined) {
        const stall = troubles.has(part) ? undefined : look()
        if (stall === undefined) {
          if (stalled.delete(part)) yield* Effect.logInfo(`${part} works again`)
          return []
        }
        const { advice, lasts, reason } = stall
        if (!stalled.has(part)) {
          stalled.add(part)
          yield* Effect.logError(`${part} stands still: ${reason}. What to do: ${advice}`)
        }
        const since = utc(clock.currentTimeMillisUnsafe() - Duration.toMillis(lasts))
        return [{ part, reason, advice, since, failures: 1 }]
      })

      const loop = Effect.fnUntraced(function*<E, R>(
        part: string,
        step: Effect.Effect<unknown, E, R>,
        { maxBackoff = "5 seconds", when = Effect.void }: {
          readonly when?: Effect.Effect<unknown> | undefined
          readonly maxBackoff?: Duration.Input | undefined
        } = {}
      ) {
        yield* Metric.update(failedSteps({ part }), 0)
        const attempt = Effect.exit(step).pipe(
          Effect.flatMap((exit) =>
            Exit.isSuccess(exit)
              ? recovered(part)
              : Effect.andThen(failed(part, exit.cause), Effect.fail(exit.cause))
          ),
          Effect.retry(Schedule.min([backoff, Schedule.spaced(maxBackoff)]))
        )
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(when, attempt), { disableYield: true }))
      })

      return Supervisor.of({
        loop,
        rounds: (part, round, options = {}) =>
          Effect.suspend(() => {
            let wait: Effect.Effect<void> = Effect.void
            const step = Effect.map(round, (ms) => {
              wait = ms === 0 ? Effect.yieldNow : ms === Infinity ? Effect.never : Effect.sleep(ms)
            })
            return loop(part, step, { ...options, when: Effect.suspend(() => wait) })
          }),
        warn: (trouble) =>
          Effect.suspend(() => {
            troubles.set(trouble.part, { ...trouble, since: utcNow(clock), failures: 1 })
            return Effect.logWarning(`${trouble.reason}. What to do: ${trouble.advice}`)
          }),
        watch: (part, look) =>
          Effect.acquireRelease(
            Effect.map(LogModule.Current, (module) => void watches.set(part, { module, look })),
            () => Effect.sync(() => void watches.delete(part))
          ),
        troubles: Effect.suspend(() =>
          Effect.map(
            Effect.forEach(
              [...watches],
              ([part, { look, module }]) =>
                // Who asks is another module
                Effect.updateContext(stallOf(part, look), (context) => LogModule.addTo(context, module))
            ),
            (stalls) => [...troubles.values(), ...stalls.flat()]
          )
        )
      })
    })
  )
}

const adviceOf = ({ reasons }: Cause.Cause<unknown>): string | undefined =>
  reasons.flatMap((reason) =>
    Cause.isFailReason(reason) && reason.error instanceof StoreError ? [reason.error.advice] : []
  )[0]
