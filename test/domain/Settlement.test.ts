import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Settlement from "../../src/domain/Settlement.ts"
import { AttemptRecord, TaskFailure } from "../../src/domain/TaskRecord.ts"
import * as TaskState from "../../src/domain/TaskState.ts"

const now = 1_000_000
const failure: TaskFailure = { kind: "error", tag: "Refused", message: "no" }

/** A task that runs its third attempt; the first failed, the second crashed. */
const task: Settlement.Current = {
  state: "running",
  dueAt: now - 5000,
  expiresAt: null,
  startBy: null,
  onFailure: null,
  waitsFor: 0,
  completedAt: null,
  failures: 1,
  crashes: 1,
  settledClaim: 1,
  cancelRequested: false,
  result: null,
  failure,
  history: [
    { claim: 1, attempt: 1, instance: "ada", startedAt: 1, endedAt: 2, outcome: "failed", failure },
    { claim: 2, attempt: 2, instance: "ada", startedAt: 3, endedAt: 4, outcome: "crashed" }
  ],
  claim: 3,
  claims: 3,
  startedAt: now - 1000,
  instance: "grace",
  startWithinMs: null
}

const {
  claim: _claim,
  claims: _claims,
  instance: _instance,
  startedAt: _startedAt,
  startWithinMs: _startWithinMs,
  onFailure: _onFailure,
  ...unchanged
} = task
const asked: Settlement.Current = { ...task, cancelRequested: true }
const lease = { id: "t", claim: 3 }
const third = { claim: 3, attempt: 3, instance: "grace", startedAt: now - 1000, endedAt: now } as const
const later: TaskFailure = { kind: "defect", tag: "TypeError", message: "x is not a function" }

describe("fence", () => {
  const fence = (fields: Partial<Settlement.Current>, claim: number) => Settlement.fence({ ...task, ...fields }, claim)

  it("lets only the current attempt of a running task pass", () => {
    assert.strictEqual(fence({}, 3), "applied")
    assert.strictEqual(fence({}, 2), "stale")
    assert.strictEqual(fence({}, 4), "stale")
    for (const state of TaskState.all) {
      if (state !== "running") assert.strictEqual(fence({ state }, 3), "stale", state)
    }
  })

  it("recognises the attempt that was settled last, in any state", () => {
    for (const state of TaskState.all) assert.strictEqual(fence({ state }, 1), "already", state)
    assert.strictEqual(fence({ state: "completed", settledClaim: 3 }, 3), "already")
    assert.strictEqual(fence({ state: "completed", settledClaim: 3 }, 1), "stale")
  })

  it("takes no attempt for settled before any was", () => {
    assert.strictEqual(fence({ settledClaim: 0 }, 0), "stale")
    assert.strictEqual(fence({ state: "pending", settledClaim: 0, claim: 0 }, 0), "stale")
  })
})

