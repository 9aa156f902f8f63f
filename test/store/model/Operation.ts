/**
 * What the property test may do to a store: plain data, drawn at random and shrunk to the shortest sequence that still
 * fails. Small pools of ids, keys, queues and times make them meet often.
 */
import { Arbitrary, Schema, Struct } from "effect"
import {
  Gate,
  type InvalidOption,
  type Refused,
  type RescheduleRequest,
  type StoreError,
  type Uniqueness
} from "taskforge/store"

const enqueued = ["t0", "t1", "t2", "t3", "t4"] as const

/** Ids that tasks may have; the last one is never enqueued. */
export const ids = [...enqueued, "unknown"] as const

/** The last one is a version of the first. */
const types = ["a", "b", "a\u001f2"] as const
const queues = ["x", "y"] as const
const instances = ["w0", "w1"] as const

const someOf = <const Values extends ReadonlyArray<string>>(values: Values) =>
  Schema.Array(Schema.Literals(values)).check(Schema.isMinLength(1), Schema.isMaxLength(2))

const count = Schema.Literals([1, 2, 5])
const lease = Schema.Literals([1000, 5000])
const delay = Schema.Literals([0, 1000, 5000])

/** Which of the leases given out so far, counted from the latest. Older ones are usually not valid any more. */
const attempt = Schema.Literals([0, 1, 2, 5])

/** Passes of the tasks, joined by a space. */
const gates = [
  "",
  "",
  "",
  "l=a",
  "l=b",
  "l=a m=x",
  "m=x",
  "r=k",
  "r=k l=b",
  "!o=a",
  "f=a",
  "f=b",
  "~b=x",
  "~b=x l=a"
] as const

/** Those of one of them. */
export const passes = ["l=a", "l=b", "m=x", "r=k", "!o=a", "f=a", "f=b", "~b=x"] as const

/** Limits that are set, by the name or the pass that they are set for. */
const limits = {
  l: [null, { max: 1 }, { max: 2 }, { lifted: true }],
  "l=a": [null, { max: 0 }, { max: 3 }, { lifted: true }],
  m: [null, { max: 1 }],
  // a breaker, which may be tried at once or so much later
  "~b=x": [null, { max: 1, notBefore: 2000 }, { max: 1, notBefore: 0 }, { max: 1, notBefore: 6000 }],
  r: [null, { tokens: 1, perMs: 1000, burst: 2 }, { tokens: 2, perMs: 3000, burst: 3 }],
  "!o": [null, { order: "block" }, { order: "continue" }],
  // not taken away again: a store may then forget the turns, or not
  f: [{ fair: 1 }, { fair: 2 }]
} as const

/** What a task of {@link gates} has to pass; those of rates take 1.5 of them. */
export const gatedBy = (gate: typeof gates[number], key: string | null): Gate.Gated =>
  // where a line is emptied because its task takes another gate, a store may forget its turn or not
  Gate.gated(
    gate === "" || (key !== null && gate.startsWith("f"))
      ? []
      : gate.split(" ").map((pass) => [pass, pass.startsWith("r") ? 1.5 : 1] as const)
  )

/** How a task with a key is unique: its window, what becomes of others, and how far they postpone it. */
const uniques = {
  "": null,
  "waiting return": { window: "waiting", onConflict: "return", byMs: 0, maxMs: null },
  "waiting replace": { window: "waiting", onConflict: "replace", byMs: 0, maxMs: null },
  "waiting postpone": { window: "waiting", onConflict: "postpone", byMs: 2000, maxMs: 5000 },
  "unfinished return": { window: "unfinished", onConflict: "return", byMs: 0, maxMs: null },
  "unfinished refuse": { window: "unfinished", onConflict: "refuse", byMs: 0, maxMs: null },
  "unfinished replace": { window: "unfinished", onConflict: "replace", byMs: 0, maxMs: null },
  "3 s return": { window: 3000, onConflict: "return", byMs: 0, maxMs: null },
  "3 s postpone": { window: 3000, onConflict: "postpone", byMs: 1000, maxMs: null },
  "kept replace": { window: "kept", onConflict: "replace", byMs: 0, maxMs: null }
} as const

