/** One run: a cluster, a scenario, and the invariants. */
import { Context, Effect } from "effect"
import * as Simulation from "../../src/testing/Simulation.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Cluster } from "./Cluster.ts"
import { steps } from "./Flows.ts"
import type { GateLedger } from "./GateLedger.ts"
import { boundMs, type Final, invariants } from "./invariants.ts"
import { isFinished } from "./Known.ts"
import type { Ledger } from "./Ledger.ts"
import type { Mutant } from "./Mutant.ts"
import { type Action, calmAt, type GateStep, pollMs, type Scenario, type Step } from "./Scenario.ts"

/** An invariant that did not hold. */
export interface Violation {
  readonly invariant: string
  readonly at: number
  readonly how: string
}

/** What came of a run. */
export interface Verdict {
  readonly seed: number
  /** Empty when all is well. */
  readonly violations: ReadonlyArray<Violation>
  readonly digest: string
  readonly trace: ReadonlyArray<string>
  readonly simulatedMs: number
  readonly steps: number
}

/** Violations after which a run has told enough. */
const enough = 5

/** Runs a scenario to its end, or until so many violations have been seen. */
export const run = (scenario: Scenario, mutant?: Mutant, most = enough): Verdict => {
  const violations: Array<Violation> = []
  const repair = mutant?.patch?.()
  try {
    const result = Simulation.run(play(scenario, mutant, violations, most), {
      seed: scenario.seed,
      maxDuration: scenario.healsAt + boundMs + 60_000,
      maxSteps: 3_000_000
    })
    const { outcome } = result
    if (outcome._tag !== "Succeeded") {
      const how = outcome._tag === "Failed" ? String(outcome.cause) : outcome._tag
      violations.push({ invariant: "runs", at: result.simulatedMs, how })
    } else if (result.fibersLeft + result.timersLeft > 0) {
      const how = `${result.fibersLeft} fibers and ${result.timersLeft} timers of the simulation itself are left`
      violations.push({ invariant: "runs", at: result.simulatedMs, how })
    }
    return {
      seed: scenario.seed,
      violations: violations.slice(0, most),
      digest: result.digest,
      trace: result.trace,
      simulatedMs: result.simulatedMs,
      steps: result.steps
    }
  } finally {
    repair?.()
  }
}

const play = Effect.fnUntraced(function*(
  scenario: Scenario,
  mutant: Mutant | undefined,
  violations: Array<Violation>,
  most: number
) {
  const { world } = yield* Simulation.Simulation
  const cluster = yield* Cluster.make(scenario, world, mutant)
  const { ledger, witness } = cluster
  const watches = invariants.map(({ name, watch }) => ({
    ...watch(ledger, scenario),
    violated: (how: string) => {
      violations.push({ invariant: name, at: world.now, how })
      world.log(`VIOLATED ${name}: ${how}`)
    }
  }))
  witness.onEvent((event) => {
    try {
      for (const { on, violated } of watches) on?.(event, violated)
      ledger.apply(event)
    } catch (cause) {
      // What the invariants cannot make sense of must not look like an error of the engine.
      violations.push({ invariant: "runs", at: world.now, how: `${(cause as Error).stack}` })
    }
  })

  const { healsAt } = scenario
  for (let instance = 0; instance < scenario.instances.length; instance++) cluster.start(instance)
  for (const fault of scenario.faults) world.after(fault.at, () => cluster.inflict(fault))
  for (const { action, at, instance } of scenario.steps) world.after(at, () => cluster.call(instance, action))
  world.after(healsAt, () => cluster.heal())
  for (const { action, at, instance } of afterwards(scenario)) {
    world.after(at, () => cluster.call(instance, action))
  }

  const deadline = healsAt + boundMs
  const settledAt = calmAt(scenario) + (scenario.hanging > 0 ? 1200 : 0)
  let doubts: ReadonlyArray<string> = []
  // Long enough for each idle process to ask for work once more, while no late message brings new work.
  for (let quietSince = Infinity; world.now < deadline && violations.length < most;) {
    yield* Effect.sleep(250)
    // An operator sees to it that nothing stays paused: a late message may have done it once more.
    if (world.now > calmAt(scenario)) {
      for (const queue of ledger.paused) cluster.call(0, { do: "resume", queue })
      for (const action of stillClosed(ledger.gates)) cluster.call(0, action)
      for (const { document, id } of ledger.records.of("batch")) {
        if (!JSON.parse(document).isSealed) cluster.call(0, { do: "seal", batch: id })
      }
      for (const { state, task: { id, type } } of ledger.tasks.values()) {
        if (type === "workflow:Order" && state === "scheduled") cluster.call(0, { do: "approve", id, by: 3 })
      }
      for (const token of awaited(ledger)) cluster.call(0, { do: "signal", of: { token }, by: 3 })
    }
    if (world.now < settledAt) continue
    doubts = doubtsOf(cluster)
    quietSince = doubts.length > 0 ? Infinity : Math.min(quietSince, world.now)
    if (world.now - quietSince >= pollMs + 250) break
  }

  if (violations.length >= most) return
  const final = yield* examine(cluster, doubts)
  for (const { atEnd, violated } of watches) atEnd?.(final, violated)
})

