/**
 * Records in Redis, and the scripts that keep them. A record is one text: its version, when it was written and when it is
 * due, each with a semicolon, and the document.
 */
import { Effect } from "effect"
import { cycleOf, isDependent } from "../../domain/Dependencies.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { NewTask, TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import { type Budget, offeredBytes } from "../Admission.ts"
import * as Atomically from "../Atomically.ts"
import type { Aftermath } from "../Dependencies.ts"
import { decideSettle, type Decision } from "../Driver.ts"
import { limitKind, pausedKeyKind } from "../Gates.ts"
import * as RecordDriver from "../RecordDriver.ts"
import { absent, type RecordStore, type StoredRecord } from "../RecordStore.ts"
import type { Accepted } from "../TaskStore.ts"
import * as Enqueue from "./Enqueue.ts"
import * as Failure from "./Failure.ts"
import { lines } from "./Lines.ts"
import * as Merge from "./Merge.ts"
import { admitted, entered, lanes } from "./Order.ts"
import { type Outcome, type Telling, told } from "./Outcome.ts"
import { limits } from "./Passes.ts"
import { maxArguments, prelude, type Runner, script } from "./Runner.ts"
import { sharing, spreading } from "./Shared.ts"
import { type Answer as Stored, storing } from "./Storing.ts"
import * as Task from "./Task.ts"
import { changedSize, connectingWrites, writes } from "./Writes.ts"

/** The keys of a kind, and the number of the next put or take, as `RecordDriver.nextVersion` has it. */
const records = `${prelude}
local function recordsOf(kind) return root .. ":record:" .. kind end
local function idsOf(kind) return root .. ":record-ids:" .. kind end
local function wakesOf(kind) return root .. ":record-wakes:" .. kind end

local function nextVersion(now)
  local last = call("HGET", root .. ":tally", "record") or 0
  local clock = (math.min(now, ${RecordDriver.versionEnd}) - ${RecordDriver.versionEpoch}) * ${RecordDriver.versionsPerMs}
  local version = int(math.max(last + 1, clock))
  call("HSET", root .. ":tally", "record", version)
  return version
end
`

/**
 * Changes are given as five texts each: kind, id, expected version, document or nothing, and when it is due: `=time`, `+wait` or
 * nothing.
 */
const puts = `
-- the place of the first change that meets another version, from 0, and that version
local function conflictIn(changes)
  for at = 1, #changes, 5 do
    local text = call("HGET", recordsOf(changes[at]), changes[at + 1])
    local found = text and string.match(text, "^%d+") or "${absent}"
    if found ~= changes[at + 2] then return (at - 1) / 5, found end
  end
end

-- writes whatever the versions are, and answers the new one. What is deleted comes first: Redis refuses a script's first
-- write when its memory is full, unless that one frees some
local function put(changes, now)
  for at = 1, #changes, 5 do
    if changes[at + 3] == "" then
      call("HDEL", recordsOf(changes[at]), changes[at + 1])
      call("ZREM", idsOf(changes[at]), changes[at + 1])
      call("ZREM", wakesOf(changes[at]), changes[at + 1])
    end
  end
  local version, written = nextVersion(now), {}
  for at = 1, #changes, 5 do
    local kind, id, document, due = changes[at], changes[at + 1], changes[at + 3], changes[at + 4]
    if document ~= "" then
      if due ~= "" then due = int(string.sub(due, 2) + (string.sub(due, 1, 1) == "+" and now or 0)) end
      call("HSET", recordsOf(kind), id, version .. ";" .. int(now) .. ";" .. due .. ";" .. document)
      call("ZADD", idsOf(kind), 0, id)
      if due == "" then call("ZREM", wakesOf(kind), id) else call("ZADD", wakesOf(kind), due, id) end
    end
    if kind == "${limitKind}" or kind == "${pausedKeyKind}" then gated().reopen(id) end
    if kind == "${limitKind}" then written[#written + 1] = id end
  end
  spreadFor(written)
  if madeLines then madeLines.conclude() end
  return version
end
`

/**
 * - Arguments: the changes.
 * - Answers: the version; where a change meets another one, nothing, then its index and the version found.
 */
const runPut = script<readonly [version: string, index: number, found: string]>(
  `${records}${lanes}${lines}${limits}${spreading}${puts}
local now = clock()
local index, found = conflictIn(ARGV)
if index then return { "", index, found } end
return { put(ARGV, now), 0, "" }
`
)

