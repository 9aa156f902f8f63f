/** The task types of the simulated cluster, and handlers that do what a task's script says. */
import { Cause, Effect, Exit, Layer, Schedule, Schema } from "effect"
import * as Batch from "../../src/Batch.ts"
import * as Breaker from "../../src/Breaker.ts"
import * as Task from "../../src/Task.ts"
import { Snoozed } from "../../src/worker/Attempt.ts"
import { HandlerRegistry } from "../../src/worker/HandlerRegistry.ts"
import { type HandlerContext, TaskContext } from "../../src/worker/TaskContext.ts"
import { TaskForgeWorkflows } from "../../src/workflow/index.ts"
import * as Executions from "./Executions.ts"
import { Flow, flow } from "./Flows.ts"
import type { Ending } from "./History.ts"
import * as Records from "./Records.ts"
import { type Behaviour, behaviours } from "./Scenario.ts"
import type { Witness } from "./Witness.ts"

/** Fails an attempt; it may be tried again. */
class Broken extends Schema.TaggedError<Broken>()("Broken", { attempt: Schema.Int }) {}

/** Fails a task for good. */
class Hopeless extends Schema.TaggedError<Hopeless>()("Hopeless", {}) {}

/** An error with details that may be anything. */
class Vague extends Schema.TaggedError<Vague>()("Vague", { about: Schema.Any }) {}

/** No JSON: it refers to itself. */
const cycle: Record<string, unknown> = {}
cycle["self"] = cycle

/** A text that the simulated store cannot keep. */
export const unlucky = "a text that the store cannot keep"

const payload = { script: Schema.Array(Schema.Literals(behaviours)), ms: Schema.Int }
const error = Schema.Union([Broken, Hopeless, Vague])
const retry = {
  schedule: Schedule.exponential("100 millis"),
  maxDelay: "1 second",
  byTag: { Hopeless: false }
} as const

/** Which attempt of which task gave a result. */
const success = Schema.Struct({ id: Schema.String, claim: Schema.Int, more: Schema.optionalKey(Schema.Any) })

/** The types that clients enqueue; each has a queue of its own. */
export const types = {
  work: Task.make("work", { payload, success, error, retry }),
  mail: Task.make("mail", { payload, success, error, retry, queue: "mail", timeout: "1 second" })
} as const

/** What some tasks need, in scenarios that have it. */
export const Dependency = Breaker.make("b", {
  failures: 2,
  within: "5 seconds",
  openFor: "500 millis",
  maxOpenFor: "2 seconds"
})

/** The same types, with a breaker that has the pass of those tasks that need it. */
const breaking = {
  work: Task.make("work", { payload, success, error, retry, breakers: [Dependency] }),
  mail: Task.make("mail", {
    payload,
    success,
    error,
    retry,
    queue: "mail",
    timeout: "1 second",
    breakers: [Dependency]
  })
} as const

/** What attempts enqueue themselves. */
const Child = Task.make("child", { payload: { parent: Schema.String }, success, priority: "high" })

/** What an attempt starts in the write that ends it. */
const Next = Task.make("next", { payload: { of: Schema.String }, success })

