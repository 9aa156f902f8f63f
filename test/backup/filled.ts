/** A store with tasks of all kinds, filled by what instances and programs do. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Gate from "../../src/domain/Gate.ts"
import type { ClaimedTask } from "../../src/domain/TaskRecord.ts"
import { limitKind } from "../../src/store/Gates.ts"
import * as PausedQueues from "../../src/store/PausedQueues.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { failure, request, task } from "../store/conformance/fixtures.ts"

/** Texts that a store may have: what JSON escapes, numbers that no double holds, and half a character. */
const oddPayload =
  "{\"nul\":\"\\u0000\",\"half\":\"\\ud800\",\"big\":123456789012345678901234567890.10,\"text\":\"ü\\n😀\u2028\"}"

/** Fills the store. Answers the tasks that run in the end. */
export const fill = Effect.gen(function*() {
  const store = yield* TaskStore
  const records = yield* RecordStore
  const add = Effect.fnUntraced(function*(...group: ReadonlyArray<Parameters<typeof task>[0]>) {
    const [answer] = yield* store.enqueue([group.map((fields) => task(fields))])
    assert.strictEqual(answer!._tag, "Accepted")
  })
  const claim = (queue: string, limit = 1000) =>
    Effect.map(store.claim(request({ queues: [queue], limit })), ({ tasks }) => tasks)
  const settleAll = (tasks: ReadonlyArray<ClaimedTask>, end: object) =>
    store.settle(tasks.map(({ claim, id }) => ({ id, claim, ...end }) as never))
  const complete = { _tag: "Complete", result: "{\"half\":\"\\udfff\"}" }

  yield* records.put([
    { kind: "schedule", id: "näch tly/1", expects: 0, document: "{\"a\":1e400}", dueAt: 1_900_000_000_000 },
    { kind: "api-key", id: "k", expects: 0, document: "{\"hash\":\"x\"}" },
    { kind: limitKind, id: "tenant", expects: 0, document: JSON.stringify({ max: 2 }) },
    { kind: limitKind, id: "!order", expects: 0, document: JSON.stringify({ order: "block" }) }
  ])
  yield* PausedQueues.pause("paused")

  yield* add({
    queue: "done",
    payload: oddPayload,
    tags: "[\"a\",\"ü, b\"]",
    trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
  })
  yield* add({ id: "odd \"id\" ü\u001f😀", queue: "done" })
  yield* settleAll(yield* claim("done"), complete)

  yield* add({ id: "failed", queue: "fails", maxRetries: 0 }, { id: "cancelled", queue: "fails" })
  yield* store.cancel(["cancelled"])
  yield* settleAll(yield* claim("fails"), { _tag: "Fail", failure: { ...failure, error: { n: [1, null] } } })
  yield* add({ id: "rerun", queue: "fails" })
  yield* settleAll(yield* claim("fails"), { _tag: "Fail", failure })
  yield* store.rerun(["rerun"])

  // retries and snoozes
  yield* add({ id: "retried", queue: "again", maxRetries: -1, priority: 9 }, { id: "snoozed", queue: "again" })
  const [one, two] = yield* claim("again")
  yield* settleAll([one!], { _tag: "Retry", delayMs: 3_600_000, failure })
  yield* settleAll([two!], { _tag: "Snooze", delayMs: 0 })

  // times
  yield* add(
    { id: "later", delayMs: 3_600_000, startWithinMs: 5000 },
    { id: "at", runAt: 4_102_444_800_000, expiresInMs: 86_400_000 },
    { id: "soon", expiresInMs: 86_400_000, startWithinMs: 86_400_000, timeoutMs: 1234, queue: "paused" }
  )

  // keys
  yield* add({ id: "kept", key: "kept", queue: "keyed" })
  yield* add({
    id: "window-1",
    key: "w",
    queue: "keyed",
    unique: { window: "unfinished", onConflict: "refuse", byMs: 0, maxMs: null }
  })
  yield* settleAll(yield* claim("keyed"), complete)
  yield* add({
    id: "window-2",
    key: "w",
    queue: "keyed",
    unique: { window: "unfinished", onConflict: "refuse", byMs: 0, maxMs: null }
  })
  yield* add({
    id: "window-3",
    key: "v",
    queue: "keyed",
    unique: { window: 86_400_000, onConflict: "return", byMs: 0, maxMs: null }
  })

  // limits and orders
  const limited = Gate.gated([[Gate.passOf("tenant", "a"), 1]])
  const ordered = Gate.gated([[Gate.passOf("!order", "a"), 1]])
  yield* add(...["l1", "l2", "l3"].map((id) => ({ id, queue: "limited", ...limited })))
  yield* add(...["o1", "o2"].map((id) => ({ id, queue: "ordered", ...ordered })))
  yield* settleAll(yield* claim("ordered"), { _tag: "Retry", delayMs: 3_600_000, failure })

  // graphs: what has ended, what waits, what goes on whatever happens
  yield* add(
    { id: "g4", queue: "graph-2", after: ["g1", "g2", "g3"] },
    { id: "g1", queue: "graph" },
    { id: "g2", queue: "graph" },
    { id: "g3", queue: "graph-2" },
    { id: "g5", queue: "graph-2", after: ["g4"], onFailure: "run" }
  )
  yield* settleAll(yield* claim("graph"), complete)
  yield* add({ id: "d1", queue: "drop", maxRetries: 0 }, { id: "d2", queue: "drop", after: ["d1"] }, {
    id: "d3",
    queue: "drop",
    after: ["d1"],
    onFailure: "run"
  })
  yield* settleAll(yield* claim("drop"), { _tag: "Fail", failure })
  yield* store.tell

  // what runs
  yield* add({ id: "runs", queue: "running" }, { id: "stops", queue: "running" })
  const running = yield* claim("running")
  const [first] = running
  yield* store.report([{ id: first!.id, claim: first!.claim, progress: 0.25 }])
  yield* store.cancel(["stops"])
  const held = yield* claim("limited", 1)
  return [...running, ...held]
})