/**
 * - Arguments: kind, then ids.
 * - Answers: the texts of the records, nothing for one that is not there.
 */
const runGet = script<ReadonlyArray<string | null>>(`${records}
return hmget(recordsOf(ARGV[1]), { unpack(ARGV, 2) })
`)

/**
 * - Arguments: kind, the ends of the range, each with a bracket that says whether it is in it, how many.
 * - Answers: the ids, and the texts of their records.
 */
const runList = script<readonly [ids: ReadonlyArray<string>, texts: ReadonlyArray<string>]>(`${records}
local ids = call("ZRANGEBYLEX", idsOf(ARGV[1]), ARGV[2], ARGV[3], "LIMIT", 0, ARGV[4])
return { ids, hmget(recordsOf(ARGV[1]), ids) }
`)

/**
 * - Arguments: kind, how many, for how long to take them in ms or nothing.
 * - Answers: the clock, when the next one wakes or nothing, the ids, and the texts of their records.
 */
const runDue = script<readonly [now: number, next: string, ids: ReadonlyArray<string>, texts: ReadonlyArray<string>]>(
  `${records}
local now, kind, wakes = clock(), ARGV[1], wakesOf(ARGV[1])
local ids = call("ZRANGEBYSCORE", wakes, "-inf", int(now), "LIMIT", 0, ARGV[2])
local texts = hmget(recordsOf(kind), ids)
if ARGV[3] ~= "" and ids[1] then
  local version, wake = nextVersion(now), int(now + ARGV[3])
  for index, id in ipairs(ids) do
    texts[index] = string.gsub(texts[index], "^%d+", version)
    call("HSET", recordsOf(kind), id, texts[index])
    call("ZADD", wakes, wake, id)
  end
end
local following = call("ZRANGEBYSCORE", wakes, "(" .. int(now), "+inf", "WITHSCORES", "LIMIT", 0, 1)
return { now, following[2] or "", ids, texts }
`
)

/** What is done to tasks in the same script. */
interface TaskSteps {
  readonly tasks: Task.Tasks
  readonly capacity: number
  readonly headStartMs: number
  readonly budget: Budget | undefined
  readonly aftermath: Aftermath
}

/** The records of one deployment. */
export const make = (runner: Runner, tasks: TaskSteps): RecordStore["Service"] =>
  RecordDriver.make({
    get: (kind, ids) =>
      Effect.map(
        runner("read records", runGet, [kind, ...ids]),
        (texts) => texts.flatMap((text, index) => text === null ? [] : [recordOf(ids[index]!, text)])
      ),
    put: (changes) =>
      Effect.map(
        runner("put records", runPut, changes.flatMap(argumentsOf)),
        ([version, index, found]) => version === "" ? { index, found: Number(found) } : { version: Number(version) }
      ),
    list: (kind, { from, inclusive, until }, limit) =>
      Effect.map(
        runner("list records", runList, [kind, `${inclusive ? "[" : "("}${from}`, `(${until}`, String(limit)]),
        ([ids, texts]) => ids.map((id, index) => recordOf(id, texts[index]!))
      ),
    due: (kind, limit, leaseForMs) =>
      Effect.map(
        runner("find due records", runDue, [kind, String(limit), leaseForMs === undefined ? "" : String(leaseForMs)]),
        ([now, next, ids, texts]) => ({
          records: ids.map((id, index) => recordOf(id, texts[index]!)),
          now,
          nextDueAt: next === "" ? null : Number(next)
        })
      ),
    atomically: atomic(runner, tasks)
  })

/** A change as scripts take it. */
const argumentsOf = ({ document, dueAt, dueInMs, expects, id, kind }: RecordDriver.PackedChange) => [
  kind,
  id,
  String(expects),
  document ?? "",
  dueAt !== null ? `=${dueAt}` : dueInMs !== null ? `+${dueInMs}` : ""
]

/** The record of a text. */
const recordOf = (id: string, text: string): StoredRecord => {
  const [head, version, writtenAt, dueAt] = /^(\d+);(-?\d+);(-?\d*);/.exec(text)!
  return {
    id,
    version: Number(version),
    document: text.slice(head.length),
    dueAt: dueAt === "" ? null : Number(dueAt),
    writtenAt: Number(writtenAt)
  }
}

