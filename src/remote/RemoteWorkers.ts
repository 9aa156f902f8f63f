/**
 * The workers in other processes that this server has heard of, as instances among those of the store: while they live, `explain` and
 * health know that someone handles their types. A worker lives while it waits for tasks, while its claims hold, and for some time after
 * its last request. Several servers may tell of the same worker; what each says of it is kept as long as a lease.
 */
import { type Clock, Effect, Latch } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { TooManyWorkers } from "../domain/RemoteErrors.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Beat, InstanceStore } from "../store/InstanceStore.ts"
import type { ClaimFacts } from "./ClaimToken.ts"
import type { RemoteWorker } from "./RemoteTask.ts"

/** Workers that one server tells of at most. */
export const maxWorkers = 1000

/** How long a worker is taken to live after its last request, unless its claims hold for longer. */
const livesForMs = 30_000

/** Tasks that are shown of a worker at most. */
const maxShown = 1000

/** What marks the instances that are workers elsewhere: no engine's own name is taken by one of them. */
const mark = "remote:"

/** The instance that a worker is to others. */
export const instanceOf = (worker: Pick<RemoteWorker, "name">): string => `${mark}${worker.name}`

interface Held {
  readonly facts: ClaimFacts
  readonly startedAt: number
  until: number
}

/** A worker. Times are of the monotonic clock, in milliseconds. */
interface Known {
  about: RemoteWorker
  types: ReadonlyArray<string>
  limits: ReadonlyArray<string>
  queues: ReadonlyArray<string>
  readonly since: number
  seenAt: number
  waiting: number
  readonly held: Map<number, Held>
}

/** What a worker works on. */
export interface Works {
  readonly types: ReadonlyArray<string>
  readonly limits: ReadonlyArray<string>
  readonly queues: ReadonlyArray<string>
}

/** Starts telling of workers, until the scope closes. */
export const start = Effect.fnUntraced(function*(options: {
  readonly instances: InstanceStore["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly clock: Clock.Clock
  /** How long what is said of a worker is kept. */
  readonly keepForMs: number
}) {
  const { clock, instances, keepForMs, supervisor } = options
  const known = new Map<string, Known>()
  // Most servers never hear of one, and have nothing to tell
  const some = Latch.makeUnsafe(false)
  const now = () => MonotonicClock.exactMillis(clock)

  const livesUntil = (worker: Known): number => {
    if (worker.waiting > 0) return Infinity
    let until = worker.seenAt + livesForMs
    for (const held of worker.held.values()) until = Math.max(until, held.until)
    return until
  }

  const forgetDead = (at: number): void => {
    for (const [instance, worker] of known) {
      for (const [claim, held] of worker.held) if (held.until < at) worker.held.delete(claim)
      if (livesUntil(worker) < at) known.delete(instance)
    }
    if (known.size === 0) some.closeUnsafe()
  }

  const beatOf = (id: string, { about, held, limits, queues, since, types }: Known, at: number): Beat => ({
    id,
    host: about.host,
    pid: about.pid,
    version: about.version,
    upForMs: Math.round(at - since),
    capacity: about.slots,
    queues,
    types,
    limits,
    running: [...held.values()].slice(0, maxShown).map(({ facts, startedAt }) => ({
      slot: facts.slot,
      id: facts.id,
      type: facts.type,
      forMs: Math.max(0, Math.round(at - startedAt))
    }))
  })

  const tell = (instance: string, worker: Known) => instances.beat(beatOf(instance, worker, now()), keepForMs)

  const tellAll = Effect.suspend(() => {
    forgetDead(now())
    return Effect.forEach([...known], ([instance, worker]) => tell(instance, worker), { discard: true, concurrency: 8 })
  })

  yield* supervisor.loop("remote workers", tellAll, {
    when: Effect.andThen(some.await, Effect.sleep(keepForMs / 3)),
    maxBackoff: keepForMs / 3
  })

  /** A worker asks for tasks: the others learn at once of one that is new, or works on something else. */
  const asks = (about: RemoteWorker, works: Works): Effect.Effect<void, TooManyWorkers> =>
    Effect.suspend(() => {
      const instance = instanceOf(about)
      const before = known.get(instance)
      if (before === undefined && known.size >= maxWorkers) {
        forgetDead(now())
        if (known.size >= maxWorkers) return Effect.fail(new TooManyWorkers({ max: maxWorkers }))
      }
      const worker = before ?? { about, ...works, since: now(), seenAt: now(), waiting: 0, held: new Map() }
      const isNews = before === undefined || before.about.slots !== about.slots || !isSame(before, works)
      Object.assign(worker, { about, ...works, seenAt: now() })
      known.set(instance, worker)
      some.openUnsafe()
      // Others learn of it by the next round where the store does not answer
      return isNews ? Effect.ignore(tell(instance, worker)) : Effect.void
    })

  /** While it waits, it lives. */
  const waits = <A, E, R>(about: RemoteWorker, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      const worker = known.get(instanceOf(about))
      if (worker === undefined) return effect
      worker.waiting++
      return Effect.ensuring(
        effect,
        Effect.sync(() => {
          worker.waiting--
          worker.seenAt = now()
        })
      )
    })

  /** It holds a claim for so long from now on. Another server may have given it. */
  const holds = (facts: ClaimFacts, forMs: number): void => {
    const worker = known.get(facts.instance)
    if (worker === undefined) return
    worker.seenAt = now()
    const held = worker.held.get(facts.claim)
    if (held !== undefined) held.until = now() + forMs
    else worker.held.set(facts.claim, { facts, startedAt: now(), until: now() + forMs })
  }

  /** It does not hold a claim any more. */
  const letsGo = ({ claim, instance }: ClaimFacts): void => {
    known.get(instance)?.held.delete(claim)
  }

  /** The lowest numbers of places that a worker does not use, as far as this server knows. */
  const freeSlots = (about: RemoteWorker, count: number): ReadonlyArray<number> => {
    const used = new Set(Array.from(known.get(instanceOf(about))?.held.values() ?? [], ({ facts }) => facts.slot))
    const free: Array<number> = []
    for (let slot = 1; free.length < count; slot++) if (!used.has(slot)) free.push(slot)
    return free
  }

  return { asks, waits, holds, letsGo, freeSlots }
})

const isSame = (known: Known, works: Works): boolean =>
  known.types.join("\n") === works.types.join("\n") && known.queues.join("\n") === works.queues.join("\n")
