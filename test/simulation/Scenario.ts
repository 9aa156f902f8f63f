/**
 * What happens in one run, as plain data drawn from the seed before it begins: the cluster, what goes wrong when, and
 * what clients and operators do when. Leaving out faults and steps gives a smaller scenario of the same seed.
 */
import type { OnFailure } from "../../src/domain/Dependencies.ts"
import { SeededRandom } from "../../src/testing/Simulation.ts"
import { type BatchStep, drawBatches } from "./Batches.ts"
import { drawExecutions, type ExecutionStep } from "./Executions.ts"
import { drawGraphs } from "./Graphs.ts"

/** What an attempt does. The number of the attempt picks the word of the task's script; the last word stays. */
export const behaviours = [
  "ok",
  "progress",
  "early",
  "chain",
  "fail",
  "fatal",
  "die",
  "hang",
  "resist",
  "snooze",
  "spawn",
  "kill",
  "unfit",
  "cyclic",
  "refused",
  "read",
  "grow",
  "workflow"
] as const

/** See {@link behaviours}. */
export type Behaviour = (typeof behaviours)[number]

/** Ends its task before its handler ends. */
export const settlesItself = (behaviour: Behaviour | undefined): boolean =>
  behaviour === "early" || behaviour === "chain" || behaviour === "workflow"

/** Gives a result that is no JSON, or one that the store refuses: that fails the task, and no other one. */
export const isUnstorable = (behaviour: Behaviour | undefined): boolean =>
  behaviour === "unfit" || behaviour === "refused"

/** A task as a client submits it. */
export interface Submission {
  readonly id: string
  readonly type: "work" | "mail"
  readonly script: ReadonlyArray<Behaviour>
  /** How long an attempt works, in milliseconds. */
  readonly ms: number
  readonly key: string | undefined
  readonly priority: number
  readonly delayMs: number
  readonly maxRetries: number
  /** How long it is of use. */
  readonly expiresInMs: number | undefined
  readonly startWithinMs: number | undefined
  /** What it has to pass; of rates it takes 1.5. */
  readonly passes: ReadonlyArray<string>
  /** How it is unique by its key; by the idempotency key alone where this is left out. */
  readonly unique?: Unique | undefined
  /** Another queue than that of its type. */
  readonly queue?: string | undefined
  /** The tasks that it depends on. */
  readonly after?: ReadonlyArray<string> | undefined
  readonly onFailure?: OnFailure | undefined
}

/** How long a task keeps others with its key away, and what becomes of these. A window may be a number of milliseconds. */
export interface Unique {
  readonly window: "waiting" | "unfinished" | "kept" | number
  readonly onConflict: "return" | "refuse" | "replace" | "postpone"
  /** With `postpone`. */
  readonly byMs: number
  readonly maxMs: number | undefined
}

/** What is changed about a task that waits. */
export interface RescheduleStep {
  readonly do: "reschedule"
  readonly id: string
  readonly priority: number | undefined
  readonly delayMs: number | undefined
  readonly startWithinMs?: number | undefined
  readonly to: Pick<Submission, "type" | "script" | "ms" | "passes"> | undefined
}

/** Puts or deletes a record that claims read. */
export interface GateStep {
  readonly do: "gate"
  readonly kind: "limit" | "paused-type" | "paused-key"
  readonly id: string
  readonly document: unknown
}

/** Opens a breaker for so long, or closes it by hand. */
export interface BreakerStep {
  readonly do: "breaker"
  readonly openForMs: number | null
}

/** Sets a schedule that ends after a while, pauses or resumes it, or runs it by hand. */
export type ScheduleStep =
  | {
    readonly do: "schedule"
    readonly name: string
    readonly everyMs: number
    readonly forMs: number
    readonly missed: "once" | "skip" | "all"
    readonly overlap: "allow" | "skip" | "cancel"
    readonly ms: number
  }
  | { readonly do: "pause schedule" | "resume schedule" | "run schedule"; readonly name: string }

/** A task with steps, as a client submits it. */
export interface FlowStep {
  readonly do: "flow"
  readonly id: string
  readonly script: ReadonlyArray<Behaviour>
  readonly ms: number
  readonly restMs: number
  readonly patienceMs: number | null
  readonly event: string | null
  readonly maxRetries: number
}

/** Completes the signal of a task, once its token is known, or an event. `by` says who does it; below zero it is an error. */
export interface SignalStep {
  readonly do: "signal"
  readonly of: { readonly task: string } | { readonly event: string } | { readonly token: string }
  readonly by: number
}

