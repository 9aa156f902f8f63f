/**
 * Limits of queues, as the configuration of a process says them. A task carries those of its queue from when it is enqueued, as it
 * does those of its type: so all instances keep them, whatever they are configured with.
 */
import * as Bounds from "./Bounds.ts"
import { InvalidOption } from "./Errors.ts"
import * as Gate from "./Gate.ts"
import * as LimitRule from "./LimitRule.ts"
import type { AnyTaskDefinition } from "./TaskDefinition.ts"

/** The limits of each queue by its name, made with `Limit.concurrency` and `Limit.rate`. They have no keys and no costs. */
export type QueueLimits = Readonly<Record<string, ReadonlyArray<LimitRule.Limit<unknown>>>>

/** The rules of queues, by their names. */
export type Rules = ReadonlyMap<string, ReadonlyArray<LimitRule.LimitRule<unknown>>>

/** Limits of one queue at most. */
const maxLimits = 2

/** Queues with limits at most. */
const maxQueues = 100

/** What these limits say. Throws `InvalidOption` where one is out of bounds, or has a key or a cost: a queue knows no payloads. */
export const rulesOf = (limits: QueueLimits = {}): Rules => {
  const rules = new Map<string, ReadonlyArray<LimitRule.LimitRule<unknown>>>()
  const queues = Object.entries(limits)
  Bounds.demand("queue.limits", atMost(maxQueues, "queues"), queues.length)
  for (const [queue, given] of queues) {
    const option = `queue.limits.${queue}`
    Bounds.demand("queue.limits", Bounds.name, queue)
    Bounds.demand("queue.limits", single, queue)
    LimitRule.demandArray(option, given ?? null)
    Bounds.demand(option, atMost(maxLimits, "limits"), given.length)
    if (given.some(({ name }) => name === undefined)) Bounds.demand("queue.limits", nameable, queue)
    for (const { cost, key } of given) {
      Bounds.demand(`${option}.key`, nothing, key)
      Bounds.demand(`${option}.cost`, nothing, cost)
    }
    rules.set(queue, LimitRule.rulesOf(`queue:${queue}`, { limits: given }))
  }
  return rules
}

const atMost = (max: number, what: string): Bounds.Bound<number> => ({
  expected: `at most ${max} ${what}`,
  accepts: (count) => count <= max
})

/** In shares it stands for all other queues, so that it would be expected to do so here too. */
const single: Bounds.Bound<string> = {
  expected: "each queue by its name: * does not stand for the others here",
  accepts: (queue) => queue !== "*"
}

/** The longest name that a limit without one of its own gets. */
const nameOf = (queue: string): string => `queue:${queue}:concurrency`

/** What limits get their names from that have none of their own. */
const nameable: Bounds.Bound<string> = {
  expected: `a queue of at most ${LimitRule.maxLimitNameLength - nameOf("").length} characters without =, or a name ` +
    "for each of its limits",
  accepts: (queue) => LimitRule.limitName.accepts(nameOf(queue))
}

const nothing: Bounds.Bound<unknown> = {
  expected: "none: the limit of a queue is shared by all its tasks",
  accepts: (value) => value === undefined
}

/** What a task must pass to start: what its type says, and the limits of its queue before any turns. */
export const gateOf = (
  queue: string,
  { limits }: AnyTaskDefinition,
  gated: Gate.Gated | undefined,
  rules: Rules
): Gate.Gated | undefined => {
  const ofQueue = rules.get(queue)
  if (ofQueue === undefined) return gated
  const known = gated ?? Gate.none
  const costs = Gate.costsOf(known)
  const passes = Gate.passesOf(known.gate).map((pass, index) => [pass, costs[index] ?? 1] as const)
  const turns = limits.at(-1)
  const end = turns !== undefined && "fair" in turns.limit ? passes.length - 1 : passes.length
  const added = ofQueue.map(({ name }) => [Gate.passOf(name, ""), 1] as const)
  return Gate.gated([...passes.slice(0, end), ...added, ...passes.slice(end)])
}

/** What is known of a task that is enqueued. */
interface Submitted {
  readonly definition: AnyTaskDefinition
  readonly options: { readonly queue?: string | undefined }
  readonly gated?: Gate.Gated | undefined
}

/** Why the first task is refused whose gate is too large for a store, together with what the limits of its queue add; `undefined` where none is. */
export const tooLarge = (submissions: ReadonlyArray<Submitted>, rules: Rules): InvalidOption | undefined => {
  if (rules.size === 0) return undefined
  for (const [index, { definition, gated, options }] of submissions.entries()) {
    const queue = options.queue ?? definition.queue
    const { gate } = gateOf(queue, definition, gated, rules) ?? Gate.none
    if (gate === null || gate.length <= Gate.maxGateBytes / 3) continue
    const bytes = new TextEncoder().encode(gate).length
    if (bytes <= Gate.maxGateBytes) continue
    const expected = `names and keys of limits of at most ${Gate.maxGateBytes} bytes, those of the queue included`
    return new InvalidOption({ option: "queue", found: `${queue}, ${bytes} bytes`, expected, index })
  }
  return undefined
}