/** A drawn change as a store takes it. */
export const rescheduleOf = (
  { delayMs, gate, id, payload, priority, queue, startWithinMs, type }: OperationOf<"reschedule">
): RescheduleRequest => ({
  id,
  type,
  queue,
  ...(payload === null ? {} : { payload, ...gatedBy(gate, "") }),
  ...(priority === null ? {} : { priority }),
  ...(delayMs === null ? {} : { delayMs }),
  ...(startWithinMs === null ? {} : { startWithinMs })
})

/** How a drawn task is unique. */
export const uniqueBy = (name: keyof typeof uniques): Uniqueness.Unique | null => uniques[name]

const trace = Schema.NullOr(Schema.Literals([`00-${"a".repeat(32)}-${"b".repeat(16)}-01`]))
const tags = Schema.NullOr(Schema.Literals([`["a,b;c","\\n\\u0000"]`, `["ä","👩‍💻"]`]))

/** The trace and the tags of a drawn task, each left out where it has none. */
export const marksOf = ({ tags, trace }: typeof NewTask.Type) => ({
  ...(trace === null ? {} : { trace }),
  ...(tags === null ? {} : { tags })
})

/** Some of it is less than the head start, and some more. */
const startWithinMs = Schema.NullOr(Schema.Literals([1, 1500, 5000]))

const NewTask = Schema.Struct({
  id: Schema.Literals(enqueued),
  type: Schema.Literals(types),
  queue: Schema.Literals(queues),
  payload: Schema.Literals(["1", "2"]),
  priority: Schema.Literals([0, 1, 3]),
  key: Schema.NullOr(Schema.Literals(["k0", "k1"])),
  unique: Schema.Literals(["", ...Object.keys(uniques) as Array<keyof typeof uniques>]),
  gate: Schema.Literals(gates),
  delayMs: delay,
  /** A time from now on, or before. */
  runIn: Schema.NullOr(Schema.Literals([-3000, 2000])),
  expiresInMs: Schema.NullOr(Schema.Literals([1000, 4000])),
  startWithinMs,
  trace,
  tags
})

const few = <S extends Schema.Constraint>(item: S, max: number) =>
  Schema.Array(item).check(Schema.isMinLength(1), Schema.isMaxLength(max))

const End = Schema.Struct({
  attempt,
  as: Schema.Literals(["Complete", "Retry", "Fail", "Cancel", "Snooze", "Release"]),
  delayMs: delay
})

