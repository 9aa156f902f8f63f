/**
 * The next ticks of schedules, worked out again when an instance starts: its runtime may know other rules of time zones than the one that
 * worked them out, and a tick would come an hour too late. One that comes too early is found when it is due.
 */
import { Effect, Layer } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { zoneDataVersion } from "../observability/ZoneData.ts"
import { all, type Change, RecordStore } from "../store/RecordStore.ts"
import * as ScheduleRecords from "./ScheduleRecords.ts"
import { changeOf, kind, read } from "./StoredSchedule.ts"
import { dueAtOf } from "./Ticks.ts"

/** Changes of one write: a document may have 256 KiB, and a put 8 MiB. */
const chunk = 30

/** Writes the next ticks that are others by now; answers the names of their schedules. */
export const renewed: Effect.Effect<ReadonlyArray<string>, StoreError, RecordStore> = Effect.gen(function*() {
  const now = yield* ScheduleRecords.now
  const changes: Array<Change> = []
  const unread: Array<string> = []
  for (const [index, record] of (yield* all(kind)).entries()) {
    // Ten thousand of them take a while, and other fibers have work too
    if (index % 100 === 99) yield* Effect.yieldNow
    const schedule = read(record)
    if (schedule === undefined) {
      unread.push(record.id)
      continue
    }
    const dueAt = dueAtOf(schedule)
    // What is due may be taken, or will be: its next tick is worked out then
    if (dueAt === schedule.dueAt || schedule.dueAt !== null && schedule.dueAt <= now) continue
    changes.push(changeOf(schedule.name, schedule, { expects: schedule.version, dueAt, over: schedule.document }))
  }
  if (unread.length > 0) {
    const names = unread.slice(0, 5).map((name) => Bounds.foundOf(name)).join(", ")
    yield* Effect.logWarning(
      `${unread.length} schedules cannot be read by this instance and are as if they were not there, among them ${names}: ` +
        "a newer version has written them, or this runtime has no such time zone. An instance that can read them makes their tasks"
    )
  }
  const written: Array<string> = []
  let wereChanged = false
  for (let start = 0; start < changes.length; start += chunk) {
    const part = changes.slice(start, start + chunk)
    yield* Effect.matchEffect(RecordStore.use((store) => store.put(part)), {
      onSuccess: () => Effect.sync(() => written.push(...part.map(({ id }) => id))),
      onFailure: (error) =>
        error._tag === "RecordConflict"
          ? Effect.sync(() => wereChanged = true)
          : error._tag === "InvalidOption"
          ? Effect.die(error)
          : Effect.fail(error)
    })
  }
  // Another process has changed one of a part just now: the others of it are found again, all parts in one read
  return wereChanged ? [...written, ...yield* renewed] : written
})

/** Does so once the store answers. */
export const layer: Layer.Layer<never, never, RecordStore | Supervisor> = Layer.effectDiscard(
  Effect.gen(function*() {
    const supervisor = yield* Supervisor
    const store = yield* RecordStore
    yield* supervisor.rounds(
      "zones of schedules",
      Effect.gen(function*() {
        const names = yield* Effect.provideService(renewed, RecordStore, store)
        if (names.length > 0) {
          yield* Effect.logInfo(
            `the next ticks of ${names.length} schedules are others by the zone data ${zoneDataVersion}`
          )
        }
        return Infinity
      })
    )
  })
)
