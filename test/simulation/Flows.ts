/**
 * Tasks with steps: each has two, sleeps between them, and waits for a signal in the end, for its own or for an event. What
 * a handler is given is told to the witness at once.
 */
import { Effect, Result, Schedule, Schema } from "effect"
import * as Signal from "../../src/Signal.ts"
import * as Step from "../../src/Step.ts"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { type Behaviour, behaviours } from "./Scenario.ts"
import type { Witness } from "./Witness.ts"

/** Fails an attempt between two steps; it may be tried again. */
class Stumbled extends Schema.TaggedError<Stumbled>()("Stumbled", { claim: Schema.Int }) {}

/** Completes a signal as an error. */
export class Denied extends Schema.TaggedError<Denied>()("Denied", { by: Schema.Int }) {}

/** What flows wait for. */
export const Go = Signal.make("go", { success: Schema.Struct({ by: Schema.Int }), error: Denied })

/** What a step gives: which attempt ran its effect. */
const Value = Schema.Struct({ claim: Schema.Int })

/** The steps that run an effect, and those that wait. */
export const steps = { first: "first", rest: "rest", second: "second", answer: "answer" } as const

/** A task with steps. */
export const Flow = Task.make("flow", {
  payload: {
    script: Schema.Array(Schema.Literals(behaviours)),
    ms: Schema.Int,
    restMs: Schema.Int,
    /** How long it waits for the signal; for ever where it is `null`. */
    patienceMs: Schema.NullOr(Schema.Int),
    /** The key of the event that it waits for; its own signal where it is `null`. */
    event: Schema.NullOr(Schema.String)
  },
  success: Schema.Struct({ first: Schema.Int, second: Schema.Int, answer: Schema.String }),
  error: Stumbled,
  retry: { schedule: Schedule.spaced("100 millis") }
})

/** What the handler of a flow does in an attempt. `now` is the world's time. */
export const flow = Effect.fnUntraced(function*(
  { event, ms, patienceMs, restMs }: typeof Flow.payload.Type,
  behaviour: Behaviour,
  { die, now, process, witness }: {
    readonly witness: Witness
    readonly process: string
    readonly now: () => number
    readonly die: () => void
  }
) {
  const { claim, id } = yield* TaskContext
  const given = (step: string, value: unknown) =>
    witness.saw({
      _tag: "Given",
      at: now(),
      now: witness.storeNow,
      process,
      id,
      claim,
      step,
      value: JSON.stringify(value)
    })
  /** A step whose effect may be the last thing that its process does. */
  const run = (step: string, isLast: boolean) =>
    Effect.tap(
      Step.run(
        step,
        Effect.suspend(() => {
          witness.saw({ _tag: "Effect", at: now(), process, id, claim, step })
          if (isLast) die()
          return Effect.as(Effect.sleep(ms), { claim })
        }),
        { success: Value }
      ),
      (value) => Effect.sync(() => given(step, value))
    )
  const stumble = (where: Behaviour) => behaviour === where ? Effect.fail(new Stumbled({ claim })) : Effect.void

  const signal = event === null ? Go : Go.event(event)
  if (event === null) {
    const token = yield* Go.token
    given("token of go", token)
    witness.tokens.set(id, token)
  }
  const first = yield* run(steps.first, behaviour === "die")
  yield* stumble("fail")
  yield* Step.sleep(steps.rest, restMs)
  given(steps.rest, null)
  if (behaviour === "kill") {
    die()
    return yield* Effect.never
  }
  const second = yield* run(steps.second, false)
  yield* stumble("fatal")
  const waiting = patienceMs === null
    ? Step.waitFor(signal, { step: steps.answer })
    : Step.waitFor(signal, { step: steps.answer, timeout: patienceMs })
  const answer = Result.match(yield* Effect.result(waiting), {
    onSuccess: ({ by }) => `by ${by}`,
    onFailure: (error) => error._tag === "Denied" ? `denied by ${error.by}` : "timed out"
  })
  given(steps.answer, answer)
  return { first: first.claim, second: second.claim, answer }
})