describe("settle", () => {
  const settle = (settlement: Settlement.Settlement, from = task) => Settlement.settle(from, settlement, now)

  it("completes with the result and without the earlier failure", () => {
    const expected = { ...unchanged, state: "completed", completedAt: now, settledClaim: 3, result: "1", failure: null }
    assert.deepStrictEqual(settle({ _tag: "Complete", ...lease, result: "1" }), expected as Settlement.Change)
    assert.deepInclude(settle({ _tag: "Complete", ...lease, result: "1" }, asked), { state: "completed", result: "1" })
  })

  it("fails for good, whether or not a cancel was requested", () => {
    const expected = { ...unchanged, state: "failed", completedAt: now, settledClaim: 3, failures: 2, failure: later }
    assert.deepStrictEqual(settle({ _tag: "Fail", ...lease, failure: later }), expected as Settlement.Change)
    assert.deepInclude(settle({ _tag: "Fail", ...lease, failure: later }, asked), { state: "failed", failures: 2 })
  })

  it("retries after the delay, or at once without one", () => {
    const retry = (delayMs: number) => settle({ _tag: "Retry", ...lease, delayMs, failure: later })
    assert.deepStrictEqual(retry(500), {
      ...unchanged,
      state: "scheduled",
      dueAt: now + 500,
      settledClaim: 3,
      failures: 2,
      failure: later,
      history: [...task.history, { ...third, outcome: "failed", failure: later }]
    })
    assert.deepInclude(retry(0), { state: "pending", dueAt: now })
  })

  it("turns a retry into the end when a cancel was requested, and keeps the failure", () => {
    assert.deepInclude(settle({ _tag: "Retry", ...lease, delayMs: 500, failure: later }, asked), {
      state: "cancelled",
      completedAt: now,
      settledClaim: 3,
      failures: 2,
      failure: later,
      dueAt: task.dueAt
    })
  })

  it("cancels what was stopped, without the failure of an earlier attempt", () => {
    const expected = { ...unchanged, state: "cancelled", completedAt: now, settledClaim: 3, failure: null }
    assert.deepStrictEqual(settle({ _tag: "Cancel", ...lease }), expected as Settlement.Change)
    assert.strictEqual(settle({ _tag: "Cancel", ...lease }, asked).state, "cancelled")
  })

  it("snoozes to later and spends nothing", () => {
    const snooze = (delayMs: number, from = task) => settle({ _tag: "Snooze", ...lease, delayMs }, from)
    assert.deepStrictEqual(snooze(500), {
      ...unchanged,
      state: "scheduled",
      dueAt: now + 500,
      settledClaim: 3,
      history: [...task.history, { ...third, outcome: "snoozed" }]
    })
    assert.deepInclude(snooze(0), { state: "pending", dueAt: now })
    assert.deepInclude(snooze(500, asked), { state: "cancelled", completedAt: now, dueAt: task.dueAt, failures: 1 })
  })

  it("releases to the old due time and spends nothing", () => {
    assert.deepStrictEqual(settle({ _tag: "Release", ...lease }), {
      ...unchanged,
      state: "pending",
      settledClaim: 3,
      history: [...task.history, { ...third, outcome: "released" }]
    })
    assert.strictEqual(settle({ _tag: "Release", ...lease }, { ...task, dueAt: now + 1 }).state, "scheduled")
    assert.deepInclude(settle({ _tag: "Release", ...lease }, asked), { state: "cancelled", failures: 1, crashes: 1 })
  })
})

describe("rescue", () => {
  it("makes the task due now after its first crash, and later after each further one", () => {
    assert.deepStrictEqual(Settlement.rescue({ ...task, crashes: 0 }, 5, now), {
      ...unchanged,
      state: "pending",
      dueAt: now,
      crashes: 1,
      history: [...task.history, { ...third, outcome: "crashed" }]
    })
    assert.deepInclude(Settlement.rescue(task, 5, now), {
      state: "scheduled",
      dueAt: now + 1000,
      crashes: 2,
      settledClaim: 1
    })
  })

  it("waits 0, 1, 2, 4 … seconds, a minute at most", () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 1_000_000].map(Settlement.crashDelayMs)
    assert.deepStrictEqual(waits, [0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000])
  })

  it("quarantines beyond the number of crashes allowed, and says how many there were", () => {
    assert.notStrictEqual(Settlement.rescue({ ...task, crashes: 4 }, 5, now).state, "failed")
    const quarantined = Settlement.rescue({ ...task, crashes: 5 }, 5, now)
    assert.deepInclude(quarantined, { state: "failed", completedAt: now, crashes: 6, failures: 1, settledClaim: 1 })
    assert.deepInclude(quarantined.failure, { kind: "quarantined", tag: "TaskQuarantined" })
    assert.include(quarantined.failure?.message, "6 times")
    assert.strictEqual(Settlement.rescue({ ...task, crashes: 0 }, 0, now).state, "failed")
    assert.strictEqual(Settlement.defaultMaxCrashes, 5)
  })

  it("never quarantines when crashes are unlimited", () => {
    assert.strictEqual(Settlement.rescue({ ...task, crashes: 1000 }, -1, now).state, "scheduled")
  })

  it("ends a task whose cancel was requested, without a crash", () => {
    const expected = { ...unchanged, cancelRequested: true, state: "cancelled", completedAt: now, failure: null }
    assert.deepStrictEqual(Settlement.rescue(asked, 0, now), expected as Settlement.Change)
  })
})

