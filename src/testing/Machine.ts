/**
 * A simulated machine: fibers with a scheduler and a clock of their own in one world. It can stand still and go on, and
 * it can die, with all it was about to do, and no finalizer runs.
 */
import { Clock, Context, Duration, Effect, type Fiber, Metric, Random, Scheduler } from "effect"
import { WebCrypto } from "effect/crypto"
import type { webcrypto } from "node:crypto"
import { SeededRandom } from "./SeededRandom.ts"

/** How a machine's clock differs from the world's. */
export interface ClockOptions {
  /** How far its wall clock is ahead, in milliseconds. Default 0. */
  readonly offsetMs?: number | undefined
  /** How fast time passes on it: 1.01 is one percent too fast. Default 1. */
  readonly drift?: number | undefined
}

/** What a machine stands in: its `World`. */
export interface Surroundings {
  readonly seed: number | string
  /** The wall clock at the beginning, in milliseconds since the epoch. */
  readonly startsAt: number
  /** Milliseconds since the beginning. */
  readonly now: number
  /** Does something after so many milliseconds, unless it is cancelled. */
  readonly after: (millis: number, ring: () => void) => () => void
  /** Something can run now: the machine is given a turn for it. */
  readonly makeReady: (machine: Machine, action: () => void) => void
  /** Whether a fiber has to let others go first. */
  readonly preempts: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
}

/** Fibers and clocks that live and die together. Made by `World.machine`. */
export class Machine {
  readonly name: string
  /** What every fiber of the machine has: its scheduler, clock and sources of randomness. */
  readonly context: Context.Context<never>
  private readonly world: Surroundings
  private readonly bornAt: number
  private readonly drift: number
  private offsetMs: number
  private condition: "running" | "frozen" | "dead" = "running"
  private held: Array<() => void> = []
  /** Time of the world that its monotonic clock has not noticed. */
  private sleptMs = 0
  private suspendedAt: number | undefined
  private interjection: { turns: number; readonly action: () => void } | undefined
  private liveFibers = 0
  /** Timers that have neither rung nor been cancelled. */
  timers = 0

  constructor(world: Surroundings, name: string, { drift = 1, offsetMs = 0 }: ClockOptions) {
    this.world = world
    this.name = name
    this.bornAt = world.now
    this.drift = drift
    this.offsetMs = offsetMs
    const random = new SeededRandom(world.seed, `${name}/random`)
    const bytes = new SeededRandom(world.seed, `${name}/bytes`)
    this.context = Context.make(Scheduler.Scheduler, this.scheduler()).pipe(
      Context.add(Clock.Clock, this.clock()),
      Context.add(Random.Random, {
        nextDoubleUnsafe: () => random.next(),
        nextIntUnsafe: () =>
          Math.floor(random.next() * (Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER + 1)) + Number.MIN_SAFE_INTEGER
      }),
      Context.add(WebCrypto.WebCrypto, cryptoOf(bytes)),
      Context.add(Metric.MetricRegistry, new Map()),
      Context.add(Metric.FiberRuntimeMetrics, {
        recordFiberStart: () => this.liveFibers++,
        recordFiberEnd: () => this.liveFibers--
      })
    )
  }

  get isAlive(): boolean {
    return this.condition !== "dead"
  }

  get isFrozen(): boolean {
    return this.condition === "frozen"
  }

  /** Fibers that have begun and not ended. */
  get fibers(): number {
    return this.liveFibers
  }

  /** Its wall clock: milliseconds since the epoch. */
  get wallMs(): number {
    return Math.floor(this.world.startsAt + this.world.now * this.drift + this.offsetMs)
  }

  /** Its monotonic clock, in milliseconds. */
  get monotonicMs(): number {
    return this.awakeMs * this.drift
  }

  /** How long it has been there without the time for which it was suspended. */
  private get awakeMs(): number {
    return (this.suspendedAt ?? this.world.now) - this.bornAt - this.sleptMs
  }

  /** Runs an effect on this machine. */
  run<A, E, R>(effect: Effect.Effect<A, E, R>, context: Context.Context<R>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(Context.merge(context, this.context) as Context.Context<R>)(effect)
  }