/** What a client or an operator does through one instance. */
export type Action =
  | {
    readonly do: "enqueue"
    readonly tasks: ReadonlyArray<Submission>
    readonly whenFull: "fail" | "wait"
    /** Waits for the results. */
    readonly awaits: boolean
  }
  | { readonly do: "cancel" | "rerun" | "remove" | "await"; readonly id: string }
  | { readonly do: "pause" | "resume"; readonly queue: string }
  | { readonly do: "append"; readonly logs: ReadonlyArray<string> }
  | { readonly do: "remind"; readonly id: string; readonly dueInMs: number }
  | GateStep
  | BreakerStep
  | RescheduleStep
  | ScheduleStep
  | BatchStep
  | ExecutionStep
  | FlowStep
  | SignalStep
  | { readonly do: "look" }

/** An {@link Action} at its time. */
export interface Step {
  readonly at: number
  readonly instance: number
  readonly action: Action
}

/** Something that goes wrong at a time. Times and durations are milliseconds of the world. */
export type Fault =
  /** Dies with everything it was about to do; comes back after a while. `turns` says how deep in its work it is. */
  | {
    readonly do: "crash"
    readonly at: number
    readonly instance: number
    readonly turns: number
    readonly backAfter: number
  }
  /** Is shut down in order and started again, as a deploy does. */
  | { readonly do: "deploy"; readonly at: number; readonly instance: number; readonly backAfter: number }
  | {
    readonly do: "freeze"
    readonly at: number
    readonly instance: number
    readonly turns: number
    readonly duration: number
  }
  | { readonly do: "clock"; readonly at: number; readonly instance: number; readonly byMs: number }
  /**
   * The wall clock of the store's machine is moved. Set back, it is right again after a while; set forward it stays, as what
   * was to wait until then would wait as much longer.
   */
  | { readonly do: "store clock"; readonly at: number; readonly byMs: number; readonly rightAfter: number }
  /** The machine that everything runs on stands still; its monotonic clock may do so too. */
  | { readonly do: "suspend"; readonly at: number; readonly duration: number; readonly monotonic: "goes on" | "stops" }
  /** One instance cannot reach the store. */
  | { readonly do: "cut"; readonly at: number; readonly instance: number; readonly duration: number }
  /** Nobody can reach the store. */
  | { readonly do: "outage"; readonly at: number; readonly duration: number }

/** What the network does to messages while faults last, as probabilities. */
export interface Network {
  /** The longest usual latency of a message. */
  readonly latencyMs: number
  readonly lostRequest: number
  readonly lostReply: number
  readonly duplicated: number
  /** A message takes many times as long as usual. */
  readonly late: number
  readonly lostHint: number
  /** How long a caller waits for an answer. */
  readonly patienceMs: number
}

/** A process that runs the engine. */
export interface InstanceOptions {
  readonly concurrency: number
  readonly offsetMs: number
  readonly drift: number
}

/** Everything about one run that is not the order of its fibers. */
export interface Scenario {
  readonly seed: number
  readonly store: "memory" | "sqlite"
  readonly capacity: number
  readonly maxCrashes: number
  readonly headStartMs: number
  /** The time limit of an attempt: shorter than a lease, or much longer. */
  readonly timeoutMs: number
  readonly keepFinishedMs: number
  readonly keepFailedMs: number
  readonly maxFinished: number
  readonly instances: ReadonlyArray<InstanceOptions>
  readonly network: Network
  /** When everything works again. */
  readonly healsAt: number
  readonly faults: ReadonlyArray<Fault>
  readonly steps: ReadonlyArray<Step>
  /** Whether the types of tasks have a breaker, whose pass some of the tasks have. */
  readonly hasBreaker: boolean
  /** Whether hints stay lost after that, so that polling alone must do. */
  readonly silent: boolean
  /** Tasks that hang in the calm after all faults, until somebody cancels them: two at most. */
  readonly hanging: number
}

/** How long a lease holds. Everything else is measured by it. */
export const leaseMs = 3000

/** How often an idle pool looks by itself. */
export const pollMs = 1000

/** When the last effects of what went wrong are over: every process has renewed its leases and nobody waits in vain. */
export const calmAt = ({ healsAt, network }: Pick<Scenario, "healsAt" | "network">): number =>
  healsAt + Math.max(leaseMs * 2 / 3 + 500, network.patienceMs + 100)