const operation = "write together"

/** What the script found, after which it has written all or nothing. */
type Answer =
  | readonly [found: "written", version: string, now: number, outcome?: Outcome]
  | readonly [found: "repeated", note: string]
  | readonly [found: "changed", index: number, version: string]
  | readonly [found: "lost", index: number]
  | readonly [found: "known", answer: Stored]

/** What stands for an attempt that does not hold its task: nothing that could have been read. */
const lost: ReadonlyArray<string> = Array.from({ length: changedSize }, () => "")

/**
 * Records, new tasks and ends of attempts in one script. It looks at all of them first, in the order in which refusals are
 * told, and writes them after that. What `Settlement` and `Admission` decide is decided here on what the scripts have read; where
 * that has changed since, all is decided again.
 */
const atomic = (
  runner: Runner,
  { aftermath, budget, capacity, headStartMs, tasks }: TaskSteps
): RecordStore["Service"]["atomically"] => {
  /** What the ends of attempts make of their tasks; nothing where an attempt does not hold its task. */
  const decideEnds = Effect.fnUntraced(
    function*(
      { settlements }: Atomically.Parts
    ): Effect.fn.Return<ReadonlyArray<Task.Changed | undefined>, StoreError> {
      const { now, tasks: found } = yield* tasks.read(operation, settlements.map(({ id }) => id))
      return settlements.map((settlement) => {
        const read = found.get(settlement.id)
        const [answer, change, counts]: Decision<unknown> = read === undefined
          ? ["stale"]
          : decideSettle(read.task, settlement, now)
        return read === undefined || change === undefined || answer !== "applied"
          ? undefined
          : { ...read, change, counts }
      })
    }
  )

  const send = (
    parts: Atomically.Parts,
    ends: ReadonlyArray<Task.Changed | undefined>,
    ending: number,
    { accepted, fresh, guards, losers, revised }: Group
  ): Effect.Effect<Answer, StoreError> =>
    Effect.flatMap(
      Failure.packing(operation, () => {
        const changes = [parts.noteOf(accepted), ...parts.changes].flatMap(argumentsOf)
        const byId = new Map(revised.map((one) => [one.task.id, one]))
        const ended = ends.flatMap((end) => {
          if (end === undefined) return lost
          // one that ends and takes another payload in one step
          const { about = "", change } = byId.get(end.task.id) ?? end
          byId.delete(end.task.id)
          return Task.argumentsOf({ ...end, about, change })
        })
        ended.push(...Merge.textsOf([...byId.values()]))
        const head = [headStartMs, changes.length, ended.length, guards.length].map(String)
        const before = [...head, ...changes, ...ended, ...guards]
        if (fresh.length === 0) return before
        const fits = budget === undefined || budget.fits(offeredBytes(fresh))
        const mode = fits && cycleOf(fresh) === undefined ? "allNew" : "look"
        const group = Enqueue.argumentsOf(fresh, capacity + ending, headStartMs, mode, losers)
        return [...before, ...Enqueue.packed(group, maxArguments - before.length)]
      }),
      (args) =>
        Effect.map(runner(operation, fresh.some(isDependent) ? runTogetherConnected : runTogether, args), (answer) => {
          if (answer[0] === "written") told<string | number>(aftermath, answer as Telling<string | number>)
          return answer
        })
    )

  return Atomically.make(Effect.fnUntraced(function*(parts) {
    let known: Array<Enqueue.Owned> = []
    const missing = new Set<string>()
    const all: Group = {
      ...nothing,
      accepted: parts.tasks.map(({ id }) => ({ id, duplicate: false })),
      fresh: parts.tasks
    }
    let group = all
    if (budget !== undefined) yield* budget.measureFor(offeredBytes(parts.tasks))
    let ends = yield* decideEnds(parts)
    for (let round = 0; round < Enqueue.maxRounds; round++) {
      const ending = ends.filter((end) => end !== undefined && isFinished(end.change.state)).length
      const answer = yield* send(parts, ends, ending, group)
      switch (answer[0]) {
        case "written": {
          budget?.add(offeredBytes(group.fresh))
          const [, version, now] = answer
          const outcome = { _tag: "Written", version: Number(version), now, tasks: group.accepted } as const
          return yield* Atomically.answer(parts, outcome)
        }
        case "repeated":
          return yield* Atomically.answer(parts, { _tag: "Repeated", note: recordOf("", answer[1]) })
        case "changed":
          // the note is the first change, and there is none
          return yield* Atomically.answer(parts, { _tag: "Changed", index: answer[1] - 1, found: Number(answer[2]) })
        case "lost": {
          const index = answer[1]
          if (index < ends.length && ends[index] === undefined) {
            return yield* Atomically.answer(parts, { _tag: "Lost", index })
          }
          ends = yield* decideEnds(parts)
          known = []
          group = all
          break
        }
        case "known": {
          known.push(...Enqueue.knownOf(group.fresh, answer[1]))
          for (const id of Enqueue.missingOf(answer[1])) missing.add(id)
          const held = [...new Set(known.flatMap(({ isHeld, owner }) => isHeld ? [owner.id] : []))]
          const { met, now } = held.length === 0
            ? { met: new Map<string, Merge.Met>(), now: Number(answer[1][0]) }
            : yield* Merge.read(runner, operation, held)
          const plan = Enqueue.planOf(known, capacity, Number(answer[1][1]) - ending, budget, now)
          for (const { task } of met.values()) plan.addStored(task)
          Enqueue.addDependencies(plan, parts.tasks, missing)
          for (const end of ends) {
            const task = met.get(end?.task.id ?? "")?.task
            if (end !== undefined && task !== undefined) plan.addRevised({ task, change: end.change })
          }
          const decided = plan.decide(parts.tasks)
          if (decided._tag !== "Accepted") return yield* Atomically.answer(parts, decided)
          const { fresh, losers } = plan
          const revised = Merge.changesOf(plan.revised, met)
          group = { accepted: decided.tasks, fresh, losers, revised, guards: Merge.guardsOf(plan, met) }
        }
      }
    }
    return yield* Enqueue.overtaken(operation)
  }))
}

