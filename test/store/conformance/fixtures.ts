/**
 * The vocabulary of the conformance suite: tasks, claims and settlements with defaults, and shorthands that fail the
 * test when the store answers something else.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import {
  type Accepted,
  type ClaimRef,
  type ClaimRequest,
  type EnqueueAnswer,
  Gate,
  Gates,
  type ListedTasks,
  type NewTask,
  PausedQueues,
  RecordStore,
  type Retention,
  type Settlement,
  type TaskFailure,
  type TaskRecord,
  type TaskState,
  TaskStore
} from "taskforge/store"

/** Milliseconds in each unit. */
export const second = 1000
export const minute = 60 * second
export const hour = 60 * minute
const day = 24 * hour

/** A century of milliseconds: retention that keeps everything. */
const forEver = 100 * 365 * day

let counter = 0

/** A new task with defaults and an id of its own. */
export const task = (fields: Partial<NewTask> = {}): NewTask => ({
  id: `task-${++counter}`,
  type: "work",
  queue: "default",
  payload: "{}",
  priority: 1,
  key: null,
  maxRetries: 3,
  timeoutMs: null,
  gate: null,
  costs: null,
  delayMs: 0,
  runAt: null,
  expiresInMs: null,
  startWithinMs: null,
  ...fields
})

/** Several new tasks alike. */
export const tasks = (count: number, fields: Partial<NewTask> = {}): ReadonlyArray<NewTask> =>
  Array.from({ length: count }, () => task(fields))

/** Stops or resumes claims from a queue. */
export const pause = (queue: string, paused: boolean) => paused ? PausedQueues.pause(queue) : PausedQueues.resume(queue)

/** The gate of a task with these passes, of each of which it takes 1, or as much as is said. */
export const through = (...passes: ReadonlyArray<Gate.Pass | readonly [pass: Gate.Pass, cost: number]>): Gate.Gated =>
  Gate.gated(passes.map((pass) => typeof pass === "string" ? [pass, 1] : pass))

/** Stores a record of a kind, whatever it was before; `null` takes it away. */
export const putRecord = Effect.fnUntraced(function*(kind: string, id: string, document: unknown) {
  const records = yield* RecordStore
  const [known] = yield* records.get(kind, [id])
  const text = document === null ? null : JSON.stringify(document)
  if (known === undefined && text === null) return
  yield* records.put([{ kind, id, expects: known?.version ?? 0, document: text }])
})

/** Sets a limit, of a name or of one pass; `null` takes it away. */
export const setLimit = (id: string, limit: Gate.Limit | null) => putRecord(Gates.limitKind, id, limit)

/** How a pass stands. */
export const passState = (pass: Gate.Pass) =>
  Effect.map(TaskStore.use((store) => store.passes([pass])), ([state]) => state!)

/** A claim with defaults and a nonce that no claim has used before. */
export const request = (fields: Partial<ClaimRequest> = {}): ClaimRequest => ({
  queues: ["default"],
  types: ["work"],
  limit: 1000,
  instance: "instance-1",
  leaseForMs: 30 * second,
  nonce: ++counter,
  ...fields
})

/** What tests say of retention: most of it of all states together. */
export interface Keeping {
  /** Of all states but `failed`. */
  readonly finishedForMs?: number
  readonly failedForMs?: number
  /** Of each state. */
  readonly maxFinished?: number
  readonly maxKeyedFinished?: number
  readonly max?: Partial<Retention["max"]>
  readonly forMs?: Partial<Retention["forMs"]>
}

/** A retention that keeps all but what the fields say. */
export const retention = (
  {
    failedForMs = forEver,
    finishedForMs = forEver,
    forMs,
    max,
    maxFinished: most = Number.MAX_SAFE_INTEGER,
    maxKeyedFinished = Number.MAX_SAFE_INTEGER
  }: Keeping = {}
): Retention => ({
  forMs: { completed: finishedForMs, cancelled: finishedForMs, expired: finishedForMs, failed: failedForMs, ...forMs },
  max: { completed: most, cancelled: most, expired: most, failed: most, ...max },
  maxKeyed: maxKeyedFinished
})

/** Why an attempt failed. */
export const failure: TaskFailure = { kind: "error", tag: "Refused", message: "The server refused" }

/** Stores tasks as one group and answers their ids. */
export const add = <const Group extends ReadonlyArray<Partial<NewTask>>>(...group: Group) =>
  Effect.map(addGroup(group), (accepted) => idsOf(accepted) as { readonly [Index in keyof Group]: string })

/** The ids of many tasks, the first of which a test names. */
type Ids = readonly [string, string, string, string, string, string, string, string, ...Array<string>]

/** The same for as many as there are. */
export const addAll = (group: ReadonlyArray<Partial<NewTask>>) =>
  Effect.map(addGroup(group), (accepted) => idsOf(accepted) as Ids)

/** Stores one task and answers its id. */
export const addOne = (fields: Partial<NewTask> = {}) => Effect.map(add(fields), ([id]) => id)

/** Stores tasks as one group, which must be accepted. */
export const addGroup = Effect.fnUntraced(function*(group: ReadonlyArray<Partial<NewTask>>) {
  const store = yield* TaskStore
  const [answer] = yield* store.enqueue([group.map(task)])
  if (answer?._tag !== "Accepted") return assert.fail(`Expected the group to be accepted, got ${show(answer)}`)
  return answer.tasks as ReadonlyArray<Accepted>
})

/** What became of groups, without the store's clock. */
export const timeless = (answers: ReadonlyArray<EnqueueAnswer>) =>
  answers.map((answer) => answer._tag === "Accepted" ? { _tag: answer._tag, tasks: answer.tasks } : answer)

