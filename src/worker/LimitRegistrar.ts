/**
 * Puts the limits of the types that a pool handles where all claims read them, before the pool claims any of these types: a task that
 * started before its limit is stored would not be limited. Breakers are put with them, so that people see them.
 */
import { Effect } from "effect"
import type * as Breaker from "../domain/Breaker.ts"
import type { StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import type { LimitRule } from "../domain/LimitRule.ts"
import * as LogModule from "../domain/LogModule.ts"
import type * as QueueLimits from "../domain/QueueLimits.ts"
import * as StoredType from "../domain/StoredType.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import type { ClaimedTask } from "../domain/TaskRecord.ts"
import * as BreakerRecords from "../store/BreakerRecords.ts"
import type { Beat } from "../store/InstanceStore.ts"
import * as LimitRecords from "../store/LimitRecords.ts"
import { RecordStore } from "../store/RecordStore.ts"

/** What is known of the types that are claimed. */
export interface Known {
  readonly types: () => ReadonlyArray<string>
  readonly find: (type: string) => { readonly definition: AnyTaskDefinition } | undefined
}

/** Answers what has to be done before each claim. It costs nothing while the handlers are the same. */
export const make = (
  registry: Known,
  records: RecordStore["Service"],
  queues: QueueLimits.Rules
): Effect.Effect<void, StoreError> => {
  let registered: ReadonlyArray<string> = []
  return Effect.suspend(() => {
    const types = registry.types()
    if (types === registered) return Effect.void
    const declared = breakersOf(
      StoredType.namesOf(types).flatMap((type) => registry.find(type)?.definition.breakers ?? [])
    )
    const { differing, limits } = limitsOf(rulesOf(types, registry, queues))
    return Effect.gen(function*() {
      for (const name of [...differing, ...declared.differing]) {
        yield* Effect.logWarning(`${name} is defined differently by several types: the first one counts`)
      }
      const changed = [
        ...(limits.size === 0 ? [] : yield* LimitRecords.register(limits)),
        ...(declared.breakers.size === 0 ? [] : yield* BreakerRecords.register(declared.breakers))
      ]
      if (changed.length > 0) yield* Effect.logDebug(`limits as they are defined: ${changed.join(", ")}`)
      registered = types
    }).pipe(Effect.provideService(RecordStore, records), LogModule.within("limits"))
  })
}

/** The types of a pool, and the names of the limits that these and its queues have. */
export const described = (
  registry: Known,
  queues: QueueLimits.Rules
): Pick<Beat, "types" | "limits"> => {
  const types = registry.types()
  return { types, limits: [...new Set(rulesOf(types, registry, queues).map(({ name }) => name))] }
}

const rulesOf = (
  types: ReadonlyArray<string>,
  registry: Known,
  queues: QueueLimits.Rules
): ReadonlyArray<LimitRule<never>> => [
  // a breaker that is closed is no limit
  ...StoredType.namesOf(types).flatMap((type) => registry.find(type)?.definition.limits ?? []).filter(({ name }) =>
    !name.startsWith(Gate.breakerMark)
  ),
  ...[...queues.values()].flat()
]

/** What definitions say of breakers, by their names, and what is defined differently. */
const breakersOf = (declared: ReadonlyArray<Breaker.Rule<never>>) => {
  const breakers = new Map<string, BreakerRecords.Defined>()
  const differing = new Set<string>()
  for (const { key, name, settings } of declared) {
    const defined = { ...settings, keyed: key !== undefined }
    const known = breakers.get(name)
    if (known === undefined) breakers.set(name, defined)
    else if (JSON.stringify(known) !== JSON.stringify(defined)) differing.add(`the breaker ${name}`)
  }
  return { breakers, differing }
}

/** The limits of definitions by the ids of their records, and the ids that are defined differently. */
const limitsOf = (rules: ReadonlyArray<LimitRule<never>>) => {
  const limits = new Map<string, LimitRecords.Defined>()
  const differing = new Set<string>()
  const add = (id: string, defined: LimitRecords.Defined) => {
    const known = limits.get(id)
    if (known === undefined || (defined.keyed && !known.keyed)) {
      limits.set(id, { limit: known?.limit ?? defined.limit, keyed: defined.keyed })
    }
    if (known === undefined) return
    if (JSON.stringify(known.limit) !== JSON.stringify(defined.limit)) differing.add(`the limit ${id}`)
  }
  for (const { key, limit, name, ofKeys } of rules) {
    const keyed = key !== undefined
    add(name, { limit, keyed })
    for (const [key, limit] of ofKeys) add(Gate.passOf(name, key), { limit, keyed })
  }
  return { limits, differing }
}

/** Whether the ends of attempts may let other tasks start, which no claim has to look for until it is told. */
export const haveMadeRoom = (
  ended: ReadonlyArray<
    { readonly attempt: { readonly definition: AnyTaskDefinition; readonly task: Pick<ClaimedTask, "gate" | "queue"> } }
  >,
  queues: QueueLimits.Rules
): boolean =>
  ended.some(({ attempt: { definition, task } }) =>
    task.gate !== null && (makesRoom(definition.limits) || makesRoom(queues.get(task.queue) ?? []))
  )

const makesRoom = (rules: ReadonlyArray<LimitRule<never>>): boolean =>
  rules.some(({ limit }) => "max" in limit || "order" in limit)