/** How much there is in a scenario: numbers of which one is drawn, and probabilities. */
interface Size {
  readonly instances: ReadonlyArray<number>
  readonly stores: ReadonlyArray<Scenario["store"]>
  readonly healsAt: ReadonlyArray<number>
  readonly faults: ReadonlyArray<number>
  readonly clocks: ReadonlyArray<number>
  readonly tasks: ReadonlyArray<number>
  /** How likely a task has an end that cannot be stored. */
  readonly odd: number
  /** How likely tasks should start within a time. */
  readonly deadlines: number
  readonly records: ReadonlyArray<number>
  readonly unique: readonly [probability: number, counts: ReadonlyArray<number>]
  readonly graphs: readonly [probability: number, counts: ReadonlyArray<number>]
  readonly batches: readonly [probability: number, counts: ReadonlyArray<number>]
  readonly executions: readonly [probability: number, counts: ReadonlyArray<number>]
  readonly flows: readonly [probability: number, counts: ReadonlyArray<number>]
  readonly schedules: readonly [probability: number, counts: ReadonlyArray<number>]
  readonly takeovers: number
  readonly breaker: number
  readonly gates: readonly [probability: number, counts: ReadonlyArray<number>]
  readonly hanging: ReadonlyArray<number>
  /** How long callers wait for the store. */
  readonly patienceMs: ReadonlyArray<number>
  /** How long attempts work, and how long they may. */
  readonly workMs: ReadonlyArray<number>
  readonly timeoutMs: ReadonlyArray<number>
}

/** A bit of everything, for long enough that it meets. */
const wholeSize: Size = {
  instances: [3],
  stores: ["memory", "memory", "sqlite"],
  healsAt: [2500, 5000, 8000],
  faults: [0, 1, 2, 4, 7],
  clocks: [0, 0, 1, 2],
  tasks: [4, 10, 20],
  odd: 0.1,
  deadlines: 0.35,
  records: [0, 0, 4, 10],
  unique: [0.35, [6, 15, 30]],
  graphs: [0.3, [4, 10, 16]],
  batches: [0.2, [5, 8, 12]],
  executions: [0.2, [3, 5, 8]],
  flows: [0.25, [4, 8, 16]],
  schedules: [0.25, [2, 4, 8]],
  takeovers: 0.2,
  breaker: 0.2,
  gates: [0.6, [0, 3, 8]],
  hanging: [2],
  patienceMs: [400, 400, 400, 4000],
  workMs: [0, 5, 100, 600, 1500, 4000],
  timeoutMs: [2000, 2000, 7000]
}

/** What most seeds are about: little of one or two things. */
const themes: ReadonlyArray<Partial<Size>> = [
  {},
  {},
  // many tasks for one instance, so that their order matters
  { tasks: [10, 16], deadlines: 0.7, instances: [1], healsAt: [500, 1500], faults: [0, 0, 1] },
  { gates: [1, [0, 2, 4]], tasks: [4, 8, 12] },
  { gates: [0.5, [0, 2]], breaker: 0.5, tasks: [3, 6] },
  { unique: [1, [4, 8, 12]], tasks: [0, 2], gates: [0.3, [0, 2]] },
  { graphs: [1, [3, 6, 9]], tasks: [0, 2] },
  { batches: [1, [4, 6, 10]], tasks: [0, 2] },
  { executions: [1, [2, 4, 6]], tasks: [0, 2] },
  { flows: [1, [4, 6, 8]], tasks: [0, 2] },
  { schedules: [1, [1, 2, 3]], tasks: [0, 2] },
  { records: [4, 6], tasks: [0, 2] }
]

/** What needs three instances, and its time. */
const takeovers: Partial<Size> = {
  takeovers: 1,
  healsAt: [8000],
  instances: [3],
  tasks: [0],
  faults: [0],
  clocks: [0]
}

/** How much there is in most seeds: a few tasks, and what can go wrong with those. */
const smallSize: Size = {
  instances: [1, 2, 2],
  stores: ["memory", "memory", "memory", "memory", "memory", "sqlite"],
  healsAt: [500, 1500, 1500, 2500, 5000],
  faults: [0, 1, 1, 2, 4],
  clocks: [0, 0, 0, 1],
  tasks: [2, 4, 8],
  odd: 0.2,
  deadlines: 0.35,
  records: [0],
  unique: [0, []],
  graphs: [0, []],
  batches: [0, []],
  executions: [0, []],
  flows: [0, []],
  schedules: [0, []],
  takeovers: 0,
  breaker: 0,
  gates: [0, []],
  hanging: [0, 0, 1],
  patienceMs: [400, 400, 400, 400, 400, 400, 400, 4000],
  workMs: [0, 5, 100, 600, 1500],
  timeoutMs: [2000, 2000, 2000, 7000]
}

/** One seed in so many has all of {@link wholeSize}, and as many have {@link takeovers}. */
const wholeOneIn = 20

const drawSize = (random: SeededRandom): Size =>
  random.chance(1 / wholeOneIn)
    ? wholeSize
    : { ...smallSize, ...random.chance(1 / wholeOneIn) ? takeovers : random.pick(themes) }

