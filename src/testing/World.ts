/**
 * The world of a simulation: one list of what can run, one line of time, one seed.
 *
 * What runs next is drawn from the seed. When nothing can run, time jumps to the next timer. Nothing else happens: no
 * promise, no timer of Node, no real clock.
 */
import type { Fiber } from "effect"
import { Heap } from "../store/Order.ts"
import { type ClockOptions, Machine, type Surroundings } from "./Machine.ts"
import { SeededRandom } from "./SeededRandom.ts"

interface Timer {
  readonly at: number
  readonly seq: number
  /** Undefined once it is cancelled: the place in the heap must not keep alive what it would have rung for. */
  ring: (() => void) | undefined
}

/** Probabilities of a preemption, one of which a seed draws. */
const preemptions = [0, 0.02, 0.1, 0.3] as const

/** Everything that one simulation is made of. */
export class World implements Surroundings {
  readonly seed: number | string
  /** The wall clock of the world at its beginning, in milliseconds since the epoch. */
  readonly startsAt: number
  /** How likely a fiber is interrupted by others between two of its operations. */
  readonly preemption: number
  /** What was logged, each line with its time. */
  readonly trace: Array<string> = []
  /** Milliseconds since the beginning. */
  now = 0
  /** How often something was picked to run. */
  steps = 0
  private readonly order: SeededRandom
  private readonly preempting: SeededRandom
  private readonly timers = new Heap<Timer>((a, b) => a.at < b.at || (a.at === b.at && a.seq < b.seq))
  private timerSeq = 0
  private readonly ready: Array<() => void> = []
  private readonly owners: Array<Machine> = []

  constructor(options: {
    readonly seed: number | string
    readonly startsAt: number
    readonly preemption: number | undefined
  }) {
    this.seed = options.seed
    this.startsAt = options.startsAt
    this.order = new SeededRandom(options.seed, "order")
    this.preempting = new SeededRandom(options.seed, "preemption")
    this.preemption = options.preemption ?? this.preempting.pick(preemptions)
  }

  /** A stream of random numbers of its own. */
  random(stream: string): SeededRandom {
    return new SeededRandom(this.seed, stream)
  }

  /** A machine in this world. Names are to be unique: its randomness hangs on its name. */
  machine(name: string, clock: ClockOptions = {}): Machine {
    return new Machine(this, name, clock)
  }

  /** Adds a line to the trace. What differs between two runs of one program has no place in it. */
  log(line: string): void {
    this.trace.push(`${this.now} ${line}`)
  }

  /** Does something after so many milliseconds of the world's time, unless it is cancelled. */
  after(millis: number, ring: () => void): () => void {
    const timer: Timer = { at: this.now + millis, seq: this.timerSeq++, ring }
    if (Number.isFinite(timer.at)) this.timers.push(timer)
    return () => {
      timer.ring = undefined
    }
  }

  /** To be called by machines: something that can run now. */
  makeReady(machine: Machine, action: () => void): void {
    this.ready.push(action)
    this.owners.push(machine)
  }

  /** Whether a fiber has to let others go first. The first operation after that is exempt, or it might never end. */
  preempts(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber.currentOpCount > 1 && this.preempting.chance(this.preemption)) return true
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  /** Runs one thing that can run; answers whether there was any. */
  step(): boolean {
    const { owners, ready } = this
    const count = ready.length
    if (count === 0) return false
    const index = count === 1 ? 0 : this.order.int(count)
    const action = ready[index]!
    const owner = owners[index]!
    // The order of the rest means nothing: the next one is drawn as well.
    ready[index] = ready[count - 1]!
    owners[index] = owners[count - 1]!
    ready.pop()
    owners.pop()
    this.steps++
    owner.takeTurn(action)
    return true
  }

  /** Lets time jump to the next timer and rings all of that instant; answers whether there was any. */
  advance(): boolean {
    let timer = this.timers.first()
    while (timer !== undefined && timer.ring === undefined) {
      this.timers.shift()
      timer = this.timers.first()
    }
    if (timer === undefined) return false
    this.now = timer.at
    while (timer !== undefined && timer.at === this.now) {
      this.timers.shift()
      timer.ring?.()
      timer = this.timers.first()
    }
    return true
  }
}