const operations = {
  enqueue: Schema.Struct({ do: Schema.Literal("enqueue"), groups: few(few(NewTask, 3), 2) }),
  /** So many neighbours that differ in nothing but their ids, which a driver may keep together. */
  enqueueAlike: Schema.Struct({
    do: Schema.Literal("enqueue alike"),
    count: Schema.Literals([2, 3, 4]),
    task: NewTask.mapFields(Struct.omit(["id", "key"]))
  }),
  claim: Schema.Struct({
    do: Schema.Literal("claim"),
    instance: Schema.Literals(instances),
    queues: Schema.Union([someOf(queues), Schema.Undefined]),
    /** Of no effect where queues are named. */
    except: Schema.optional(someOf(queues)),
    types: someOf(types),
    limit: count,
    leaseForMs: lease
  }),
  claimAgain: Schema.Struct({ do: Schema.Literal("claim again"), instance: Schema.Literals(instances) }),
  settle: Schema.Struct({ do: Schema.Literal("settle"), items: few(End, 3) }),
  /** A record, new tasks and ends of attempts, all or none of them. */
  together: Schema.Struct({
    do: Schema.Literal("together"),
    /** How the record is changed: not at all, or with the version that it has or another one as the expected one. */
    record: Schema.Literals(["stays", "changes", "changed before"]),
    tasks: Schema.Array(NewTask).check(Schema.isMaxLength(3)),
    items: Schema.Array(End).check(Schema.isMaxLength(2))
  }),
  /** The last of these once more, with its nonce. */
  togetherAgain: Schema.Struct({ do: Schema.Literal("together again") }),
  extend: Schema.Struct({ do: Schema.Literal("extend"), attempts: few(attempt, 2), leaseForMs: lease }),
  report: Schema.Struct({ do: Schema.Literal("report"), attempt, progress: Schema.Literals([0, 0.5, 1]) }),
  rescue: Schema.Struct({ do: Schema.Literal("rescue"), limit: count }),
  expire: Schema.Struct({ do: Schema.Literal("expire"), limit: count }),
  cancel: Schema.Struct({ do: Schema.Literal("cancel"), ids: someOf(ids) }),
  rerun: Schema.Struct({ do: Schema.Literal("rerun"), ids: someOf(ids) }),
  /** Changes a waiting task, of a type and queue that it may have. */
  reschedule: Schema.Struct({
    do: Schema.Literal("reschedule"),
    id: Schema.Literals(ids),
    type: Schema.Literals(types),
    queue: Schema.Literals(queues),
    /** A payload comes with its gate. */
    payload: Schema.NullOr(Schema.Literals(["1", "2"])),
    gate: Schema.Literals(gates),
    priority: Schema.NullOr(Schema.Literals([0, 1, 3])),
    delayMs: Schema.NullOr(delay),
    startWithinMs
  }),
  remove: Schema.Struct({ do: Schema.Literal("remove"), ids: someOf(ids) }),
  pause: Schema.Struct({ do: Schema.Literal("pause"), queue: Schema.Literals(queues), paused: Schema.Boolean }),
  /** Sets one of the limits of a name or pass, by its place among them. */
  limit: Schema.Struct({
    do: Schema.Literal("limit"),
    id: Schema.Literals(Object.keys(limits) as Array<keyof typeof limits>),
    place: Schema.Literals([0, 1, 1, 1, 2, 3])
  }),
  pauseKey: Schema.Struct({ do: Schema.Literal("pause key"), pass: Schema.Literals(passes), paused: Schema.Boolean }),
  pauseType: Schema.Struct({
    do: Schema.Literal("pause type"),
    type: Schema.Literals(["a", "b"]),
    paused: Schema.Boolean
  }),
  letGo: Schema.Struct({ do: Schema.Literal("let go"), pass: Schema.Literals(passes) }),
  charge: Schema.Struct({
    do: Schema.Literal("charge"),
    pass: Schema.Literals(passes),
    amount: Schema.Literals([-2, 0.25, 3])
  }),
  prune: Schema.Struct({
    do: Schema.Literal("prune"),
    finishedForMs: Schema.Literals([0, 3000, 1e12]),
    failedForMs: Schema.Literals([0, 3000, 1e12]),
    maxFinished: Schema.Literals([0, 1, 3, 100]),
    maxKeyedFinished: Schema.Literals([2, 100]),
    limit: Schema.Literals([1, 100])
  }),
  advance: Schema.Struct({
    do: Schema.Literal("advance"),
    ms: Schema.Literals([1, 500, 1000, 3000, 10_000, 86_400_000])
  })
}

/** One operation. Those at the heart of the contract are drawn more often. */
export const Operation = Schema.Union([
  operations.enqueue,
  operations.enqueue,
  operations.enqueueAlike,
  operations.claim,
  operations.claim,
  operations.claim,
  operations.settle,
  operations.settle,
  operations.together,
  operations.together,
  operations.togetherAgain,
  operations.advance,
  operations.advance,
  operations.claimAgain,
  operations.extend,
  operations.report,
  operations.rescue,
  operations.expire,
  operations.cancel,
  operations.rerun,
  operations.reschedule,
  operations.reschedule,
  operations.rerun,
  operations.remove,
  operations.pause,
  operations.limit,
  operations.limit,
  operations.limit,
  operations.pauseKey,
  operations.pauseType,
  operations.letGo,
  operations.charge,
  operations.prune
])

export type Operation = typeof Operation.Type

/**
 * For how long a claim that gave tasks can be repeated. After that a store may have forgotten it or not, so its answer is
 * left open: PostgreSQL keeps the newest for ever.
 */
export const rememberedForMs = 24 * 60 * 60 * 1000

/** The limit that an operation sets at this time of the store's clock; `null` takes it away. */
export const limitOf = ({ id, place }: OperationOf<"limit">, now: number): Gate.Limit | null => {
  const choices: ReadonlyArray<Gate.Limit | null> = limits[id]
  const limit = choices[place % choices.length]!
  return limit !== null && "max" in limit && limit.notBefore !== undefined
    ? { ...limit, notBefore: now + limit.notBefore }
    : limit
}