/** Draws the scenario of a seed, with a bit of everything. */
export const fromSeed = (seed: number): Scenario => draw(seed, wholeSize)

/** What scenarios had not yet when the first seeds failed. */
const newParts: Partial<Size> = { graphs: [0, []], batches: [0, []], executions: [0, []] }

/** Draws the scenario that a seed had before there were {@link newParts}: what once failed under it stays in it. */
export const olderFromSeed = (seed: number): Scenario => draw(seed, { ...wholeSize, ...newParts })

/** Draws a scenario that is small for most seeds: it takes less than half the time. */
export const smallFromSeed = (seed: number): Scenario => draw(seed, drawSize(new SeededRandom(seed, "size")))

const draw = (seed: number, size: Size): Scenario => {
  const random = new SeededRandom(seed, "scenario")
  const instances = Array.from(
    { length: new SeededRandom(seed, "instances").pick(size.instances) },
    (): InstanceOptions => ({
      concurrency: random.pick([1, 2, 4]),
      offsetMs: random.pick([0, 0, -30_000, 45_000, 3_600_000]),
      drift: random.pick([1, 1, 1, 0.98, 1.03])
    })
  )
  const healsAt = random.pick(size.healsAt)
  const taken = drawTakeovers(new SeededRandom(seed, "takeovers"), size, healsAt)
  const faults = [
    ...drawFaults(new SeededRandom(seed, "faults"), size, healsAt),
    ...drawClocks(new SeededRandom(seed, "clocks"), size, healsAt),
    ...taken.faults
  ].sort((a, b) => a.at - b.at)
  const level = random.pick([0, 0.02, 0.08])
  const breakers = new SeededRandom(seed, "breaker")
  const hasBreaker = breakers.chance(size.breaker)
  return {
    seed,
    hasBreaker,
    store: random.pick(size.stores),
    capacity: random.pick([6, 20, 1000]),
    maxCrashes: random.pick([1, 2, 5]),
    headStartMs: random.pick([1000, 300_000]),
    timeoutMs: random.pick(size.timeoutMs),
    keepFinishedMs: random.pick([2000, 86_400_000]),
    keepFailedMs: random.pick([4000, 86_400_000]),
    maxFinished: random.pick([3, 1000]),
    instances,
    network: {
      latencyMs: random.pick([0, 5, 60]),
      lostRequest: random.chance(0.7) ? level : 0,
      lostReply: random.chance(0.7) ? level : 0,
      duplicated: random.chance(0.7) ? level : 0,
      late: random.pick([0, 0, 0.02]),
      lostHint: random.pick([0, 0.1, 0.5, 1]),
      patienceMs: random.pick(size.patienceMs)
    },
    healsAt,
    faults,
    steps: [
      ...drawSteps(
        new SeededRandom(seed, "steps"),
        new SeededRandom(seed, "odd"),
        new SeededRandom(seed, "chains"),
        size,
        healsAt
      ),
      ...drawRecords(new SeededRandom(seed, "records"), size, healsAt),
      ...drawUnique(new SeededRandom(seed, "unique"), size, healsAt)
    ].map(withPasses(new SeededRandom(seed, "passes"))).map(withExpiry(new SeededRandom(seed, "expiry"))).map(
      withDeadlines(new SeededRandom(seed, "deadlines"), size.deadlines)
    ).concat(
      drawGates(new SeededRandom(seed, "gates"), size, healsAt)
    )
      .map(hasBreaker ? withBreaker(breakers) : (step) => step)
      .concat(hasBreaker ? drawBreaker(breakers, healsAt) : [])
      .concat(drawSchedules(new SeededRandom(seed, "schedules"), size, healsAt))
      .concat(drawFlows(new SeededRandom(seed, "flows"), size, healsAt))
      .concat(
        drawGraphs(new SeededRandom(seed, "graphs"), size.graphs, healsAt)
          .map(withPasses(new SeededRandom(seed, "passes of graphs")))
      )
      .concat(drawBatches(new SeededRandom(seed, "batches"), size.batches, healsAt))
      .concat(drawExecutions(new SeededRandom(seed, "executions"), size.executions, healsAt))
      .concat(taken.steps),
    silent: random.chance(0.3),
    hanging: new SeededRandom(seed, "hanging").pick(size.hanging)
  }
}