/** The handlers of one process. `attempts` counts those that have begun, by task. */
export const handlers = (options: {
  readonly witness: Witness
  readonly process: string
  readonly now: () => number
  readonly attempts: Map<string, number>
  /** Whether the types have a breaker. */
  readonly hasBreaker: boolean
  readonly hasBatches: boolean
  readonly hasExecutions: boolean
  /** Ends the process at once. */
  readonly die: () => void
}) => {
  const { attempts, die, process, witness } = options

  const observed = <A, E, R>(
    script: ReadonlyArray<Behaviour>,
    body: (behaviour: Behaviour, number: number) => Effect.Effect<A, E, R>
  ) =>
    // What has been seen to begin is seen to end, even when it is interrupted before its first step.
    Effect.flatMap(TaskContext, ({ claim, id }) =>
      Effect.uninterruptibleMask((restore) => {
        const number = attempts.get(id) ?? 0
        attempts.set(id, number + 1)
        const behaviour = script[Math.min(number, script.length - 1)]!
        const seen = { process, id, claim }
        witness.saw({ _tag: "Began", at: options.now(), ...seen, behaviour })
        return Effect.onExit(restore(body(behaviour, number)), (exit) =>
          Effect.sync(() => {
            const result = Exit.isSuccess(exit) && behaviour !== "unfit" ? JSON.stringify(exit.value) : undefined
            witness.saw({ _tag: "Ended", at: options.now(), ...seen, how: endingOf(exit), result })
          }))
      }))

  const run = (
    { ms, script }: { readonly script: ReadonlyArray<Behaviour>; readonly ms: number },
    context: HandlerContext<typeof success.Type>
  ) =>
    // What is too long for its time limit gets shorter in the end, or it would be tried for ever.
    observed(script, (behaviour, number) => behave(context, behaviour, number, number < 4 ? ms : Math.min(ms, 100)))

  const behave = Effect.fnUntraced(function*(
    { claim, complete, id, progress, snooze }: HandlerContext<typeof success.Type>,
    behaviour: Behaviour,
    attempt: number,
    ms: number
  ) {
    switch (behaviour) {
      case "hang":
        return yield* Effect.never
      case "resist":
        yield* Effect.uninterruptible(Effect.sleep(Math.min(ms * 5, 7500)))
        break
      case "kill":
        die()
        return yield* Effect.never
      case "snooze":
        return yield* snooze(ms)
      case "progress":
        yield* progress(0.3)
        yield* Effect.sleep(ms)
        yield* progress(0.9)
        break
      case "read": {
        yield* Effect.sleep(ms)
        const ended = yield* Effect.orDie(Effect.retry((yield* TaskContext).earlier, Records.untilTheStoreAnswers))
        const ends = ended.map(({ id, outcome: { state } }) => ({ id, state }))
        witness.saw({ _tag: "Read", at: options.now(), process, id, claim, ends })
        break
      }
      case "grow": {
        yield* Effect.sleep(ms)
        // one more for the batch, by whichever attempt; only those know it that it has named
        const [batch] = id.split("/")
        if (batch === id) break
        const more = [types.work.draft({ script: ["ok"], ms: 5 }, { id: `more of ${id}` })]
        const added = (yield* Batch.handle(batch!)).add(more, { addition: id.replaceAll("/", " ") })
        yield* Effect.ignore(Effect.retry(added, Records.untilTheStoreAnswers))
        break
      }
      case "early":
        yield* Effect.orDie(complete({ id, claim }))
        yield* Effect.sleep(ms)
        break
      case "chain": {
        yield* Effect.sleep(ms)
        const name = Records.nameOf({ id, claim })
        const chain = (caller: string) =>
          Effect.orDie(Records.chain(caller, { id, claim }, JSON.stringify({ id, claim })))
        if (yield* chain(name)) {
          const call = { do: "append", name, logs: [Records.chainLog] } as const
          witness.saw({ _tag: "Answered", at: options.now(), process, call })
          // what has ended so ends nothing and starts nothing once more
          yield* chain(`${name} late`)
        }
        break
      }
      case "spawn": {
        // The key makes it one child, whichever attempt enqueues it.
        const child = yield* Effect.orDie(Child.enqueue({ parent: id }, { key: id }))
        yield* Effect.timeoutOption(Effect.exit(child.result), ms)
        break
      }
      default:
        yield* Effect.sleep(ms)
    }
    if (behaviour === "fail") return yield* new Broken({ attempt })
    if (behaviour === "fatal") return yield* new Hopeless()
    if (behaviour === "cyclic") return yield* new Vague({ about: cycle })
    if (behaviour === "die") throw new Error("thrown on purpose")
    if (behaviour === "unfit") return { id, claim, more: cycle }
    if (behaviour === "refused") return { id, claim, more: unlucky }
    return { id, claim }
  })

  const short = () =>
    observed(
      ["ok"],
      () => Effect.map(TaskContext, ({ claim, id }) => ({ id, claim })).pipe(Effect.delay("20 millis"))
    )

  /** Handlers that the engine brings itself, with attempts that are seen. */
  const seen = Layer.effect(
    HandlerRegistry,
    Effect.map(HandlerRegistry, (registry) =>
      HandlerRegistry.of({
        ...registry,
        register: (handler) =>
          registry.register({
            ...handler,
            run: (payload, context) =>
              observed(
                [handler.definition.type.startsWith("workflow:") ? "workflow" : "ok"],
                () => handler.run(payload, context)
              )
          })
      }))
  )

  const { mail, work } = options.hasBreaker ? breaking : types
  return Layer.mergeAll(
    work.toLayer(run),
    mail.toLayer(run),
    Flow.toLayer((payload) =>
      observed(payload.script, (behaviour) => flow(payload, behaviour, { witness, process, now: options.now, die }))
    ),
    options.hasExecutions
      ? Executions.layer(options).pipe(Layer.provide(TaskForgeWorkflows.layer), Layer.provide(seen))
      : Layer.empty,
    options.hasBatches ? Layer.provide(Batch.layer, seen) : Layer.empty,
    Child.toLayer(short),
    Next.toLayer(short)
  )
}

const endingOf = (exit: Exit.Exit<unknown, unknown>): Ending => {
  if (Exit.isSuccess(exit)) return "succeeded"
  if (Cause.hasInterrupts(exit.cause)) return "interrupted"
  const defect = exit.cause.reasons.find(Cause.isDieReason)?.defect
  if (defect === undefined) return "failed"
  return defect instanceof Snoozed ? "snoozed" : "died"
}