describe("cancel", () => {
  it("ends what waits, asks what runs, and leaves what has finished", () => {
    for (const state of ["scheduled", "pending"] as const) {
      const expected = { ...unchanged, state: "cancelled", completedAt: now }
      assert.deepStrictEqual(Settlement.cancel({ ...task, state }, now), expected as Settlement.Change)
    }
    assert.deepStrictEqual(Settlement.cancel(task, now), { ...unchanged, cancelRequested: true })
    for (const state of TaskState.finished) assert.strictEqual(Settlement.cancel({ ...task, state }, now), undefined)
  })
})

describe("rerun", () => {
  const dead: Settlement.Current = { ...task, state: "failed", completedAt: now - 10, settledClaim: 3, failure: later }

  it("makes dead letters due now with fresh budgets and remembers their last attempt", () => {
    assert.deepStrictEqual(Settlement.rerun(dead, now), {
      ...unchanged,
      state: "pending",
      dueAt: now,
      completedAt: null,
      failures: 0,
      crashes: 0,
      settledClaim: 3,
      failure: null,
      history: [...task.history, { ...third, endedAt: now - 10, outcome: "failed", failure: later }]
    })
  })

  it("forgets the request to cancel", () => {
    const cancelled = { ...dead, state: "cancelled", cancelRequested: true } as const
    assert.deepInclude(Settlement.rerun(cancelled, now), { state: "pending", cancelRequested: false })
  })

  it("has no attempt to remember of a task that never ran", () => {
    const unborn: Settlement.Current = {
      ...dead,
      state: "cancelled",
      claim: 0,
      claims: 0,
      settledClaim: 0,
      startedAt: null,
      instance: null,
      history: []
    }
    assert.deepStrictEqual(Settlement.rerun(unborn, now)?.history, [])
  })

  it("remembers no attempt twice", () => {
    const waited = { ...dead, state: "cancelled", claim: 2, settledClaim: 2 } as const
    assert.deepStrictEqual(Settlement.rerun(waited, now)?.history, task.history)
  })

  it("leaves every other task alone", () => {
    for (const state of TaskState.all) {
      if (state === "failed" || state === "cancelled" || state === "expired") continue
      assert.strictEqual(Settlement.rerun({ ...task, state }, now), undefined, state)
    }
  })
})

