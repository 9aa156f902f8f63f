/** Claims about the pure parts that hold for every input, not only for chosen ones. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Equal, Exit, Schedule, Schema } from "effect"
import * as Cursor from "../../src/domain/Cursor.ts"
import * as DurationText from "../../src/domain/DurationText.ts"
import * as Priority from "../../src/domain/Priority.ts"
import * as Rank from "../../src/domain/Rank.ts"
import * as RetryPolicy from "../../src/domain/RetryPolicy.ts"
import * as Settlement from "../../src/domain/Settlement.ts"
import * as TaskDefinition from "../../src/domain/TaskDefinition.ts"
import { AttemptRecord, maxHistory, TaskFailure } from "../../src/domain/TaskRecord.ts"
import * as TaskState from "../../src/domain/TaskState.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const time = int(0, 4_000_000_000_000)
const delay = int(0, 3_600_000)
const claim = int(1, 1_000_000)
const priority = int(0, 9)

/** A running task as stores hand it to the decisions. */
const Running = Schema.Struct({
  dueAt: time,
  expiresAt: Schema.NullOr(time),
  startBy: Schema.NullOr(time),
  startWithinMs: Schema.NullOr(delay),
  startedAt: time,
  claim,
  claims: int(1, 50),
  settledClaim: int(0, 1_000_000),
  failures: int(0, 50),
  crashes: int(0, 20),
  cancelRequested: Schema.Boolean,
  history: Schema.Array(AttemptRecord).check(Schema.isMaxLength(maxHistory))
})

const running = (task: typeof Running.Type): Settlement.Current => ({
  ...task,
  state: "running",
  completedAt: null,
  result: null,
  failure: null,
  onFailure: null,
  waitsFor: 0,
  instance: "w"
})

const Ending = Schema.Union([
  Schema.TaggedStruct("Complete", { result: Schema.String }),
  Schema.TaggedStruct("Retry", { delayMs: delay, failure: TaskFailure }),
  Schema.TaggedStruct("Fail", { failure: TaskFailure }),
  Schema.TaggedStruct("Cancel", {}),
  Schema.TaggedStruct("Snooze", { delayMs: delay }),
  Schema.TaggedStruct("Release", {})
])

const settlementOf = (ending: typeof Ending.Type, claim: number): Settlement.Settlement => ({
  ...ending,
  id: "t",
  claim
})

describe("a settlement, whatever it is and whatever task it meets", () => {
  it.prop("moves the task as the table of states allows", [Running, Ending, time], ([task, ending, now]) => {
    const { state } = Settlement.settle(running(task), settlementOf(ending, task.claim), now)
    return TaskState.canMove("running", state)
  })

  it.prop("remembers its claim, so that its repetition is answered `already`", [Running, Ending, time], (
    [task, ending, now]
  ) => {
    const change = Settlement.settle(running(task), settlementOf(ending, task.claim), now)
    return Settlement.fence({ ...change, claim: task.claim }, task.claim) === "already"
  })

  it.prop("is stale under any other claim than the current and the last settled one", [Running, claim], (
    [task, other]
  ) => {
    const answer = Settlement.fence(running(task), other)
    if (other === task.settledClaim) return answer === "already"
    return answer === (other === task.claim ? "applied" : "stale")
  })

  it.prop("never runs a task again whose cancel was requested", [Running, Ending, time], ([task, ending, now]) => {
    const { state } = Settlement.settle(
      running({ ...task, cancelRequested: true }),
      settlementOf(ending, task.claim),
      now
    )
    return TaskState.isFinished(state)
  })

  it.prop("counts a failure exactly when the attempt failed, and never a crash", [Running, Ending, time], (
    [task, ending, now]
  ) => {
    const change = Settlement.settle(running(task), settlementOf(ending, task.claim), now)
    const failed = ending._tag === "Retry" || ending._tag === "Fail" ? 1 : 0
    return change.failures === task.failures + failed && change.crashes === task.crashes
  })

  it.prop(
    "keeps the history within its limit",
    [Running, Ending, time],
    ([task, ending, now]) =>
      Settlement.settle(running(task), settlementOf(ending, task.claim), now).history.length <= maxHistory
  )

  it.prop("says when a task has finished, exactly when it has", [Running, Ending, time], ([task, ending, now]) => {
    const { completedAt, state } = Settlement.settle(running(task), settlementOf(ending, task.claim), now)
    return (completedAt === now) === TaskState.isFinished(state)
  })
})