/** What has been decided about the tasks: what they will be, those to be stored, and what becomes of the owners of their keys. */
interface Group {
  readonly accepted: ReadonlyArray<Accepted>
  readonly fresh: ReadonlyArray<NewTask>
  readonly losers: ReadonlyArray<TaskRecord>
  readonly revised: ReadonlyArray<Task.Changed>
  readonly guards: ReadonlyArray<string>
}

const nothing: Group = { accepted: [], fresh: [], losers: [], revised: [], guards: [] }

/**
 * - Arguments: head start, how many texts of changes follow, how many of ends of attempts and owners that change, how many of guards,
 *   then these, then the arguments of `Enqueue`, or nothing without tasks. The first change is the note of the nonce.
 * - Answers: see {@link Answer}. Storing tasks is the last thing that is looked at and the first that is written, so a refusal
 *   leaves no trace.
 */
const togetherOf = (writes: string) =>
  script<Answer>(
    `${records}${writes}${limits}${Merge.merging}${spreading}${puts}${admitted}${entered}${sharing}
local function enqueue(ARGV)
${storing}
end

local now = clock()
-- one time for all that is written
clock = function() return now end

local function part(first, last)
  local texts = {}
  for at = first, last do texts[#texts + 1] = ARGV[at] end
  return texts
end
headStart = ARGV[1]
local endsAt = 5 + ARGV[2]
local guardsAt = endsAt + ARGV[3]
local groupAt = guardsAt + ARGV[4]
local changes, ends = part(5, endsAt - 1), part(endsAt, guardsAt - 1)
local guards, group = part(guardsAt, groupAt - 1), part(groupAt, #ARGV)

local note = call("HGET", recordsOf(changes[1]), changes[2])
if note then return { "repeated", note } end
local index, version = conflictIn(changes)
if index then return { "changed", index, version } end
local tasks = {}
for at = 1, #ends, ${changedSize} do
  local e = asRead(ends, at)
  if not e then return { "lost", (at - 1) / ${changedSize} } end
  tasks[at] = e
end
if not areOwners(guards) then return { "lost", #ends / ${changedSize} } end
if group[1] then
  local answer = enqueue(group)
  if answer[2] ~= "stored" then return { "known", answer } end
end
version = put(changes, now)
for at = 1, #ends, ${changedSize} do change(ends, at, tasks[at]) end
supersede(guards)
return { "written", version, now, conclude() }
`
  )

const runTogether = togetherOf(writes)

/** The same where new tasks depend on others. */
const runTogetherConnected = togetherOf(connectingWrites)