/** What is done in calm: tasks that hang are cancelled. */
const afterwards = (scenario: Scenario): ReadonlyArray<Step> => {
  const calm = calmAt(scenario)
  const hanging = (id: string): Action => ({
    do: "enqueue",
    tasks: [{
      id,
      type: "work",
      script: ["hang", "ok"],
      ms: 0,
      key: undefined,
      priority: 9,
      delayMs: 0,
      maxRetries: 3,
      expiresInMs: undefined,
      startWithinMs: undefined,
      passes: []
    }],
    whenFull: "wait",
    awaits: true
  })
  return [
    { at: calm + 100, instance: 0, action: hanging("calm0") },
    { at: calm + 800, instance: 1, action: { do: "cancel" as const, id: "calm0" } },
    { at: calm + 100, instance: 1, action: hanging("calm1") },
    { at: calm + 900, instance: 2, action: { do: "cancel" as const, id: "calm1" } }
  ].slice(0, 2 * scenario.hanging)
}

/** What an operator does about gates that are closed: one by one, tasks would take longer than a run. */
const stillClosed = ({ limits, pausedKeys, pausedTypes }: GateLedger): ReadonlyArray<GateStep> => [
  ...[...pausedKeys].map((id): GateStep => ({ do: "gate", kind: "paused-key", id, document: null })),
  ...[...pausedTypes].map((id): GateStep => ({ do: "gate", kind: "paused-type", id, document: null })),
  ...[...limits].flatMap(([id, limit]): ReadonlyArray<GateStep> =>
    "lifted" in limit ? [] : [{ do: "gate", kind: "limit", id, document: { lifted: true } }]
  )
]

/** Signals that nobody has completed, and that tasks sleep for. */
const awaited = ({ flows, tasks }: Ledger): ReadonlySet<string> =>
  new Set(
    [...flows.lives.values()].flatMap(({ id, kept }) => {
      const end = kept.get(steps.answer)?.end
      const isAwaited = end?._tag === "Wait" && tasks.get(id)?.state === "scheduled" && !flows.endedAt.has(end.token)
      return isAwaited ? [end.token] : []
    })
  )

/** What is not yet as it has to be in the end. */
const doubtsOf = ({ ledger, processes }: Cluster): ReadonlyArray<string> => [
  ...ledger.records.of("schedule").filter(({ dueAt }) => dueAt !== null).map(({ id }) => `the schedule ${id} goes on`),
  ...ledger.records.of("reminder").map(({ id }) => `the reminder ${id} is not done`),
  ...ledger.records.of("batch").filter(({ document }) => !JSON.parse(document).isFinished).map(({ id }) =>
    `the batch ${id} has not finished`
  ),
  ...[...ledger.tasks.values()].filter((known) => !isFinished(known)).map(({ state, task }) =>
    `${task.id} is ${state}`
  ),
  ...processes.filter(({ closed, machine }) => machine.isAlive && !closed).flatMap(({ calls, context, name }) => [
    ...(context === undefined ? [`${name} has not started`] : []),
    ...[...ledger.processes.get(name)!.running].map(({ claim, id }) => `${name} still runs ${id}#${claim}`),
    ...(ledger.processes.get(name)!.limits.length === 0
      ? [`${name} has not asked for work since it had some`]
      : []),
    ...[...calls].map((call) => `${name} has not answered ${call}`)
  ])
]

/** Shuts everything down and looks at what is left. */
const examine = Effect.fnUntraced(function*(
  cluster: Cluster,
  unfinished: ReadonlyArray<string>
): Effect.fn.Return<Final> {
  const last = cluster.processes.filter(({ closed, machine }) => machine.isAlive && !closed)
  for (const process of last) cluster.close(process)
  for (let turn = 0; turn < 100 && !last.every(({ closed }) => closed); turn++) yield* Effect.sleep(100)
  const left: Array<Final["left"][number]> = []
  for (const { context, machine, name } of last) {
    const pool = context === undefined ? undefined : Context.get(context, WorkerPool)
    left.push({
      process: name,
      fibers: machine.fibers,
      timers: machine.timers,
      active: pool === undefined ? 0 : yield* pool.active
    })
  }
  const { tasks: records } = yield* Effect.orDie(cluster.store.list({ limit: 100_000, maxBytes: Infinity }))
  const counts = yield* Effect.orDie(cluster.store.counts)
  const documents = yield* Effect.orDie(Effect.forEach(
    ["log", "reminder"],
    (kind) => Effect.map(cluster.records.list(kind), ({ records }) => records.map((record) => ({ kind, ...record })))
  ))
  const { lanes } = yield* Effect.orDie(cluster.store.laneCounts({ limit: 1000 }))
  return { records, documents: documents.flat(), counts, lanes, unfinished, left }
})