  /** Does something as soon as the machine can: later when it is frozen, never when it is dead. */
  post(action: () => void): void {
    if (this.condition === "dead") return
    if (this.condition === "frozen") this.held.push(action)
    else this.world.makeReady(this, action)
  }

  /** Stops everything on it until {@link thaw}; the world, and its clock, go on. */
  freeze(): void {
    if (this.condition === "running") this.condition = "frozen"
  }

  /**
   * Stops everything on it until {@link thaw}, its monotonic clock and its timers too: a laptop whose lid is closed, a
   * paused virtual machine. Its wall clock goes on.
   */
  suspend(): void {
    if (this.condition !== "running") return
    this.condition = "frozen"
    this.suspendedAt = this.world.now
  }

  /** Goes on after {@link freeze} or {@link suspend}, not knowing that time has passed. */
  thaw(): void {
    if (this.condition !== "frozen") return
    this.condition = "running"
    if (this.suspendedAt !== undefined) this.sleptMs += this.world.now - this.suspendedAt
    this.suspendedAt = undefined
    const held = this.held
    this.held = []
    for (const action of held) this.post(action)
  }

  /** Ends it between two operations: nothing that it was about to do happens, and no finalizer runs. */
  kill(): void {
    this.condition = "dead"
    this.held = []
  }

  /** Does something in the middle of its work: in the place of its turn number `turns` from now. */
  interject(turns: number, action: () => void): void {
    this.interjection = { turns, action }
  }

  /** To be called by the world when one of its turns comes. */
  takeTurn(action: () => void): void {
    if (this.interjection !== undefined && --this.interjection.turns <= 0) {
      const interject = this.interjection.action
      this.interjection = undefined
      interject()
    }
    if (this.condition === "running") action()
    else this.post(action)
  }

  /** Moves its wall clock, as an operator or a time server would; its monotonic clock and its timers do not notice. */
  stepClock(byMs: number): void {
    this.offsetMs += byMs
  }

  private scheduler(): Scheduler.Scheduler {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task) => this.post(task),
      flush: () => {}
    }
    return {
      executionMode: "sync",
      shouldYield: (fiber) => this.world.preempts(fiber),
      makeDispatcher: () => dispatcher
    }
  }

  private clock(): Clock.Clock {
    const nanos = (millis: number) => BigInt(Math.round(millis * 1000)) * 1000n
    const wallNanos = () => nanos(this.world.startsAt + this.world.now * this.drift + this.offsetMs)
    const monotonicNanos = () => nanos(this.monotonicMs)
    return {
      currentTimeMillisUnsafe: () => this.wallMs,
      currentTimeNanosUnsafe: wallNanos,
      monotonicTimeNanosUnsafe: monotonicNanos,
      currentTimeMillis: Effect.sync(() => this.wallMs),
      currentTimeNanos: Effect.sync(wallNanos),
      monotonicTimeNanos: Effect.sync(monotonicNanos),
      sleep: (duration) => {
        const millis = Duration.toMillis(duration)
        return millis <= 0 ? Effect.yieldNow : this.sleep(Math.ceil(millis / this.drift))
      }
    }
  }

  private sleep(worldMs: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.timers++
      let rung = false
      const ringsAt = this.awakeMs + worldMs
      const ring = () =>
        this.post(() => {
          if (rung) return
          const left = ringsAt - this.awakeMs
          if (left > 0) {
            cancel = this.world.after(left, ring)
            return
          }
          rung = true
          this.timers--
          resume(Effect.void)
        })
      let cancel = this.world.after(worldMs, ring)
      return Effect.sync(() => {
        if (rung) return
        rung = true
        this.timers--
        cancel()
      })
    })
  }
}

/** As much of `Crypto` as gives random bytes. */
const cryptoOf = (random: SeededRandom): webcrypto.Crypto => ({
  getRandomValues: (view) => {
    random.writeTo(view)
    return view
  },
  randomUUID: () => {
    const bytes = new Uint8Array(16)
    random.writeTo(bytes)
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`
  },
  get subtle(): never {
    throw new Error("A simulation has no WebCrypto operations but random bytes: they answer with promises")
  }
})