describe("a task that expires", () => {
  it("has expired by the clock whenever it was stored, but in this moment", () => {
    const late: Settlement.Current = { ...task, state: "pending", expiresAt: 1000 }
    const stateAt = (createdAt: number, now: number) => Settlement.stateAt({ ...late, createdAt }, now)
    assert.deepStrictEqual([stateAt(0, 999), stateAt(0, 1000), stateAt(1000, 1000)], ["pending", "expired", "pending"])
    // the clock was set back since, and the task brought forward
    assert.strictEqual(stateAt(5000, 1000), "expired")
  })

  const current = { ...task, expiresAt: now + 1000 }
  const retry = (delayMs: number): Settlement.Settlement => ({ _tag: "Retry", id: "t", claim: 3, delayMs, failure })

  it("runs again if that is in time, and ends at once with its failure if it is not", () => {
    assert.deepInclude(Settlement.settle(current, retry(999), now), { state: "scheduled", dueAt: now + 999 })
    const late = Settlement.settle(current, retry(1000), now)
    assert.deepInclude(late, { state: "expired", completedAt: now, failures: 2, failure, settledClaim: 3 })
    assert.deepInclude(late.history.at(-1), { claim: 3, outcome: "failed" })
  })

  it("is never ended while it runs, and ends when it would wait again", () => {
    assert.strictEqual(Settlement.expire(current, now + 5000), undefined)
    for (const _tag of ["Complete", "Fail", "Cancel"] as const) {
      const { state } = Settlement.settle(current, { _tag, id: "t", claim: 3, result: "1", failure }, now + 5000)
      assert.notStrictEqual(state, "expired", _tag)
    }
    const released = Settlement.settle(current, { _tag: "Release", id: "t", claim: 3 }, now + 1000)
    assert.deepInclude(released, { state: "expired", failure, completedAt: now + 1000 })
    assert.deepInclude(Settlement.rescue(current, -1, now + 1000), { state: "expired", crashes: 2 })
  })

  it("is cancelled where that was asked for, and quarantined where it has killed too many processes", () => {
    assert.strictEqual(Settlement.settle({ ...current, cancelRequested: true }, retry(1000), now).state, "cancelled")
    assert.strictEqual(Settlement.rescue(current, 1, now + 1000).state, "failed")
  })

  it("is of use for as long when it is due at another time, and a retry that is brought forward no shorter", () => {
    const waiting = {
      ...current,
      state: "scheduled",
      dueAt: now + 900,
      priority: 1,
      gate: null,
      costs: null,
      hold: null
    } as const
    const expiresAt = (claims: number, dueAt: number) =>
      Settlement.revise({ ...waiting, claims }, { dueAt }, now)?.expiresAt
    assert.strictEqual(expiresAt(0, now), now + 100)
    assert.strictEqual(expiresAt(0, now + 5900), now + 6000)
    assert.strictEqual(expiresAt(1, now), now + 1000)
    assert.strictEqual(expiresAt(1, now + 5900), now + 6000)
  })

  it("expires at the time itself while it waits, and not before", () => {
    for (const state of ["scheduled", "pending"] as const) {
      assert.strictEqual(Settlement.expire({ ...current, state }, now + 999), undefined)
      const expired = Settlement.expire({ ...current, state }, now + 1000)
      assert.deepInclude(expired, { state: "expired", completedAt: now + 1000, failure })
    }
    assert.strictEqual(Settlement.expire({ ...task, state: "pending" }, now + 1e12), undefined)
  })

  it("is run again without an expiry", () => {
    const expired = { ...current, state: "expired" as const, completedAt: now }
    assert.deepInclude(Settlement.rerun(expired, now + 9), { state: "pending", dueAt: now + 9, expiresAt: null })
  })
})

describe("a task that should start within a time", () => {
  const waiting = {
    ...task,
    state: "scheduled",
    dueAt: now + 900,
    claims: 0,
    startWithinMs: 500,
    startBy: now + 1400,
    priority: 1,
    gate: null,
    costs: null,
    hold: null
  } as const

  it("has met or missed that once it has started: no later attempt is held to it", () => {
    const running = { ...task, startWithinMs: 500, startBy: now - 4500 }
    for (const _tag of ["Snooze", "Release"] as const) {
      assert.strictEqual(Settlement.settle(running, { _tag, ...lease, delayMs: 5 }, now).startBy, null)
    }
    assert.strictEqual(
      Settlement.settle(running, { _tag: "Retry", ...lease, delayMs: 5, failure: later }, now).startBy,
      null
    )
    assert.strictEqual(Settlement.rescue(running, 5, now).startBy, null)
    // what has ended says by when it should have started
    assert.strictEqual(Settlement.settle(running, { _tag: "Complete", ...lease, result: "1" }, now).startBy, now - 4500)
    assert.strictEqual(Settlement.settle(running, { _tag: "Fail", ...lease, failure: later }, now).startBy, now - 4500)
  })

  it("is held to it again by a rerun, from then on", () => {
    const failed = { ...task, state: "failed", completedAt: now, startWithinMs: 500 } as const
    assert.strictEqual(Settlement.rerun(failed, now + 9)?.startBy, now + 509)
    assert.strictEqual(Settlement.rerun({ ...failed, startWithinMs: null }, now + 9)?.startBy, null)
  })

  it("should start as long after it is due as before where that is another time, or as long as is said then", () => {
    const startBy = (fields: Partial<typeof waiting> | { claims: number; startBy: null }, to: Settlement.Revisions) =>
      Settlement.revise({ ...waiting, ...fields }, to, now)?.startBy
    assert.strictEqual(startBy({}, {}), now + 1400)
    assert.strictEqual(startBy({}, { dueAt: now + 10 }), now + 510)
    assert.strictEqual(startBy({}, { startWithinMs: 7 }), now + 907)
    assert.strictEqual(startBy({}, { dueAt: now + 10, startWithinMs: 7 }), now + 17)
    // a retry is not held to it, but for the first start of a rerun
    assert.strictEqual(startBy({ claims: 1, startBy: null }, { dueAt: now + 10, startWithinMs: 7 }), null)
    const rerun = Settlement.revise({ ...waiting, claims: 3 }, { startWithinMs: 7 }, now)
    assert.strictEqual(rerun?.startBy, now + 907)
    // twice in one write
    const twice = Settlement.revise({ ...waiting, ...rerun }, { priority: 3 }, now)
    assert.deepInclude(twice?.revised, { startWithinMs: 7, priority: 3 })
    assert.strictEqual(twice?.startBy, now + 907)
  })
})

