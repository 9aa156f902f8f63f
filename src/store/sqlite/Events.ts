/**
 * The log of events in the file: a row per batch, because no query looks inside. Appending does not wait for the disk.
 * A process that dies may take events with it; the process that opens the file next then marks a gap.
 */
import { type Context, Effect, type Scope } from "effect"
import type { DatabaseSync } from "node:sqlite"
import type { StoreError } from "../../domain/Errors.ts"
import type { NewTaskEvent } from "../../domain/TaskEvent.ts"
import { Appended, type Batch, type EventLog, type EventPage, keptBytes, keptEvents, pageOf } from "../EventLog.ts"
import { prepare } from "./Database.ts"
import type { Transaction, Writer } from "./Writer.ts"

type Head = [seq: number, floor: number, attendedFrom: number, attendedUntil: number, dirty: number]

/** Prepares the log. */
export const make = Effect.fnUntraced(function*(
  database: DatabaseSync,
  writer: Writer
): Effect.fn.Return<Context.Service.Shape<typeof EventLog>, StoreError, Scope.Scope> {
  const selectHead = prepare<Head>(
    database,
    "SELECT seq, floor, attended_from, attended_until, dirty FROM event_head"
  )
  const advance = prepare(database, "UPDATE event_head SET seq = ?, dirty = 1")
  const setFloor = prepare(database, "UPDATE event_head SET seq = ?, floor = ?")
  const setAttended = prepare(database, "UPDATE event_head SET attended_from = ?, attended_until = ?")
  const clean = prepare(database, "UPDATE event_head SET dirty = 0")
  const insert = prepare(database, "INSERT INTO event_batch (last, first, at, events) VALUES (?, ?, ?, ?)")
  const select = prepare<[...Batch, last: number]>(
    database,
    "SELECT first, at, events, last FROM event_batch WHERE last > ? ORDER BY last LIMIT 1"
  )
  const lastBelow = prepare<[last: number | null]>(database, "SELECT max(last) FROM event_batch WHERE last <= ?")
  const lastBeyond = prepare<[last: number | null]>(
    database,
    `SELECT max(last) FROM (
      SELECT last, sum(octet_length(events)) OVER (ORDER BY last DESC) AS bytes FROM event_batch
    ) WHERE bytes > ${keptBytes}`
  )
  const removeUpTo = prepare(database, "DELETE FROM event_batch WHERE last <= ?")
  const keepFloor = prepare(database, "UPDATE event_head SET floor = max(floor, ?)")
  const appended = new Appended()

  const head = () => selectHead.get()!

  const beginAnew = (): number => {
    const seq = head()[0] + 1
    setFloor.run(seq, seq)
    removeUpTo.run(seq)
    return seq
  }

  const drop = (last: number | null): void => {
    if (last === null) return
    removeUpTo.run(last)
    keepFloor.run(last)
  }

  const append = ({ now }: Transaction, events: ReadonlyArray<NewTaskEvent>, lost: boolean): void => {
    const before = lost ? beginAnew() : head()[0]
    if (events.length === 0) return
    const last = before + events.length
    const text = JSON.stringify(events)
    insert.run(last, before + 1, now, text)
    advance.run(last)
    drop(lastBelow.get(last - keptEvents)![0])
    if (appended.isMuch(events.length, text.length)) drop(lastBeyond.get()![0])
  }

  function* batchesAfter(place: number): Generator<Batch> {
    for (let row = select.get(place); row !== undefined; row = select.get(row[3])) yield [row[0], row[1], row[2]]
  }

  const read = (after: number, limit: number): EventPage => {
    const [seq, floor] = head()
    return pageOf(after, seq, floor, batchesAfter, limit)
  }

  const attend = ({ now }: Transaction, forMs: number): void => {
    const [, , from, until] = head()
    if (until <= now) beginAnew()
    setAttended.run(until <= now ? now : from, Math.max(until, now + forMs))
  }

  const isDirty = yield* writer.read("open the log of events", () => head()[4] === 1)
  if (isDirty) yield* writer.writeVolatile("open the log of events", () => void beginAnew())
  yield* Effect.addFinalizer(() => Effect.ignore(writer.writeVolatile("close the log of events", () => clean.run())))

  return {
    append: (events, lost = false) =>
      writer.writeVolatile("append events", (transaction) => append(transaction, events, lost)),
    read: (after, limit) => writer.read("read events", () => read(after, limit)),
    end: writer.read("read events", () => head()[0]),
    attend: (forMs) => writer.writeVolatile("attend to events", (transaction) => attend(transaction, forMs)),
    attended: writer.read("read events", (now) => {
      const [, , from, until] = head()
      return until > now ? now - from : undefined
    })
  }
})
