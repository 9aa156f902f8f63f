/**
 * Keeps a task's events behind its `created`. A store may give a task to an idle instance before the enqueue has its
 * answer, so what happens to tasks whose enqueue is on its way is held until that answer is known.
 */
import type { NewTaskEvent } from "../domain/TaskEvent.ts"

/** Ids on their way at most. A transaction that was rolled back leaves its ids behind; nothing happens to them. */
const maxOnTheirWay = 20_000

/** Takes down events, in their order. */
type Record = (events: ReadonlyArray<NewTaskEvent>) => void

/** A record that holds back events of tasks that may not have been created yet. */
export class BirthOrder {
  /** Events that are held, by the task. */
  readonly #held = new Map<string, Array<NewTaskEvent>>()
  readonly #record: Record

  constructor(record: Record) {
    this.#record = record
  }

  /** An enqueue of these tasks is on its way. */
  expect(ids: Iterable<string>): void {
    if (this.#held.size >= maxOnTheirWay) this.release([...this.#held.keys()])
    for (const id of ids) if (!this.#held.has(id)) this.#held.set(id, [])
  }

  /** Takes down what has happened, but for what is held. */
  record(events: ReadonlyArray<NewTaskEvent>): void {
    if (this.#held.size === 0) return this.#record(events)
    const now: Array<NewTaskEvent> = []
    for (const event of events) {
      const held = this.#held.get(event.id)
      if (held === undefined) now.push(event)
      else held.push(event)
    }
    this.#record(now)
  }

  /** These tasks were created by an enqueue that was on its way: that comes first, then what is held of them. */
  created(events: ReadonlyArray<NewTaskEvent>): void {
    this.#record(events)
    this.release(events.map(({ id }) => id))
  }

  /** Nothing is to be expected of these any more. */
  release(ids: Iterable<string>): void {
    for (const id of ids) {
      const held = this.#held.get(id)
      this.#held.delete(id)
      if (held !== undefined && held.length > 0) this.#record(held)
    }
  }
}
