/** What a handler can do about steps, wherever it runs. */
import { Context, type Duration, Effect } from "effect"
import type { StepCodec } from "./StepCodec.ts"

/** What runs the steps of a task. */
export interface StepRunner {
  /** Runs a step, or gives what it gave in an earlier attempt. */
  readonly run: <A, E, R, B, E2>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    codec: StepCodec<B, E2>
  ) => Effect.Effect<B, E | E2, R>
  /** Ends the attempt, unless the time has passed since the first attempt that came here. */
  readonly sleep: (name: string, duration: Duration.Input) => Effect.Effect<void>
  /** Ends the attempt until a signal is completed; fails with `SignalTimedOut` if it is not in time. Without an event's token it is the task's own. */
  readonly waitFor: <A, E>(
    name: string,
    signal: { readonly name: string; readonly token?: string | undefined },
    codec: StepCodec<A, E>,
    timeout?: Duration.Input
  ) => Effect.Effect<A, E>
  /** The token of the task for signals of a name, the same in every attempt. */
  readonly token: (signal: string) => Effect.Effect<string>
}

/** Where there is no store for steps. */
export const without = (reason: string): StepRunner => ({
  run: () => Effect.die(new Error(reason)),
  sleep: () => Effect.die(new Error(reason)),
  waitFor: () => Effect.die(new Error(reason)),
  token: () => Effect.die(new Error(reason))
})

/** Runs steps through their codecs, and keeps nothing. */
export const unkept: StepRunner = {
  run: (name, effect, codec) =>
    Effect.flatMap(Effect.exit(effect), (exit): Effect.Effect<any, any> => {
      const end = codec.encode(exit)
      return end === undefined ? exit : codec.decode("performed", name, end)
    }),
  sleep: () => Effect.void,
  waitFor: () => Effect.die(new Error("Nothing is stored here, so no signal can come: run the task on an engine")),
  token: (signal) => Effect.succeed(`${signal}.performed`)
}

/** The step whose effect a fiber runs. */
export const CurrentStep: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "taskforge/flow/CurrentStep",
  { defaultValue: () => undefined }
)