describe("a rescue", () => {
  it.prop("follows the table, counts the crash, and fences the lost attempt off", [Running, int(-1, 20), time], (
    [task, maxCrashes, now]
  ) => {
    const change = Settlement.rescue(running(task), maxCrashes, now)
    const name = `${change.state} ${change.crashes}`
    if (task.cancelRequested) return name === `cancelled ${task.crashes}`
    const isQuarantined = maxCrashes >= 0 && task.crashes + 1 > maxCrashes
    assert.strictEqual(change.state === "failed", isQuarantined)
    assert.isTrue(TaskState.canMove("running", change.state))
    assert.isTrue(
      task.settledClaim === task.claim || Settlement.fence({ ...change, claim: task.claim }, task.claim) === "stale"
    )
    return change.crashes === task.crashes + 1
  })

  it.prop("waits longer after each crash, up to a minute", [int(0, 1000)], ([crashes]) => {
    const wait = Settlement.crashDelayMs(crashes)
    const next = Settlement.crashDelayMs(crashes + 1)
    return wait >= 0 && next >= wait && next <= 60_000
  })
})

describe("an operator's", () => {
  const state = Schema.Literals(TaskState.all as Array<TaskState.TaskState>)

  it.prop("cancel ends what waits, asks what runs, and leaves what has finished", [Running, state, time], (
    [task, state, now]
  ) => {
    const change = Settlement.cancel({ ...running(task), state }, now)
    if (TaskState.isFinished(state)) return change === undefined
    return state === "running"
      ? change?.state === "running" && change.cancelRequested
      : change?.state === "cancelled" && TaskState.canMove(state, "cancelled")
  })

  it.prop("retry brings back what failed or was cancelled, with fresh budgets, and nothing else", [
    Running,
    state,
    time
  ], ([task, state, now]) => {
    const change = Settlement.rerun({ ...running(task), state, completedAt: now }, now)
    if (state !== "failed" && state !== "cancelled" && state !== "expired") return change === undefined
    return change?.state === "pending" && change.failures === 0 && change.crashes === 0 && !change.cancelRequested &&
      TaskState.canMove(state, "pending")
  })
})

describe("ranks", () => {
  const headStart = int(0, 86_400_000)

  it.prop(
    "order equal priorities by due time",
    [time, time, priority, headStart],
    ([a, b, level, headStartMs]) =>
      Math.sign(Rank.rank(a, level, headStartMs) - Rank.rank(b, level, headStartMs)) === Math.sign(a - b)
  )

  it.prop("put the more urgent first within the head start, and the older first beyond it", [
    time,
    delay,
    int(0, 8),
    headStart
  ], ([dueAt, later, level, headStartMs]) => {
    const old = Rank.rank(dueAt, level, headStartMs)
    const urgent = Rank.rank(dueAt + later, level + 1, headStartMs)
    return Math.sign(urgent - old) === Math.sign(later - headStartMs)
  })

  it.prop(
    "stay exact integers, even with an endless head start",
    [time, priority],
    ([dueAt, level]) => Number.isSafeInteger(Rank.rank(dueAt, level, Rank.headStartMillis(Infinity)))
  )
})

describe("the delay of a retry", () => {
  const schedules = {
    exponential: Schedule.exponential("1 second"),
    spaced: Schedule.spaced("1500 millis"),
    jittered: RetryPolicy.defaultSchedule,
    fibonacci: Schedule.fibonacci("100 millis")
  }

  it.effect.prop("is whole milliseconds, and never longer than the longest", [
    Schema.Literals(["exponential", "spaced", "jittered", "fibonacci"]),
    int(1, 60),
    int(1, 3_600_000)
  ], ([name, failures, maxDelay]) =>
    Effect.map(
      RetryPolicy.delayMs({ schedule: schedules[name], maxDelay }, failures, undefined),
      (delay) => delay !== undefined && Number.isSafeInteger(delay) && delay >= 0 && delay <= maxDelay
    ))

  it.effect.prop("is there as long as the budget lasts, and not beyond it", [int(-1, 10), int(1, 20)], (
    [maxRetries, failures]
  ) =>
    Effect.map(
      RetryPolicy.next<unknown>({ schedule: schedules.spaced }, { failures, maxRetries, tag: "Error" }),
      (delay) => (delay !== undefined) === (maxRetries < 0 || failures <= maxRetries)
    ))

  it.effect.prop("does not shrink from one failure to the next of an exponential schedule", [int(1, 40)], (
    [failures]
  ) =>
    Effect.gen(function*() {
      const rule = { schedule: schedules.exponential }
      const before = yield* RetryPolicy.delayMs(rule, failures, undefined)
      const after = yield* RetryPolicy.delayMs(rule, failures + 1, undefined)
      return before! <= after!
    }))
})

