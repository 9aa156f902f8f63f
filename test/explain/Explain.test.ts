import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import { TaskNotFound } from "../../src/domain/Errors.ts"
import type { Explanation } from "../../src/explain/Explain.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "../engine/Gate.ts"
import { pass, reaches, withEngine } from "../engine/TestEngine.ts"

const Work = Task.make("work")
const Other = Task.make("other", { queue: "others" })

const explain = (id: string) => TaskQueue.use((queue) => queue.explain(id))

const codesOf = ({ reasons }: Explanation) => reasons.map(({ code }) => code)

describe("an explanation", () => {
  it.effect("names every reason for which a task waits, and no other, until it runs", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 1 } },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        // The instance has said what it handles
        yield* pass("1 second")
        const now = yield* DateTime.now
        yield* queue.pause("default", { by: "ada", reason: "Lunch", for: "1 hour" })
        const later = yield* Work.enqueue(undefined, { delay: "2 hours" })
        const first = yield* explain(later.id)
        assert.deepStrictEqual(codesOf(first), ["not_due", "queue_paused"])
        assert.deepStrictEqual(first.mayStartAt, Option.some(DateTime.addDuration(now, "2 hours")))
        assert.include(first.summary, "It is due in 2h")
        const paused = yield* Work.enqueue()
        const second = yield* explain(paused.id)
        assert.deepStrictEqual(codesOf(second), ["queue_paused"])
        assert.deepStrictEqual(second.mayStartAt, Option.some(DateTime.addDuration(now, "1 hour")))
        assert.include(second.summary, "paused by ada until")
        assert.include(second.summary, "Lunch")
        yield* queue.pause("default")
        assert.deepStrictEqual((yield* explain(paused.id)).mayStartAt, Option.none())

        const nobody = yield* Other.enqueue()
        const third = yield* explain(nobody.id)
        assert.deepStrictEqual(codesOf(third), ["no_handler"])
        assert.deepInclude(third.reasons[0], { instances: 1 })

        yield* queue.resume("default")
        yield* reaches(paused.id, "running")
        const running = yield* explain(paused.id)
        assert.deepStrictEqual([running.state, codesOf(running)], ["running", []])
        assert.match(running.summary, /^It runs on .* since /)
        const busy = yield* Work.enqueue()
        // Instances say twice in a lease what they run
        yield* pass("30 seconds")
        const fourth = yield* explain(busy.id)
        assert.deepStrictEqual(codesOf(fourth), ["behind"])
        assert.deepInclude(fourth.reasons[0], { pending: 1, slots: 1, busy: 1 })

        gate.open()
        yield* busy.result
        assert.deepInclude(yield* explain(busy.id), { state: "completed", summary: "It has completed.", reasons: [] })
        yield* queue.cancel(later.id)
        assert.include((yield* explain(later.id)).summary, "It was cancelled")
        assert.instanceOf(yield* Effect.flip(explain("unheard of")), TaskNotFound)
        assert.instanceOf(yield* Effect.flip(explain("\u0000")), TaskNotFound)
      })
    )
  })
})
