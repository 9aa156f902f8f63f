/**
 * Who shares the store: the instances that are alive and what they run, and leases for chores that should run once.
 *
 * Rules that the conformance suite proves for each driver:
 *
 * - A driver reads its own clock, as for `TaskStore`: durations go in, absolute times come out, whole milliseconds.
 * - Boundaries are inclusive: when the time that a beat keeps an instance has passed, it is gone, and so is a lead.
 * - A lead has one holder at a time. The holder renews it, any instance takes one that ran out or was given up.
 * - Nothing here guards a task: claim numbers do. A former leader that stood still may be in the middle of its chore
 *   while the next one begins, so a chore must be harmless when two do it; a lead only spares the work.
 */
import { Context, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import { hostname } from "node:os"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import type { Levels } from "../domain/LogLevels.ts"

/** A task that an instance runs. */
export interface RunningTask {
  /** The number of the instance's slot that it runs in. */
  readonly slot: number
  readonly id: string
  readonly type: string
  /** How long it had run when the instance said so, in milliseconds. */
  readonly forMs: number
}

/** What decides how many slots an instance has. */
export interface Sizing {
  /** `start`: it keeps what it began with. `load`: how busy it is. `hand`: an operator. */
  readonly by: "start" | "load" | "hand"
  /** The fewest that it makes of them by itself; `null` where it keeps what it began with. */
  readonly min: number | null
  /** The most that it may have, also by hand. */
  readonly max: number
  /** Whether it takes no more tasks, because an operator said so. */
  readonly draining: boolean
}

/** What an instance did in the time before it said so, a minute at most. Times are in milliseconds. */
export interface Load {
  readonly forMs: number
  /** Attempts that ended. */
  readonly ended: number
  /** How long its slots were busy, added up. */
  readonly busyMs: number
}

/** What a queue has of an instance's slots, and how many of them run its tasks. */
export interface QueueShare {
  /** Its name; `*` for those that have no share of their own. */
  readonly queue: string
  /** Slots that are kept for it. */
  readonly reserved: number
  /** Slots that it may have at most; `null` for all. */
  readonly max: number | null
  /** Tasks that start in each turn. */
  readonly weight: number
  readonly running: number
}

/** A sign of life: what an instance says about itself. */
export interface Beat {
  /** Unique among all that run. */
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly version: string
  /** How long it has been up, in milliseconds. */
  readonly upForMs: number
  /** Tasks that it runs at the same time. */
  readonly capacity: number
  /** The queues that it works on; all of them when none is named. */
  readonly queues: ReadonlyArray<string>
  /** The types that it handles. */
  readonly types: ReadonlyArray<string>
  /** The names of the limits that these types have. */
  readonly limits?: ReadonlyArray<string> | undefined
  readonly running: ReadonlyArray<RunningTask>
  /** Left out by instances that cannot be told another size. */
  readonly sizing?: Sizing | undefined
  readonly load?: Load | undefined
  /** Left out where the queues of an instance have no shares. */
  readonly shares?: ReadonlyArray<QueueShare> | undefined
  /** The levels of its log by module, `*` for all others; left out where its log has no levels by module. */
  readonly logLevels?: Levels | undefined
}

/** A living instance. */
export interface InstanceRecord extends Omit<Beat, "upForMs"> {
  /** The store's clock, worked out at the first beat and then kept. */
  readonly startedAt: number
  /** When it gave its last sign of life. */
  readonly seenAt: number
  /** The chores whose lease it holds, in alphabetical order. */
  readonly leads: ReadonlyArray<string>
}

/** What an instance says of itself, as the text that a store keeps of it: no query looks inside. */
export const aboutOf = ({ id: _id, upForMs: _upForMs, ...about }: Beat): string => JSON.stringify(about)

/** The instance of such a text. */
export const instanceOf = (
  id: string,
  startedAt: number,
  seenAt: number,
  about: string,
  leads: ReadonlyArray<string>
): InstanceRecord => ({
  ...(JSON.parse(about) as Omit<InstanceRecord, "id" | "startedAt" | "seenAt" | "leads">),
  id,
  startedAt,
  seenAt,
  leads
})

/** The order of a roll. */
export const byAge = (a: InstanceRecord, b: InstanceRecord): number =>
  a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1)

/** The living instances, oldest first, then by id. */
export interface Roll {
  readonly instances: ReadonlyArray<InstanceRecord>
  /** The store's clock. */
  readonly now: number
}

/** Where instances meet. Implemented by drivers, as `TaskStore` is. */
export class InstanceStore extends Context.Service<InstanceStore, {
  /** Records a sign of life. The instance is listed for `keepForMs` from now on. */
  readonly beat: (beat: Beat, keepForMs: number) => Effect.Effect<void, StoreError>
  /** Takes an instance off the list and gives up its leads. */
  readonly leave: (id: string) => Effect.Effect<void, StoreError>
  /** Those that are alive. */
  readonly list: Effect.Effect<Roll, StoreError>
  /**
   * Takes the lease of a chore for `forMs`, or renews it; answers whether the instance holds it now. It need not be
   * listed.
   */
  readonly lead: (chore: string, id: string, forMs: number) => Effect.Effect<boolean, StoreError>
}>()("taskforge/store/InstanceStore") {}

/** The version of this package, as health, the registry of instances and the API reference show it. */
export const version = "0.1.0"

/** What the others call this instance, and where people find it. */
export class Instance
  extends Context.Service<Instance, Pick<Beat, "id" | "host" | "pid" | "version">>()("taskforge/store/Instance")
{
  /** This process, under a random name unless it is given one. Dies of `InvalidOption` when no store could keep that. */
  static readonly layer = (id?: string): Layer.Layer<Instance, never, SecureRandom.SecureRandom> =>
    Layer.effect(
      Instance,
      Effect.gen(function*() {
        Bounds.demand("instance", Bounds.name, id)
        const random = yield* SecureRandom.SecureRandom
        return {
          id: id ?? `instance-${(yield* random.uuidV4()).slice(0, 8)}`,
          host: hostname(),
          pid: process.pid,
          version
        }
      })
    )
}