const drawFaults = (random: SeededRandom, size: Size, healsAt: number): ReadonlyArray<Fault> => {
  const count = random.pick(size.faults)
  const kinds = ["crash", "crash", "deploy", "freeze", "freeze", "clock", "cut", "outage"] as const
  return Array.from({ length: count }, (): Fault => {
    const at = random.int(healsAt)
    const instance = random.int(3)
    const duration = random.pick([200, 1500, 4000, 7000])
    switch (random.pick(kinds)) {
      case "crash":
        return { do: "crash", at, instance, turns: random.between(1, 60), backAfter: random.pick([50, 1000, 5000]) }
      case "deploy":
        return { do: "deploy", at, instance, backAfter: random.pick([0, 1000]) }
      case "freeze":
        return { do: "freeze", at, instance, turns: random.between(1, 60), duration }
      case "clock":
        return { do: "clock", at, instance, byMs: random.pick([-60_000, -1000, 1000, 60_000]) }
      case "cut":
        return { do: "cut", at, instance, duration }
      case "outage":
        return { do: "outage", at, duration: Math.min(duration, 4000) }
    }
  }).sort((a, b) => a.at - b.at)
}

/** What happens to the clocks of all, during the other faults and in the calm after them. */
const drawClocks = (random: SeededRandom, size: Size, healsAt: number): ReadonlyArray<Fault> =>
  Array.from({ length: random.pick(size.clocks) }, (): ReadonlyArray<Fault> => {
    const at = random.int(healsAt + 6000)
    if (random.chance(0.3)) {
      const duration = random.pick([1500, 4000, 7000])
      return [{ do: "suspend", at, duration, monotonic: random.pick(["goes on", "stops"]) }]
    }
    const byMs = random.pick([-3_600_000, -60_000, -1000, 1000, 60_000, 3_600_000])
    const step: Fault = { do: "store clock", at, byMs, rightAfter: random.pick([3000, 5000, 15_000]) }
    // One that dies at about the same time leaves leases by the old clock, and comes back without having seen it.
    const instance = random.int(3)
    return random.chance(0.5)
      ? [step]
      : [step, { do: "crash", at: Math.max(0, at - 150), instance, turns: random.between(1, 60), backAfter: 200 }]
  }).flat()

const queues = ["default", "mail"] as const

const drawSteps = (
  random: SeededRandom,
  odd: SeededRandom,
  chains: SeededRandom,
  size: Size,
  healsAt: number
): ReadonlyArray<Step> => {
  const count = random.pick(size.tasks)
  let nextId = 0
  const ids: Array<string> = []
  const submission = (bulk: boolean): Submission => {
    const known = ids.length > 0 && random.chance(0.05)
    const id = known ? random.pick(ids) : `t${nextId++}`
    ids.push(id)
    const type = random.pick(["work", "work", "mail"] as const)
    return {
      id,
      type,
      script: withChain(chains, withOdd(odd, size.odd, drawScript(random))),
      ms: random.pick(type === "mail" ? [0, 5, 100, 600] : size.workMs),
      // Tasks with few keys and equal payloads meet often; bulk ones take part as well.
      key: random.chance(bulk ? 0.1 : 0.25) ? `k${random.int(3)}` : undefined,
      priority: random.pick([0, 1, 1, 2, 3, 9]),
      delayMs: random.pick([0, 0, 0, 300, 2000]),
      maxRetries: random.pick([0, 1, 3, -1]),
      expiresInMs: undefined,
      startWithinMs: undefined,
      passes: []
    }
  }
  const action = (): Action => {
    const id = ids.length === 0 ? "t0" : random.pick(ids)
    switch (
      random.pick([
        "enqueue",
        "enqueue",
        "enqueue",
        "enqueue",
        "bulk",
        "cancel",
        "cancel",
        "rerun",
        "remove",
        "await",
        "pause",
        "resume",
        "look"
      ])
    ) {
      case "bulk":
        return {
          do: "enqueue",
          tasks: Array.from({ length: random.between(2, 6) }, () => submission(true)),
          whenFull: random.pick(["fail", "wait"]),
          awaits: random.chance(0.3)
        }
      case "cancel":
        return { do: "cancel", id }
      case "rerun":
        return { do: "rerun", id }
      case "remove":
        return { do: "remove", id }
      case "await":
        return { do: "await", id }
      case "pause":
        return { do: "pause", queue: random.pick(queues) }
      case "resume":
        return { do: "resume", queue: random.pick(queues) }
      case "look":
        return { do: "look" }
      default:
        return {
          do: "enqueue",
          tasks: [submission(false)],
          whenFull: random.pick(["fail", "wait"]),
          awaits: random.chance(0.5)
        }
    }
  }
  return Array.from({ length: count }, () => random.int(healsAt + 1000))
    .sort((a, b) => a - b)
    .map((at): Step => ({ at, instance: random.int(3), action: action() }))
}