/** Claims tasks. */
export const take = (fields: Partial<ClaimRequest> = {}) =>
  Effect.map(TaskStore.use((store) => store.claim(request(fields))), (answer) => answer.tasks)

/** Claims tasks and answers their ids in the order given. */
export const takeIds = (fields: Partial<ClaimRequest> = {}) => Effect.map(take(fields), idsOf)

/** Claims exactly one task. */
export const takeOne = Effect.fnUntraced(function*(fields: Partial<ClaimRequest> = {}) {
  const [claimed] = yield* take({ limit: 1, ...fields })
  return claimed ?? assert.fail("Expected a task to claim, got none")
})

/** Stores one task and claims it. */
export const running = Effect.fnUntraced(function*(
  fields: Partial<NewTask> = {},
  claim: Partial<ClaimRequest> = {}
) {
  const id = yield* addOne(fields)
  const claimed = yield* takeOne(claim)
  assert.strictEqual(claimed.id, id)
  return claimed
})

/** Settles one attempt and answers what became of it. */
export const settle = Effect.fnUntraced(function*(settlement: Settlement.Settlement) {
  const store = yield* TaskStore
  const [answer] = yield* store.settle([settlement])
  return answer as Settlement.SettleAnswer
})

/** Settles one attempt that is still valid. */
export const settled = (settlement: Settlement.Settlement) =>
  Effect.map(settle(settlement), (answer) => assert.strictEqual(answer, "applied"))

/** Extends one lease. */
export const extend = (ref: ClaimRef, leaseForMs = 30 * second) =>
  Effect.map(TaskStore.use((store) => store.extend([ref], leaseForMs)), ([answer]) => answer)

/** Cancels one task and answers what that did. */
export const cancel = (id: string) => Effect.map(TaskStore.use((store) => store.cancel([id])), ([answer]) => answer)

/** Runs one task again as an operator does. */
export const rerun = (id: string) => Effect.map(TaskStore.use((store) => store.rerun([id])), ([answer]) => answer)

/** Any time of the store's clock is possible: what has expired by it is rescued, and nothing is too far ahead. */
export const anyTime = {
  earliest: Number.MAX_SAFE_INTEGER,
  latest: 0,
  maxOffMs: Number.MAX_SAFE_INTEGER,
  maxAheadMs: 1_000_000 * hour
}

/** Rescues what has expired. */
export const rescue = (limit = 1000) =>
  Effect.map(TaskStore.use((store) => store.rescue({ limit, ...anyTime })), ({ rescued }) => rescued)

/** The stored record, which must exist. */
export const record = Effect.fnUntraced(function*(id: string) {
  const found = yield* TaskStore.use((store) => store.get(id))
  return found ?? assert.fail(`Expected task ${id} to be stored`)
})

/** The state of a stored task. */
export const stateOf = (id: string) => Effect.map(record(id), (found) => found.state)

/** Everything that is stored, newest first. */
export const everything = Effect.gen(function*() {
  const store = yield* TaskStore
  const all: Array<TaskRecord> = []
  let before: number | undefined
  do {
    const { next, tasks }: ListedTasks = yield* store.list({ limit: 10_000, before })
    all.push(...tasks)
    before = next
  } while (before !== undefined)
  return all
})

/** Counts by state and totals. */
export const counts = TaskStore.use((store) => store.counts)

/** The ids of tasks. */
export const idsOf = (items: ReadonlyArray<{ readonly id: string }>): ReadonlyArray<string> => items.map(({ id }) => id)

/** The claim of a claimed task. */
export const refOf = ({ claim, id }: ClaimRef): ClaimRef => ({ id, claim })

export const complete = ({ claim, id }: ClaimRef, result = "null"): Settlement.Settlement => ({
  _tag: "Complete",
  id,
  claim,
  result
})
export const fail = ({ claim, id }: ClaimRef): Settlement.Settlement => ({ _tag: "Fail", id, claim, failure })
export const again = ({ claim, id }: ClaimRef, delayMs = 0): Settlement.Settlement => ({
  _tag: "Retry",
  id,
  claim,
  delayMs,
  failure
})
export const stop = ({ claim, id }: ClaimRef): Settlement.Settlement => ({ _tag: "Cancel", id, claim })
export const snooze = ({ claim, id }: ClaimRef, delayMs = 0): Settlement.Settlement => ({
  _tag: "Snooze",
  id,
  claim,
  delayMs
})
export const release = ({ claim, id }: ClaimRef): Settlement.Settlement => ({ _tag: "Release", id, claim })

/** One settlement of each kind for an attempt. */
export const everySettlement = (ref: ClaimRef): ReadonlyArray<Settlement.Settlement> => [
  complete(ref),
  fail(ref),
  again(ref, second),
  stop(ref),
  snooze(ref, second),
  release(ref)
]

/** Stores a task and brings it into a state. */
export const inState = Effect.fnUntraced(function*(state: TaskState.TaskState, fields: Partial<NewTask> = {}) {
  if (state === "scheduled") return yield* addOne({ delayMs: hour, ...fields })
  if (state === "pending") return yield* addOne(fields)
  if (state === "expired") {
    const late = yield* running({ expiresInMs: hour, ...fields })
    yield* settled(again(late, 2 * hour))
    return late.id
  }
  const claimed = yield* running(fields)
  if (state === "completed") yield* settled(complete(claimed))
  if (state === "failed") yield* settled(fail(claimed))
  if (state === "cancelled") yield* settled(stop(claimed))
  return claimed.id
})

/** Whether two times are the same on a clock that may tick between two calls. */
export const nearly = (actual: number, expected: number, toleranceMs = 5 * second): void =>
  assert.isTrue(Math.abs(actual - expected) <= toleranceMs, `Expected about ${expected}, got ${actual}`)

const show = (value: unknown): string => JSON.stringify(value)
