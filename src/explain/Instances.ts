/** What instances can run, and have room for, by what they said last. */
import { storedTypeOf } from "../domain/StoredType.ts"
import type { InstanceRecord, QueueShare } from "../store/InstanceStore.ts"

/** Whether an instance handles a type in a version, and works on its queue. */
export const canRun = (
  { queues, types }: InstanceRecord,
  { queue, type, version }: {
    readonly queue: string
    readonly type: string
    readonly version?: number | undefined
  }
): boolean => types.includes(storedTypeOf(type, version)) && (queues.length === 0 || queues.includes(queue))

/** What a queue has of an instance's slots, if they are shared. */
export const shareOf = ({ shares }: InstanceRecord, queue: string): QueueShare | undefined =>
  shares?.find((share) => share.queue === queue) ?? shares?.find((share) => share.queue === "*")

/** Slots that an instance may give to a task of a queue. */
export const roomOf = (instance: InstanceRecord, queue: string): number => {
  const free = instance.capacity - instance.running.length
  const share = shareOf(instance, queue)
  if (share === undefined) return free
  const unused = ({ reserved, running }: QueueShare) => Math.max(0, reserved - running)
  const kept = (instance.shares ?? []).reduce((sum, one) => sum + unused(one), 0)
  return Math.min((share.max ?? Infinity) - share.running, unused(share) + Math.max(0, free - kept))
}

/**
 * Whether an instance has had free slots for so long: none of its attempts has ended since, so none of these slots has become free since. One
 * that does not say what it did may have.
 */
export const hasBeenFree = ({ capacity, load, running }: InstanceRecord, forMs: number): boolean =>
  running.length < capacity && (load === undefined || load.ended === 0 && load.forMs >= forMs)