/** Whether it may start something when a time has come: how early a store looks is its own choice. */
export const isTimed = (limit: Gate.Limit): boolean =>
  "tokens" in limit || ("max" in limit && limit.notBefore !== undefined)

/** Neighbours that are alike as the one group that they are. */
export const groupOf = ({ count, task }: OperationOf<"enqueue alike">): OperationOf<"enqueue"> => ({
  do: "enqueue",
  groups: [enqueued.slice(0, count).map((id) => ({ ...task, id, key: null }))]
})

/**
 * How long a drawn task is of use. Not where its line takes turns: if what has expired empties the line, a store may forget
 * its turn or not.
 */
export const expiryOf = ({ expiresInMs, gate }: OperationOf<"together">["tasks"][number]): number | null =>
  gate.includes("f=") ? null : expiresInMs

/** One end for each task: the first that is said about it. */
export const endsOf = <End extends { readonly id: string }>(ends: ReadonlyArray<End>): ReadonlyArray<End> =>
  ends.filter(({ id }, index) => ends.findIndex((other) => other.id === id) === index)

/** What is expected of a record that has a version, or has none yet. */
export const expectedOf = (record: OperationOf<"together">["record"], version: number | undefined): number =>
  record === "changes" ? version ?? 0 : version === undefined ? 1 : 0

/** The record that is changed. */
export const stepRecord = { kind: "step", id: "s" } as const

/** What nothing was done for, without the versions that each store gives. */
export const reasonOf = (error: Refused | InvalidOption | StoreError): unknown => {
  switch (error._tag) {
    case "RecordConflict":
      return { _tag: error._tag, index: error.index }
    case "LeaseLost":
      return { _tag: error._tag, id: error.id, claim: error.claim }
    case "KeyConflict":
      return {
        _tag: error._tag,
        type: error.type,
        key: error.key,
        id: error.id,
        index: error.index,
        ...(error.state === undefined ? {} : { state: error.state })
      }
    case "QueueFull":
      return { _tag: error._tag, capacity: error.capacity, unfinished: error.unfinished, offered: error.offered }
    default:
      return error
  }
}

/** The operation of one name. */
export type OperationOf<Name extends Operation["do"]> = Extract<Operation, { readonly do: Name }>

/** Sequences of operations. */
export const sequences: Arbitrary.Arbitrary<Array<Operation>> = Arbitrary.array(Arbitrary.schema(Operation), {
  minLength: 1,
  maxLength: 80
})

const neighbour = {
  type: "a",
  queue: "x",
  payload: "1",
  priority: 0,
  delayMs: 0,
  runIn: null,
  gate: "",
  unique: "",
  expiresInMs: null,
  startWithinMs: null,
  trace: null,
  tags: null
} as const
const simple = { ...neighbour, key: null }
const keepAll = { finishedForMs: 1e12, failedForMs: 1e12, maxFinished: 100, maxKeyedFinished: 100, limit: 100 } as const

/** Sequences that failed once, each rare among random ones. */
export const onceFailed: ReadonlyArray<ReadonlyArray<Operation>> = [
  // A claim is repeated when it may have been forgotten
  [
    { do: "enqueue", groups: [[{ ...simple, id: "t0" }], [{ ...simple, id: "t1" }]] },
    { do: "claim", instance: "w1", queues: undefined, types: ["a"], limit: 1, leaseForMs: 1000 },
    { do: "settle", items: [{ attempt: 0, as: "Complete", delayMs: 0 }] },
    { do: "advance", ms: 86_400_000 },
    { do: "prune", ...keepAll },
    { do: "claim again", instance: "w1" }
  ],
  // A retry fills a store whose tasks have been counted before
  [
    { do: "enqueue alike", count: 4, task: neighbour },
    { do: "cancel", ids: ["t2"] },
    { do: "enqueue", groups: [[{ ...simple, id: "t3" }]] },
    { do: "rerun", ids: ["t2"] },
    { do: "enqueue", groups: [[{ ...simple, id: "t4" }]] }
  ]
]

/** What a claim asks a store for. */
export const askedOf = ({ do: _do, ...asked }: OperationOf<"claim">) =>
  asked.queues === undefined ? asked : { ...asked, except: undefined }