describe("every decision", () => {
  const natural = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_000_000 }))
  const small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))

  const settlement = Arbitrary.schema(Schema.Struct({
    _tag: Schema.Literals(["Complete", "Retry", "Fail", "Cancel", "Snooze", "Release"]),
    delayMs: natural,
    failure: TaskFailure,
    result: Schema.String
  }))

  const current = Arbitrary.schema(Schema.Struct({
    dueAt: natural,
    failures: small,
    crashes: small,
    settledClaim: small,
    cancelRequested: Schema.Boolean,
    failure: Schema.NullOr(TaskFailure),
    history: Schema.Array(AttemptRecord),
    claim: small,
    claims: small
  })).pipe(Arbitrary.map((fields): Settlement.Current => ({
    ...fields,
    state: "running",
    expiresAt: null,
    onFailure: null,
    waitsFor: 0,
    startBy: null,
    startWithinMs: null,
    completedAt: null,
    result: null,
    startedAt: 0,
    instance: "w"
  })))

  /** The move is in the table, and what must hold of any change does. */
  const isLegal = (from: Settlement.Current, to: Settlement.Change): void => {
    assert.isTrue(from.state === to.state || TaskState.canMove(from.state, to.state), `${from.state} to ${to.state}`)
    assert.strictEqual(to.completedAt !== null, TaskState.isFinished(to.state), "completedAt belongs to the finished")
    assert.isTrue(to.history.length <= Math.max(20, from.history.length))
    assert.isTrue(to.settledClaim >= Math.min(from.settledClaim, from.claim))
    if (to.state === "scheduled") assert.isTrue(to.dueAt > now, "only what is not due is scheduled")
    if (to.state === "pending") assert.isTrue(to.dueAt <= now, "what is pending is due")
    if (to.state === "pending" || to.state === "scheduled") assert.isFalse(to.cancelRequested)
  }

  it.prop("is a legal move: settle", [current, settlement], ([from, { _tag, ...rest }]) => {
    const change = Settlement.settle(from, { _tag, id: "t", claim: from.claim, ...rest } as Settlement.Settlement, now)
    isLegal(from, change)
    assert.notStrictEqual(change.state, "running")
    assert.strictEqual(change.settledClaim, from.claim)
  })

  it.prop("is a legal move: rescue", [current, small], ([from, crashes]) => {
    const change = Settlement.rescue(from, crashes - 1, now)
    isLegal(from, change)
    assert.notStrictEqual(change.state, "running")
    assert.strictEqual(change.settledClaim, from.settledClaim)
  })

  it.prop("is a legal move: cancel and a rerun of any task", [
    current,
    Schema.Literals(["scheduled", "pending", "running", "completed", "failed", "cancelled"])
  ], ([fields, state]) => {
    const completedAt = TaskState.isFinished(state) ? 5 : null
    const from = { ...fields, state, completedAt, cancelRequested: state === "running" && fields.cancelRequested }
    for (const change of [Settlement.cancel(from, now), Settlement.rerun(from, now)]) {
      if (change !== undefined) isLegal(from, change)
    }
  })
})
