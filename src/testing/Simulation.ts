/**
 * Runs a program under one seed, which decides everything that is otherwise left to chance: which fiber runs next,
 * where it is interrupted by others, what time it is, and what `Random`, `SecureRandom` and `WebCrypto` give. The same
 * seed gives the same run, in every process.
 *
 * The program runs to its end before `run` returns. What it waits for must come from within: a promise or a timer of
 * Node shows up as a deadlock.
 *
 * @example
 * ```ts
 * for (let seed = 0; seed < 1000; seed++) {
 *   const { outcome, trace } = Simulation.run(program, { seed })
 *   if (outcome._tag !== "Succeeded") throw new Error(`seed ${seed}: ${outcome._tag}\n${trace.join("\n")}`)
 * }
 * ```
 */
import { type Cause, Context, Duration, Effect, Exit, References, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { createHash } from "node:crypto"
import type { Machine } from "./Machine.ts"
import { SeededRandom } from "./SeededRandom.ts"
import { World } from "./World.ts"

export { type ClockOptions, Machine, type Surroundings } from "./Machine.ts"
export { SeededRandom } from "./SeededRandom.ts"
export { World } from "./World.ts"

/** How a program is run. */
export interface Options {
  /** Decides everything. */
  readonly seed: number | string
  /** How likely a fiber is preempted between two operations. Default: drawn from 0, 0.02, 0.1 and 0.3 by the seed. */
  readonly preemption?: number | undefined
  /** Simulated time after which the run ends as a livelock. Default one day. */
  readonly maxDuration?: Duration.Input | undefined
  /** Turns of the scheduler after which it ends as one. Default ten million. */
  readonly maxSteps?: number | undefined
  /** The clock at the beginning, in milliseconds since the epoch. Default the first of January 2030. */
  readonly startsAt?: number | undefined
}

/**
 * How a run ended.
 *
 * - `Deadlock`: the program waits, and nothing is left that could happen
 * - `Livelock`: it was still running after `maxDuration` or `maxSteps`
 */
export type Outcome<A, E> =
  | { readonly _tag: "Succeeded"; readonly value: A }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<E> }
  | { readonly _tag: "Deadlock" }
  | { readonly _tag: "Livelock"; readonly exceeded: "maxDuration" | "maxSteps" }

/** What a run was. */
export interface Result<A, E> {
  readonly seed: number | string
  readonly outcome: Outcome<A, E>
  /** What {@link log} and {@link World.log} were given, each line with its time in milliseconds since the beginning. */
  readonly trace: ReadonlyArray<string>
  /** A hash of the trace and of how the run ended: equal for runs that did the same. */
  readonly digest: string
  /** How much time passed in it. */
  readonly simulatedMs: number
  /** Turns of the scheduler. */
  readonly steps: number
  readonly preemption: number
  /** Fibers that the program started and left behind. */
  readonly fibersLeft: number
  /** Timers that the program left behind. */
  readonly timersLeft: number
}

/** The world that a program runs in, and the machine in it that runs the program. */
export class Simulation extends Context.Service<Simulation, {
  readonly world: World
  readonly machine: Machine
}>()("taskforge/testing/Simulation") {}

/** What a simulated program may use besides what it brings. */
export type Services = Simulation | SecureRandom.SecureRandom | Scope.Scope

/** Adds a line to the trace of the simulation. */
export const log = (line: string): Effect.Effect<void, never, Simulation> =>
  Effect.map(Simulation, ({ world }) => world.log(line))

const startOf2030 = 1_893_456_000_000

/** Runs a program under a seed, to its end. */
export const run = <A, E>(program: Effect.Effect<A, E, Services>, options: Options): Result<A, E> => {
  const world = new World({
    seed: options.seed,
    startsAt: options.startsAt ?? startOf2030,
    preemption: options.preemption
  })
  const machine = world.machine("main")
  const bytes = new SeededRandom(options.seed, "secure")
  const services = Context.make(Simulation, { world, machine }).pipe(
    Context.add(
      SecureRandom.SecureRandom,
      SecureRandom.make((size) => {
        const drawn = new Uint8Array(size)
        bytes.writeTo(drawn)
        return drawn
      })
    ),
    Context.add(References.CurrentLoggers, new Set([]))
  )
  const maxSteps = options.maxSteps ?? 10_000_000
  const maxMs = Duration.toMillis(options.maxDuration ?? "1 day")
  const fiber = machine.run(Effect.scoped(program), services)
  let ended: Outcome<A, E> | undefined
  while (ended === undefined && fiber.pollUnsafe() === undefined) {
    if (world.steps > maxSteps) ended = { _tag: "Livelock", exceeded: "maxSteps" }
    else if (!world.step() && !world.advance()) ended = { _tag: "Deadlock" }
    else if (world.now > maxMs) ended = { _tag: "Livelock", exceeded: "maxDuration" }
  }
  // What was still about to end may end; time stands still.
  for (let turn = 0; turn < 100_000 && world.step(); turn++);
  const outcome = ended ?? outcomeOf(fiber.pollUnsafe()!)
  return {
    seed: options.seed,
    outcome,
    trace: world.trace,
    digest: digestOf(world, outcome),
    simulatedMs: world.now,
    steps: world.steps,
    preemption: world.preemption,
    fibersLeft: machine.fibers,
    timersLeft: machine.timers
  }
}

const outcomeOf = <A, E>(exit: Exit.Exit<A, E>): Outcome<A, E> =>
  Exit.isSuccess(exit) ? { _tag: "Succeeded", value: exit.value } : { _tag: "Failed", cause: exit.cause }

/** Steps and time are part of it, so that runs that differ in what was not logged differ too. */
const digestOf = (world: World, outcome: Outcome<unknown, unknown>): string =>
  createHash("sha256")
    .update(world.trace.join("\n"))
    .update(`\n${outcome._tag} ${world.steps} ${world.now}`)
    .digest("hex")
    .slice(0, 32)
