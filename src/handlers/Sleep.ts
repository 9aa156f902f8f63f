/**
 * `sleep` waits: `{ "duration": "2s" }`. It keeps a slot busy without using the processor, and shows that a handler
 * needs nothing special to be stopped: a cancelled, timed out or released attempt is interrupted in its sleep.
 */
import { Duration, Effect, Schema } from "effect"
import { DurationText } from "../domain/DurationText.ts"
import * as Task from "../Task.ts"

/** The longest sleep that a payload may ask for. */
const maxDuration: Duration.Duration = Duration.hours(1)

const Nap = DurationText.check(Schema.makeFilter(
  (duration: Duration.Duration) => Duration.between(duration, { minimum: Duration.zero, maximum: maxDuration }),
  { expected: "a duration from 0 to 1h" }
))

/** The task type `sleep`. */
export const Sleep = Task.make("sleep", {
  description: "Waits for the given duration, 1s unless said, at most 1h",
  payload: {
    /** `"250ms"`, `"2s"`, `"1m30s"`, `"5 minutes"`. */
    duration: Nap.pipe(Schema.withDecodingDefaultKey(Effect.succeed("1s")))
  },
  success: Schema.Struct({ slept: DurationText })
})

/** Runs `sleep`. */
export const SleepLive = Sleep.toLayer(({ duration }) => Effect.as(Effect.sleep(duration), { slept: duration }))
