/** The living instances and their slots as clients see them, who call a slot a worker. */
import { Duration } from "effect"
import { millisBetween } from "../domain/StoredTime.ts"
import type { LivingInstance, LivingInstances } from "../queue/Instances.ts"
import type { SlotView } from "../worker/WorkerPool.ts"
import type { WorkersJson } from "./api/SystemApi.ts"
import { instant, timestamp } from "./TaskView.ts"

type Workers = Omit<typeof WorkersJson.Type, "queue_size">

/** What the pool of this process knows better than the list, which is as old as its last sign of life. */
export interface OwnPool {
  readonly instance: string
  readonly slots: ReadonlyArray<SlotView>
}

/** Every slot of every instance. */
export const toJson = ({ instances, now }: LivingInstances, own: OwnPool | undefined): Workers => {
  const shown = instances.map((instance) => ({
    instance,
    slots: instance.id === own?.instance ? own.slots : slotsOf(instance, millisBetween(instance.seenAt, now))
  }))
  const workers = shown.flatMap(({ instance, slots }) => slots.map((slot) => slotJson(instance.id, slot)))
  return {
    running: shown.some(({ slots }) => slots.length > 0),
    worker_count: workers.length,
    workers,
    timestamp: timestamp(now),
    instances: shown.map(({ instance, slots }) => instanceJson(instance, slots))
  }
}

/** A slot for each task that may run at once, as it was `agoMs` ago. */
const slotsOf = ({ capacity, running }: LivingInstance, agoMs: number): ReadonlyArray<SlotView> => {
  const busy = new Map(running.map((task) => [task.slot, task]))
  return Array.from({ length: capacity }, (_, index) => {
    const task = busy.get(index + 1)
    return {
      slot: index + 1,
      task: task && { id: task.id, type: task.type, runningForMs: Duration.toMillis(task.runningFor) + agoMs }
    }
  })
}

const slotJson = (instance: string, { slot, task }: SlotView): Workers["workers"][number] => ({
  id: `${instance}/${slot}`,
  running: task !== undefined,
  instance,
  slot,
  task: task === undefined ? null : { id: task.id, type: task.type, running_for_ms: Math.round(task.runningForMs) }
})

const instanceJson = (
  { host, id, leads, pid, queues, seenAt, startedAt, types, version }: LivingInstance,
  slots: ReadonlyArray<SlotView>
): Workers["instances"][number] => ({
  id,
  host,
  pid,
  version,
  started_at: timestamp(startedAt),
  seen_at: timestamp(seenAt),
  slot_count: slots.length,
  slots_active: slots.filter(({ task }) => task !== undefined).length,
  leads,
  queues,
  types
})

/** The list that was on the wire. */
export const fromJson = ({ instances, timestamp, workers }: Workers): LivingInstances => ({
  now: instant(timestamp),
  instances: instances.map(({ host, id, leads, pid, queues, seen_at, started_at, types, version, slot_count }) => ({
    id,
    host,
    pid,
    version,
    startedAt: instant(started_at),
    seenAt: instant(seen_at),
    capacity: slot_count,
    queues,
    types,
    leads,
    running: workers.flatMap(({ instance, slot, task }) =>
      instance !== id || task === null ? [] : [{
        slot,
        id: task.id,
        type: task.type,
        runningFor: Duration.millis(
          Math.max(0, task.running_for_ms - millisBetween(instant(seen_at), instant(timestamp)))
        )
      }]
    )
  }))
})