/** How tasks are unique, where a seed has such tasks: mostly all in one way, as a type says. */
const drawRule = (random: SeededRandom): Unique => {
  const kind = random.pick(["debounce", "throttle", "any", "any"] as const)
  const postpone = { byMs: random.pick([300, 1500]), maxMs: random.pick([undefined, 1500, 2500]) }
  const perMs = random.pick([300, 1500, 4000])
  if (kind === "debounce") return { window: "waiting", onConflict: "postpone", ...postpone }
  return {
    window: kind === "throttle"
      ? perMs
      : random.pick(["waiting", "waiting", "unfinished", "unfinished", "kept", perMs]),
    onConflict: random.pick(kind === "throttle" ? ["return", "refuse"] : ["return", "refuse", "replace", "postpone"]),
    ...postpone
  }
}

/** In a third of the seeds: many tasks of few keys, and what else is done to them. */
const drawUnique = (random: SeededRandom, size: Size, healsAt: number): ReadonlyArray<Step> => {
  const [probability, counts] = size.unique
  if (!random.chance(probability)) return []
  const types = random.pick([["work"], ["work"], ["work", "mail"]] as const)
  const rule = random.chance(0.6) ? drawRule(random) : undefined
  const idOf = () => `u${random.int(12)}`
  const work = () => ({ script: drawScript(random), ms: random.pick([0, 5, 100, 600, 1500]) })
  const submission = (): Submission => ({
    id: idOf(),
    type: random.pick(types),
    ...work(),
    key: `k${random.int(2)}`,
    priority: random.pick([0, 1, 1, 2]),
    delayMs: random.pick([0, 0, 300, 2000]),
    maxRetries: random.pick([0, 1, 3]),
    expiresInMs: undefined,
    startWithinMs: undefined,
    passes: [],
    // some have an idempotency key of the same name
    unique: random.chance(0.9) ? rule ?? drawRule(random) : undefined,
    queue: random.chance(0.05) ? random.pick(queues) : undefined
  })
  const action = (): Action => {
    switch (random.pick(["enqueue", "enqueue", "enqueue", "reschedule", "reschedule", "operate"] as const)) {
      case "reschedule":
        return {
          do: "reschedule",
          id: random.chance(0.8) ? idOf() : `t${random.int(6)}`,
          to: random.chance(0.5) ? { type: random.pick(types), ...work(), passes: [] } : undefined,
          priority: random.pick([undefined, 0, 2, 9]),
          delayMs: random.pick([undefined, 0, 300, 2000])
        }
      case "operate":
        return { do: random.pick(["cancel", "rerun", "rerun", "remove"]), id: idOf() }
      default:
        return {
          do: "enqueue",
          tasks: Array.from({ length: random.pick([1, 1, 2, 4]) }, submission),
          whenFull: random.pick(["fail", "wait"]),
          awaits: random.chance(0.3)
        }
    }
  }
  return Array.from({ length: random.pick(counts) }, () => random.int(healsAt + 1000))
    .sort((a, b) => a - b)
    .map((at): Step => ({ at, instance: random.int(3), action: action() }))
}

/** In a quarter of the seeds: tasks with steps, and who completes what they wait for, more than once and too late. */
const drawFlows = (random: SeededRandom, size: Size, healsAt: number): ReadonlyArray<Step> => {
  const [probability, counts] = size.flows
  if (!random.chance(probability)) return []
  const idOf = () => `f${random.int(6)}`
  const eventOf = () => `e${random.int(2)}`
  const action = (): Action => {
    switch (random.pick(["flow", "flow", "flow", "signal", "signal", "signal", "operate"] as const)) {
      case "flow":
        return {
          do: "flow",
          id: idOf(),
          script: [
            ...Array.from(
              { length: random.pick([0, 1, 3]) },
              () => random.pick<Behaviour>(["ok", "ok", "fail", "die", "kill", "fatal"])
            ),
            "ok"
          ],
          ms: random.pick([0, 5, 100, 600]),
          restMs: random.pick([1, 300, 1500, 4000]),
          patienceMs: random.pick([null, 1, 1500, 4000]),
          event: random.chance(0.4) ? eventOf() : null,
          maxRetries: random.pick([3, -1, -1])
        }
      case "signal":
        return {
          do: "signal",
          of: random.chance(0.6) ? { task: idOf() } : { event: eventOf() },
          by: random.pick([-1, 1, 2])
        }
      case "operate":
        return { do: random.pick(["cancel", "rerun", "rerun", "remove"]), id: idOf() }
    }
  }
  return Array.from({ length: random.pick(counts) }, (): Step => ({
    at: random.int(healsAt + 1000),
    instance: random.int(3),
    action: action()
  }))
}

