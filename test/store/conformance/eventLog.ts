/** What every driver's `EventLog` has to keep. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EventLog, keptBytes, keptEvents, type NewTaskEvent } from "taskforge/store"
import { type Driver, maxMs } from "./driver.ts"

const event = (id: string, fields: Partial<NewTaskEvent> = {}): NewTaskEvent => ({
  event: "created",
  id,
  type: "work",
  queue: "default",
  ...fields
})

const many = (count: number, prefix = "t") => Array.from({ length: count }, (_, index) => event(`${prefix}${index}`))

const hour = 3_600_000

/** Holds a driver to the contract of `EventLog`. */
export const eventLog = (name: string, driver: Driver): void => {
  describe(`${name} keeps a log of events`, () => {
    const test = driver.live === true ? it.live : it.effect
    const claim = (title: string, body: (log: EventLog["Service"]) => Effect.Effect<void, unknown>) =>
      test(title, () => Effect.provide(EventLog.use(body), driver.layer({})), maxMs)

    /** Everything after a place, page by page. */
    const readAll = Effect.fnUntraced(function*(log: EventLog["Service"], after: number, limit = 100) {
      const ids: Array<string> = []
      let gap = false
      for (let place = after;;) {
        const page = yield* log.read(place, limit)
        gap = gap || page.gap
        ids.push(...page.events.map(({ id }) => id))
        if (page.events.length === 0) return { ids, gap, next: page.next }
        place = page.next
      }
    })

    claim("that has nothing at first", (log) =>
      Effect.gen(function*() {
        const end = yield* log.end
        assert.deepStrictEqual(yield* log.read(end, 10), { events: [], gap: false, next: end })
      }))

    claim("in the order in which they were appended, with numbers, times and facts", (log) =>
      Effect.gen(function*() {
        const end = yield* log.end
        const failed = event("b", {
          event: "failed",
          attempt: 2,
          instance: "w-1",
          error: { kind: "error", tag: "Refused", message: "no; \"never\"\n€" }
        })
        yield* log.append([event("a"), failed])
        yield* log.append([event("c", { event: "progress", progress: 0.5 })])
        const { events, gap } = yield* log.read(end, 10)
        assert.isFalse(gap)
        assert.deepStrictEqual(events.map(({ at: _at, seq: _seq, ...rest }) => rest), [
          event("a"),
          failed,
          event("c", { event: "progress", progress: 0.5 })
        ])
        assert.isTrue(events.every(({ seq }, index) => index === 0 ? seq > end : seq > events[index - 1]!.seq))
        assert.strictEqual(yield* log.end, events.at(-1)!.seq)
        yield* driver.advance(hour)
        yield* log.append([event("d")])
        const [later] = (yield* log.read(events.at(-1)!.seq, 10)).events
        assert.isAtLeast(later!.at - events.at(-1)!.at, hour)
      }))

    claim("that any number of readers read from their own places", (log) =>
      Effect.gen(function*() {
        const end = yield* log.end
        for (let batch = 0; batch < 10; batch++) yield* log.append(many(7, `${batch}-`))
        const all = yield* readAll(log, end)
        assert.strictEqual(all.ids.length, 70)
        assert.deepStrictEqual(yield* readAll(log, end, 3), all)
        const { events } = yield* log.read(end, 70)
        const middle = events[33]!
        assert.deepStrictEqual(yield* readAll(log, middle.seq), { ...all, ids: all.ids.slice(34) })
        assert.deepStrictEqual((yield* readAll(log, all.next)).ids, [])
      }))

    claim("that nobody's appends leave out or repeat when many append at once", (log) =>
      Effect.gen(function*() {
        const end = yield* log.end
        const writers = Array.from({ length: 20 }, (_, index) => log.append(many(5, `${index}-`)))
        yield* Effect.all(writers, { concurrency: "unbounded" })
        const { ids } = yield* readAll(log, end)
        assert.strictEqual(ids.length, 100)
        assert.strictEqual(new Set(ids).size, 100)
      }))

    claim("and accepts to be told of nothing", (log) =>
      Effect.gen(function*() {
        const end = yield* log.end
        yield* log.append([])
        assert.deepStrictEqual(yield* log.read(end, 10), { events: [], gap: false, next: end })
      }))

    claim("and says that there is a gap when a writer lost some", (log) =>
      Effect.gen(function*() {
        yield* log.append([event("a")])
        const before = yield* log.end
        yield* log.append([event("b")], true)
        const page = yield* log.read(before, 10)
        assert.isTrue(page.gap)
        assert.deepStrictEqual(page.events.map(({ id }) => id), ["b"])
        yield* log.append([], true)
        assert.isTrue((yield* log.read(page.next, 10)).gap)
        assert.isFalse((yield* log.read(yield* log.end, 10)).gap)
      }))

    claim("within bounds, and says that there is a gap where it dropped some", (log) =>
      Effect.gen(function*() {
        const end = yield* log.end
        const batch = 1000
        for (let count = 0; count < 3 * keptEvents; count += batch) yield* log.append(many(batch, `${count}-`))
        const all = yield* readAll(log, end, 5000)
        assert.isTrue(all.gap)
        assert.isAtLeast(all.ids.length, keptEvents)
        assert.isAtMost(all.ids.length, 2 * keptEvents + batch)
        assert.strictEqual(all.ids.at(-1), `${3 * keptEvents - batch}-999`)
        assert.isFalse((yield* readAll(log, all.next - keptEvents + batch)).gap)
      }))

    claim("within bounds of bytes too, where events are large", (log) =>
      Effect.gen(function*() {
        const end = yield* log.end
        const size = keptBytes / 400
        const message = "x".repeat(size)
        const large = (id: string) => event(id, { event: "failed", error: { kind: "error", tag: "Large", message } })
        for (let count = 0; count < 1200; count += 10) {
          yield* log.append(Array.from({ length: 10 }, (_, index) => large(String(count + index))))
        }
        const all = yield* readAll(log, end, 50)
        assert.isTrue(all.gap)
        assert.isAtLeast(all.ids.length, 350)
        assert.isAtMost(all.ids.length, 850)
        assert.strictEqual(all.ids.at(-1), "1199")
        assert.isFalse((yield* readAll(log, all.next - 300, 50)).gap)
        // Small ones again: their number is what counts
        const before = yield* log.end
        for (let count = 0; count < 5000; count += 1000) yield* log.append(many(1000, `${count}-`))
        assert.strictEqual((yield* readAll(log, before, 5000)).ids.length, 5000)
      }))

    claim("and takes a place beyond its end for one of another log", (log) =>
      Effect.gen(function*() {
        yield* log.append([event("a")])
        const end = yield* log.end
        const page = yield* log.read(end + 1000, 10)
        assert.isTrue(page.gap)
        assert.isFalse((yield* log.read(page.next, 10)).gap)
      }))

    claim("and knows whether and since when somebody reads", (log) =>
      Effect.gen(function*() {
        assert.isUndefined(yield* log.attended)
        yield* log.attend(hour)
        yield* driver.advance(hour / 2)
        assert.isAtLeast((yield* log.attended) ?? -1, hour / 2)
        yield* log.attend(hour)
        yield* driver.advance(hour - 60_000)
        assert.isAtLeast((yield* log.attended) ?? -1, hour)
        // A shorter visit does not end a longer one
        yield* log.attend(1)
        yield* driver.advance(30_000)
        assert.isDefined(yield* log.attended)
        yield* driver.advance(hour)
        assert.isUndefined(yield* log.attended)
      }))

    claim("and begins anew after nobody has read, as events may have been left out", (log) =>
      Effect.gen(function*() {
        yield* log.attend(hour)
        yield* log.append([event("a")])
        const place = yield* log.end
        yield* log.attend(hour)
        assert.isFalse((yield* log.read(place, 10)).gap)
        yield* driver.advance(2 * hour)
        yield* log.attend(hour)
        yield* log.append([event("b")])
        const page = yield* log.read(place, 10)
        assert.isTrue(page.gap)
        assert.deepStrictEqual(page.events.map(({ id }) => id), ["b"])
      }))
  })
}
