/** The log of events in Redis. A batch is one JSON text: no query looks inside. */
import { type Context, Effect } from "effect"
import type { NewTaskEvent, TaskEvent } from "../../domain/TaskEvent.ts"
import { type EventLog, type EventPage, keptBytes, keptEvents } from "../EventLog.ts"
import { type Runner, script } from "./Runner.ts"
import * as Scripts from "./scripts/Events.ts"

const runAppend = script<number>(Scripts.appendEvents)
const runRead = script<readonly [seq: number, floor: number, batches: ReadonlyArray<string>]>(Scripts.readEvents)
const runAttend = script<number>(Scripts.attendEvents)
const runAttended = script<number>(Scripts.attendedEvents)

/** Batches read together at most. */
const batchesAtOnce = 50

/** The log of one deployment. */
export const make = (runner: Runner): Context.Service.Shape<typeof EventLog> => ({
  append: (events, lost = false) =>
    Effect.asVoid(
      runner("append events", runAppend, [
        lost ? "1" : "0",
        String(keptEvents),
        String(keptBytes),
        String(events.length),
        JSON.stringify(events)
      ])
    ),
  read: (after, limit) =>
    Effect.map(
      runner("read events", runRead, [String(after), String(Math.min(limit, batchesAtOnce))]),
      ([seq, floor, batches]) => pageOf(after, seq, floor, batches)
    ),
  end: Effect.map(Effect.suspend(() => runner("read events", runRead, ["0", "0"])), ([seq]) => seq),
  attend: (forMs) => Effect.asVoid(runner("attend to events", runAttend, [String(forMs)])),
  attended: Effect.map(
    Effect.suspend(() => runner("read events", runAttended, [])),
    (ms) => ms < 0 ? undefined : ms
  )
})

const pageOf = (after: number, seq: number, floor: number, batches: ReadonlyArray<string>): EventPage => {
  const gap = after < floor || after > seq
  const from = gap ? floor : after
  const events = batches.flatMap((text) => {
    const [first, at] = text.split(";", 2)
    const added = JSON.parse(text.slice(`${first};${at};`.length)) as ReadonlyArray<NewTaskEvent>
    return added.map((event, index): TaskEvent => ({ ...event, seq: Number(first) + index, at: Number(at) }))
  }).filter((event) => event.seq > from)
  return { events, gap, next: events.at(-1)?.seq ?? seq }
}