/**
 * In a few of the seeds: processes stand still in the middle of a step for longer than a lease, and go on while a later attempt of
 * the same task runs that step.
 */
const drawTakeovers = (
  random: SeededRandom,
  size: Size,
  healsAt: number
): { readonly faults: ReadonlyArray<Fault>; readonly steps: ReadonlyArray<Step> } => {
  if (healsAt < 8000 || !random.chance(size.takeovers)) return { faults: [], steps: [] }
  const at = random.int(1000)
  const duration = random.pick([4000, 4500, 5000, 5500, 6000, 6500])
  const spared = random.int(3)
  return {
    faults: [0, 1, 2].filter((instance) => instance !== spared).map((instance): Fault => ({
      do: "freeze",
      at: at + random.between(200, 1000),
      instance,
      turns: 1,
      duration
    })),
    steps: [0, 1, 2].map((instance): Step => ({
      at,
      instance,
      action: {
        do: "flow",
        id: `taken${instance}`,
        script: ["ok"],
        ms: 1500,
        restMs: 1,
        patienceMs: 1,
        event: null,
        maxRetries: -1
      }
    }))
  }
}

/** In a quarter of the seeds: schedules that tick each second or so. */
const drawSchedules = (random: SeededRandom, size: Size, healsAt: number): ReadonlyArray<Step> => {
  const [probability, counts] = size.schedules
  if (!random.chance(probability)) return []
  const action = (): ScheduleStep => {
    const name = `c${random.int(3)}`
    const what = random.pick(["schedule", "schedule", "pause schedule", "resume schedule", "run schedule"] as const)
    if (what !== "schedule") return { do: what, name }
    return {
      do: "schedule",
      name,
      everyMs: random.pick([1000, 1500, 4000]),
      forMs: random.pick([3000, 8000, 15_000]),
      missed: random.pick(["once", "once", "skip", "all"]),
      overlap: random.pick(["allow", "allow", "skip", "cancel"]),
      ms: random.pick([0, 100, 1500])
    }
  }
  return Array.from({ length: random.pick(counts) }, (): Step => ({
    at: random.int(healsAt),
    instance: random.int(3),
    action: action()
  }))
}

/** What is done with records: few of them, so that many want the same at the same time. */
const drawRecords = (random: SeededRandom, size: Size, healsAt: number): ReadonlyArray<Step> =>
  Array.from({ length: random.pick(size.records) }, (): Step => ({
    at: random.int(healsAt + 1000),
    instance: random.int(3),
    action: random.chance(0.5)
      ? { do: "append", logs: random.pick([["a"], ["b"], ["a", "b"], ["b", "a"]]) }
      : { do: "remind", id: `r${random.int(3)}`, dueInMs: random.pick([0, 500, 3000]) }
  }))

/** What tasks have to pass, in half of the seeds: mostly what meets. */
const families: ReadonlyArray<ReadonlyArray<ReadonlyArray<string>>> = [
  [[], ["l=a"], ["l=a"], ["l=b"]],
  [["l=a", "m=x"], ["m=x"], ["l=a"]],
  [["r=k"], ["r=k"], ["r=k", "l=a"]],
  [["!o=a"], ["!o=a"], ["!o=b"]],
  [["f=a"], ["f=a"], ["f=a"], ["f=b"]]
]

/** Limits that are set, by the name or pass that they are set for. */
const limits = {
  l: [{ max: 1 }, { max: 2 }],
  "l=a": [null, { max: 1 }, { max: 3 }, { lifted: true }],
  m: [{ max: 1 }, { max: 2 }, null],
  r: [{ tokens: 2, perMs: 1000, burst: 2 }, { tokens: 1, perMs: 1000, burst: 3 }],
  "!o": [{ order: "block" }, { order: "continue" }],
  f: [{ fair: 1 }, { fair: 2 }, null]
} as const

/** In a third of the seeds some tasks expire. */
const withExpiry = (random: SeededRandom) => {
  const isExpiring = random.chance(0.35)
  return (step: Step): Step =>
    !isExpiring || step.action.do !== "enqueue"
      ? step
      : {
        ...step,
        action: {
          ...step.action,
          tasks: step.action.tasks.map((task) => ({
            ...task,
            expiresInMs: random.pick([undefined, 1, 400, 1500, 5000])
          }))
        }
      }
}