const valueOf = <A, E>(exit: Exit.Exit<A, E>): A =>
  Exit.isSuccess(exit) ? exit.value : assert.fail(`Expected a success, got ${String(exit.cause)}`)

describe("texts come back as they were:", () => {
  const filter = Schema.Struct({
    states: Schema.optional(Schema.Array(Schema.String)),
    types: Schema.optional(Schema.Array(Schema.String)),
    queues: Schema.optional(Schema.Array(Schema.String))
  })

  it.prop(
    "cursors",
    [int(0, Number.MAX_SAFE_INTEGER), filter],
    ([seq, filter]) => Cursor.decode(Cursor.encode(seq, filter), filter) === seq
  )

  it.prop("no other text is a cursor", [Schema.String, filter], ([text, filter]) => {
    const seq = Cursor.decode(text, filter)
    return seq === undefined || Cursor.encode(seq, filter) === text
  })

  it.prop("durations", [int(0, 10_000_000_000)], ([millis]) => {
    const parsed = DurationText.parse(DurationText.format(Duration.millis(millis)))
    return parsed !== undefined && Duration.toMillis(parsed) === millis
  })

  it.prop("durations by their schema", [int(0, 10_000_000_000)], ([millis]) => {
    const text = Schema.encodeSync(DurationText.DurationText)(Duration.millis(millis))
    return Duration.toMillis(Schema.decodeSync(DurationText.DurationText)(text)) === millis
  })

  it.prop("any text is a duration or none, and never throws", [Schema.String], ([text]) => {
    const duration = DurationText.parse(text)
    return duration === undefined || Duration.toMillis(duration) >= 0
  })

  it.prop("priorities", [priority], ([level]) => {
    const schema = Priority.PriorityFromInput
    return Schema.decodeSync(schema)(Schema.encodeSync(schema)(level)) === level
  })

  it.prop(
    "names of priorities are their numbers",
    [Schema.Literals(["low", "normal", "high", "critical"])],
    ([name]) => Priority.nameOf(Priority.toNumber(name)) === name
  )

  const Everything = Schema.Struct({
    text: Schema.String,
    count: Schema.Int,
    flag: Schema.Boolean,
    list: Schema.Array(Schema.NullOr(Schema.String)),
    either: Schema.Union([Schema.Struct({ a: Schema.Int }), Schema.Struct({ b: Schema.String })]),
    at: Schema.optionalKey(Schema.DateTimeUtc)
  })
  const definition = TaskDefinition.make("everything", {
    payload: Everything,
    success: Everything,
    error: Schema.TaggedStruct("Refused", { why: Everything })
  })

  it.prop("payloads", [Everything], ([payload]) => {
    const text = valueOf(definition.codec.encodePayload(payload))
    return Equal.equals(valueOf(definition.codec.decodePayload(text)), payload)
  })

  it.prop("results", [Everything], ([success]) => {
    const text = valueOf(definition.codec.encodeSuccess(success))
    return Equal.equals(valueOf(definition.codec.decodeSuccess(text)), success)
  })

  it.prop("errors", [Everything], ([why]) => {
    const error = { _tag: "Refused" as const, why }
    const stored = JSON.parse(JSON.stringify(valueOf(definition.codec.encodeError(error)))) as Schema.Json
    return Equal.equals(valueOf(definition.codec.decodeError(stored)), error)
  })

  it.prop(
    "a payload that does not fit fails, and never throws",
    [Schema.String],
    ([text]) => Exit.isFailure(definition.codec.decodePayload(text))
  )
})