/** In some of the seeds some tasks should start within a time. */
const withDeadlines = (random: SeededRandom, probability: number) => {
  const areTimed = random.chance(probability)
  return ({ action, ...step }: Step): Step => {
    if (areTimed && action.do === "reschedule") {
      return { ...step, action: { ...action, startWithinMs: random.pick([undefined, 1, 2000]) } }
    }
    if (!areTimed || action.do !== "enqueue") return { ...step, action }
    const tasks = action.tasks.map((task) => ({
      ...task,
      startWithinMs: random.pick([undefined, 1, 300, 2000, 60_000])
    }))
    return { ...step, action: { ...action, tasks } }
  }
}

/** Gives tasks their passes, with random numbers of its own. */
const withPasses = (random: SeededRandom) => {
  const isGated = random.chance(0.5)
  const passes = random.chance(0.7) ? random.pick(families) : families.flat()
  return (step: Step): Step => {
    const { action } = step
    if (isGated && action.do === "reschedule" && action.to !== undefined) {
      return { ...step, action: { ...action, to: { ...action.to, passes: random.pick(passes) } } }
    }
    return !isGated || action.do !== "enqueue"
      ? step
      : {
        ...step,
        action: { ...action, tasks: action.tasks.map((task) => ({ ...task, passes: random.pick(passes) })) }
      }
  }
}

/** The pass of the breaker that types have. */
export const breakerPass = "~b="

/** Lets some tasks need what the breaker is for. The pass of an order stays the first. */
const withBreaker = (random: SeededRandom) => (step: Step): Step =>
  step.action.do !== "enqueue"
    ? step
    : {
      ...step,
      action: {
        ...step.action,
        tasks: step.action.tasks.map((task) =>
          random.chance(0.3)
            ? task
            : {
              ...task,
              passes: task.passes.toSpliced(task.passes[0]?.startsWith("!") === true ? 1 : 0, 0, breakerPass)
            }
        )
      }
    }

/** What operators do about the breaker. */
const drawBreaker = (random: SeededRandom, healsAt: number): ReadonlyArray<Step> =>
  Array.from({ length: random.pick([0, 1, 3]) }, (): Step => ({
    at: random.int(healsAt + 1000),
    instance: random.int(3),
    action: { do: "breaker", openForMs: random.pick([null, 200, 1000, 3000]) }
  }))

/** Limits from the beginning, and what operators change of them. */
const drawGates = (random: SeededRandom, size: Size, healsAt: number): ReadonlyArray<Step> => {
  const [probability, counts] = size.gates
  const isGated = random.chance(probability)
  const ids = Object.keys(limits) as Array<keyof typeof limits>
  const limit = (id: keyof typeof limits): GateStep => ({
    do: "gate",
    kind: "limit",
    id,
    document: random.pick<unknown>(limits[id])
  })
  const change = (): GateStep => {
    const kind = random.pick(["limit", "limit", "paused-type", "paused-key"] as const)
    if (kind === "limit") return limit(random.pick(ids))
    const id = kind === "paused-type" ? random.pick(["work", "mail"]) : random.pick(families.flat(2))
    return { do: "gate", kind, id, document: random.chance(0.5) ? {} : null }
  }
  return [
    ...ids.map((id): Step => ({ at: random.int(300), instance: random.int(3), action: limit(id) })),
    ...Array.from({ length: isGated ? random.pick(counts) : 0 }, (): Step => ({
      at: random.int(healsAt + 1000),
      instance: random.int(3),
      action: change()
    }))
  ].filter(() => isGated)
}

const drawScript = (random: SeededRandom): ReadonlyArray<Behaviour> => {
  const rough = Array.from(
    { length: random.pick([0, 0, 1, 2, 4]) },
    () =>
      random.pick<Behaviour>([
        "ok",
        "progress",
        "fail",
        "fail",
        "early",
        "fatal",
        "die",
        "hang",
        "resist",
        "snooze",
        "spawn",
        "kill"
      ])
  )
  // It comes to an end: else nothing could be said about when everything has finished.
  return [...rough, random.pick<Behaviour>(["ok", "ok", "ok", "progress", "spawn", "fatal"])]
}

/** Some tasks end together with a record, and with the start of the next task. */
const withChain = (random: SeededRandom, script: ReadonlyArray<Behaviour>): ReadonlyArray<Behaviour> =>
  random.chance(0.35) ? script.toSpliced(random.int(script.length), 0, "chain") : script

/** Some scripts have an end that cannot be stored. It has random numbers of its own, so that all else stays as it was. */
const withOdd = (
  random: SeededRandom,
  probability: number,
  script: ReadonlyArray<Behaviour>
): ReadonlyArray<Behaviour> => {
  if (!random.chance(probability)) return script
  // Not the last word: an error may be tried again for ever
  return script.toSpliced(
    random.int(script.length),
    0,
    random.pick<Behaviour>(["unfit", "cyclic", "refused", "refused"])
  )
}
