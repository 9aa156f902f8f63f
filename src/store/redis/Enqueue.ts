/**
 * Storing new tasks: groups, each entirely or not at all.
 *
 * All groups go into one script. It stores what is new if none of them can be refused. Otherwise it stores nothing and answers
 * what is known: each group is decided, and the new tasks of those that are accepted go into the script once more.
 */
import { Effect, Semaphore } from "effect"
import { cycleOf, isDependent } from "../../domain/Dependencies.ts"
import { StoreError } from "../../domain/Errors.ts"
import type { NewTask, TaskRecord } from "../../domain/TaskRecord.ts"
import { type Budget, offeredBytes, Plan, writtenBytes } from "../Admission.ts"
import type { Coalesced } from "../Coalescer.ts"
import type { Aftermath } from "../Dependencies.ts"
import type { Owner } from "../Draft.ts"
import type { EnqueueAnswer } from "../TaskStore.ts"
import { dependentsOf, type Telling, told } from "./Dependencies.ts"
import * as Failure from "./Failure.ts"
import { lines } from "./Lines.ts"
import * as Merge from "./Merge.ts"
import { admitted, block, entered, lanes, lineOf } from "./Order.ts"
import { limits } from "./Passes.ts"
import { maxArguments, prelude, rowsOf, type Runner, script } from "./Runner.ts"
import { maxAlike, sharing } from "./Shared.ts"
import { fieldOf, restOf } from "./Task.ts"
import { changedSize, writes } from "./Writes.ts"

/** Texts in one argument, where there are too many for an argument each. */
const packSize = 1000

type Group = ReadonlyArray<NewTask>

/** What the script may do: only look, store all that is new, or that only where nothing is known. */
type Mode = "look" | "new" | "allNew"

/** The clock, how many tasks are unfinished unless all were stored, and three values of each that was known before. */
export type Answer = readonly [now: number, unfinished: number | "stored", ...known: ReadonlyArray<number | string>]

/** How often groups are decided: other processes may store the same tasks, or take the room, but not for ever. */
export const maxRounds = 100

/** They were faster each time. */
export const overtaken = (operation: string): StoreError =>
  new StoreError({ operation, reason: "Redis: other processes were faster each time" })

/** Prepares the operation for one deployment. */
export const make = (
  runner: Runner,
  capacity: number,
  headStartMs: number,
  budget: Budget | undefined,
  aftermath: Aftermath
): Coalesced<Group, EnqueueAnswer> => {
  /** Stores all tasks that are new, or answers what is known: always when it only looks. */
  const send = (tasks: Group, looks: boolean): Effect.Effect<Answer, StoreError> =>
    Effect.flatMap(
      Failure.packing("enqueue", () => packed(argumentsOf(tasks, capacity, headStartMs, looks ? "look" : "new"))),
      (args) =>
        tasks.some(isDependent)
          ? Effect.map(runner("enqueue", runConnected, args), (answer) => told(aftermath, answer) as unknown as Answer)
          : runner("enqueue", run, args)
    )

  /** The answers once these tasks were stored, but for those that were known. */
  const stored = (decided: ReadonlyArray<EnqueueAnswer>, tasks: Group, answer: Answer) => {
    const owners = new Map(knownOf(tasks, answer).map(({ owner, task }) => [task.id, owner.id]))
    budget?.add(offeredBytes(tasks.filter(({ id }) => !owners.has(id))))
    return decided.map((one): EnqueueAnswer =>
      one._tag !== "Accepted" ? one : {
        _tag: "Accepted",
        tasks: owners.size === 0 ? one.tasks : one.tasks.map((task) => {
          const owner = owners.get(task.id)
          return owner === undefined ? task : { id: owner, duplicate: true }
        }),
        now: answer[0]
      }
    )
  }

  const decideAndStore = Effect.fnUntraced(function*(
    groups: ReadonlyArray<Group>,
    tasks: Group,
    first: Answer
  ): Effect.fn.Return<ReadonlyArray<EnqueueAnswer>, StoreError> {
    let known: Array<Owned> = []
    const missing = new Set<string>()
    let [sent, answer] = [tasks, first]
    for (let round = 0; round < maxRounds; round++) {
      known.push(...knownOf(sent, answer))
      for (const id of missingOf(answer)) missing.add(id)
      const held = [...new Set(known.flatMap(({ isHeld, owner }) => isHeld ? [owner.id] : []))]
      const { met, now } = held.length === 0
        ? { met: noneMet, now: Number(answer[0]) }
        : yield* Merge.read(runner, "enqueue", held)
      const plan = planOf(known, capacity, Number(answer[1]), budget, now)
      for (const { task } of met.values()) plan.addStored(task)
      addDependencies(plan, tasks, missing)
      const decided = groups.map((group) => plan.decide(group))
      const { fresh, losers, revised } = plan
      if (fresh.length === 0 && revised.length === 0) return stored(decided, [], [answer[0], "stored"])
      if (held.length === 0) {
        sent = fresh
        answer = yield* send(sent, false)
        if (answer[1] === "stored") return stored(decided, sent, answer)
        continue
      }
      const written = yield* Effect.flatMap(
        Failure.packing("enqueue", () => {
          const guards = Merge.guardsOf(plan, met)
          const changes = Merge.textsOf(Merge.changesOf(revised, met))
          const before = [headStartMs, guards.length, changes.length].map(String).concat(guards, changes)
          if (fresh.length === 0) return before
          const group = argumentsOf(fresh, capacity, headStartMs, "allNew", losers)
          return [...before, ...packed(group, maxArguments - before.length)]
        }),
        (args) => runner("enqueue", runMerge, args)
      )
      const [at] = told(aftermath, written)
      if (at !== undefined) {
        budget?.add(writtenBytes({ fresh: [], revised }))
        return stored(decided, fresh, [Number(at), "stored"])
      }
      // all is looked at again
      known = []
      sent = tasks
      answer = yield* send(tasks, true)
    }
    return yield* overtaken("enqueue")
  })

  // Parts of one process that meet the same keys would be faster than one another again and again, for nothing
  const merging = Semaphore.makeUnsafe(1)

  return (groups) => {
    const tasks = groups.length === 1 ? groups[0]! : groups.flat()
    const offered = budget === undefined ? 0 : offeredBytes(tasks)
    const sent = Effect.flatMap(
      Effect.suspend(() => send(tasks, budget?.fits(offered) === false || mustLook(groups))),
      (answer) =>
        answer[1] === "stored"
          ? Effect.succeed(stored(groups.map(allNew), tasks, answer))
          : knownOf(tasks, answer).some(({ isHeld }) => isHeld)
          ? merging.withPermit(decideAndStore(groups, tasks, answer))
          : decideAndStore(groups, tasks, answer)
    )
    return budget === undefined ? sent : Effect.andThen(budget.measureFor(offered), sent)
  }
}

/** Whether tasks depend on others so that they cannot simply be stored: in a circle, or on those of a later group. */
const mustLook = (groups: ReadonlyArray<Group>): boolean => {
  if (!groups.some((group) => group.some(isDependent))) return false
  const later = new Set(groups.flatMap((group) => group.map(({ id }) => id)))
  return groups.some((group) => {
    for (const { id } of group) later.delete(id)
    return cycleOf(group) !== undefined || group.some(({ after = [] }) => after.some((id) => later.has(id)))
  })
}

const allNew = (group: Group): EnqueueAnswer => ({
  _tag: "Accepted",
  tasks: group.map(({ id }) => ({ id, duplicate: false })),
  now: 0
})

/** What decides about groups once it is known how many tasks are unfinished and who has ids and keys. */
export const planOf = (
  known: ReadonlyArray<Owned>,
  capacity: number,
  unfinished: number,
  budget: Budget | undefined,
  now: number
): Plan => {
  const plan = new Plan(capacity, unfinished, budget, now)
  for (const { owner, task } of known) {
    if (owner.id === task.id) plan.addId(task.id)
    else plan.addOwner(task, owner)
  }
  return plan
}

/** A task that was sent, and the one that has its id or its key. */
export interface Owned {
  readonly task: NewTask
  readonly owner: Owner
  /** Whether one of the two has a window, so that the owner has to be read. */
  readonly isHeld: boolean
}

/** Adds the tasks that others depend on and that are stored: all but the missing ones, as far as they are not sent with them. */
export const addDependencies = (plan: Plan, sent: Group, missing: ReadonlySet<string>): void => {
  if (!sent.some(isDependent)) return
  const own = new Set(sent.map(({ id }) => id))
  for (const { after = [] } of sent) for (const id of after) if (!own.has(id) && !missing.has(id)) plan.addId(id)
}

/** The ids of tasks that others depend on and that are not stored, by an answer. */
export const missingOf = ([, , ...known]: Answer): ReadonlyArray<string> =>
  rowsOf(known, 3).flatMap(([place, id]) => Number(place) === 0 ? [String(id)] : [])

/** What an answer says about tasks that were sent. */
export const knownOf = (sent: Group, [, , ...known]: Answer): ReadonlyArray<Owned> =>
  rowsOf(known, 3).flatMap(([place, id, payload]) => {
    if (Number(place) === 0) return []
    const task = sent[Number(place) - 1]!
    const isHeld = payload === "\t"
    const owner = { id: String(id), payload: payload === "" || isHeld ? task.payload : String(payload) }
    return [{ task, owner: isHeld ? { ...owner, hold: "" } : owner, isHeld }]
  })

/** Any number of texts as arguments: as they are, or many in one, as JSON. */
export const packed = (texts: ReadonlyArray<string>, max: number = maxArguments): ReadonlyArray<string> =>
  texts.length <= max ? texts : [
    "packed",
    ...Array.from(
      { length: Math.ceil(texts.length / packSize) },
      (_, pack) => JSON.stringify(texts.slice(pack * packSize, (pack + 1) * packSize))
    )
  ]

/** Neighbours that differ in nothing but id, limits, payload and what they depend on are one run. */
export const argumentsOf = (
  tasks: Group,
  capacity: number,
  headStartMs: number,
  mode: Mode,
  losers: ReadonlyArray<TaskRecord> = []
): ReadonlyArray<string> => {
  const args = [String(headStartMs), String(capacity), ""]
  let sizeAt = 0
  let size = 0
  let before: NewTask | undefined
  const ids = new Set<string>()
  const keys: Array<string> = []
  const free = new Set(losers.map(fieldOf))
  for (const task of tasks) {
    const keyField = fieldOf(task)
    if (before === undefined || keyField !== "" || before.key !== null || !alike(before, task)) {
      if (size > 0) args[sizeAt] = String(size)
      size = 0
      sizeAt = args.push("", lineOf(task), String(task.priority), dueOf(task), `${markOf(task, free)}${keyField}`) - 5
      if (keyField !== "") keys.push(keyField)
    }
    args.push(task.id, restOf(task))
    ids.add(task.id)
    size++
    before = task
  }
  if (size > 0) args[sizeAt] = String(size)
  const isRepeated = ids.size < tasks.length || new Set(keys).size < keys.length
  args[2] = `${isRepeated || mode === "look" ? "1" : mode === "new" ? "0" : "2"}${dependentsOf(tasks)}`
  return args
}

const markOf = (task: NewTask, free: ReadonlySet<string>): string =>
  task.key === null ? "" : free.has(fieldOf(task)) ? "t" : task.unique === null || task.unique === undefined ? "" : "u"

const alike = (a: NewTask, b: NewTask): boolean =>
  a.type === b.type && a.queue === b.queue && a.gate === b.gate && a.priority === b.priority && a.runAt === b.runAt &&
  isDependent(a) === isDependent(b) && a.delayMs === b.delayMs && a.expiresInMs === b.expiresInMs &&
  a.startWithinMs === b.startWithinMs

const dueOf = ({ delayMs, expiresInMs, runAt, startWithinMs }: NewTask): string => {
  const due = runAt === null ? `+${Math.max(0, delayMs)}` : `=${runAt}`
  if (startWithinMs !== null) return `${due};${expiresInMs ?? ""};${startWithinMs}`
  return expiresInMs === null ? due : `${due};${expiresInMs}`
}

/**
 * Stores those of the tasks that are new, or nothing.
 *
 * - Arguments: head start, capacity, 1 to store nothing in any case or 2 to store nothing if any is known, followed by the tasks that
 *   depend on others, if there are any: then nothing is stored if any task is known, or one of these is not. Then the tasks in runs. A run is neighbours of one line,
 *   priority and time: their number, `["queue","type"]` or that with the gate as a third text, priority, when they are due (`+delay` or `=time`, in ms, and after semicolons for how long they are of use and within which time they should start), the
 *   `["type","key"]` of a single keyed task or nothing, after `u` where it is unique in another way and `t` where it takes the key from the task that has it, and for each task its id and the rest of its text. Where there are too
 *   many: `packed`, then the same texts in JSON arrays.
 * - Answers: the clock, and `stored` if all that are not known were stored, else how many tasks are unfinished. Then for each
 *   known one its place, from 1, the id of the task that has its id or its key, and the payload of the latter if this is
 *   another text: the two may still say the same. A tab stands for the payload where one of the two has a window. Then nothing is stored, and where these payloads are too much for an answer, it
 *   does not have them all. Place 0 is that of the id of a task that others depend on and that is not stored.
 *
 * All is written at the end with a handful of commands, for a command costs as much as storing a task. The first write is
 * one that Redis refuses when its memory is full, so a refusal leaves no trace.
 */
export const storing = `
local argv, format = ARGV, string.format
if argv[1] == "packed" then
  argv = {}
  for pack = 2, #ARGV do
    for _, text in ipairs(cjson.decode(ARGV[pack])) do argv[#argv + 1] = text end
  end
end
local headStart, capacity, now = tonumber(argv[1]), tonumber(argv[2]), clock()
local mode, dependents, connecting = string.sub(argv[3], 1, 1), nil, {}
if #argv[3] > 1 then
  dependents = {}
  for _, one in ipairs(cjson.decode(string.sub(argv[3], 2))) do dependents[one[1]] = { policy = one[2], after = one[3] } end
end

-- runs by where they begin; of keyed tasks also their places and keys
local ids, runs, at, n, keyed, fields, gates, isMet = {}, {}, 4, 0, {}, {}, {}, {}
while argv[at] do
  local last, line = at + 4 + 2 * argv[at], argv[at + 1]
  runs[#runs + 1] = at
  if string.sub(line, -3) == ']"]' and not isMet[line] and tonumber(argv[at]) <= ${maxAlike} then
    gates[#gates + 1], isMet[line] = line, true
  end
  for index = at + 5, last, 2 do
    n = n + 1
    ids[n] = argv[index]
  end
  local field = argv[at + 4]
  if field ~= "" then
    local mark = string.sub(field, 1, 1)
    if mark ~= "[" then
      field = string.sub(field, 2)
      argv[at + 4] = field
    end
    if mark ~= "t" then keyed[#keyed + 1], fields[#fields + 1] = { place = n, rest = argv[last], unique = mark == "u" }, field end
  end
  at = last + 1
end

local answer, known, fresh, size = { now, "stored" }, {}, n, 0
local function know(place, owner, payload)
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = place, owner, payload
  known[place] = true
  fresh = fresh - 1
end
for place, found in ipairs(hmget(root .. ":task", ids)) do
  if found then know(place, ids[place], "") end
end
-- characters of payloads in an answer, but for the last
local maxPayloads = 1000000
for index, owner in ipairs(hmget(root .. ":key", fields)) do
  local place = keyed[index].place
  if owner and not known[place] and size <= maxPayloads then
    local key, payload = string.match(call("HGET", root .. ":task", owner), "^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n([^\\n]*)\\n(.*)$")
    if keyed[index].unique or string.find(key, "\\t", 1, true) then
      payload = "\\t"
    elseif payload == string.match(keyed[index].rest, "^[^\\n]*\\n[^\\n]*\\n(.*)$") then payload = "" end
    size = size + #payload
    know(place, owner, payload)
  end
end

if dependents then
  local isMet, others = {}, {}
  for _, id in ipairs(ids) do isMet[id] = true end
  for place = 1, n do
    for _, id in ipairs(dependents[place] and dependents[place].after or {}) do
      if not isMet[id] then others[#others + 1], isMet[id] = id, true end
    end
  end
  for index, state in ipairs(hmget(root .. ":state", others)) do
    if not state and call("HEXISTS", root .. ":task", others[index]) == 0 then
      local at = #answer
      answer[at + 1], answer[at + 2], answer[at + 3] = 0, others[index], ""
    end
  end
  if answer[3] ~= nil and mode == "0" then mode = "2" end
end

local tally = call("HMGET", root .. ":tally", "seq", "created", "unfinished", "eras")
local seq, created, unfinished = tonumber(tally[1] or 0), tonumber(tally[2] or 0), tonumber(tally[3] or 0)
if mode == "1" or (mode == "2" and answer[3] ~= nil) or size > 0 or (fresh > 0 and unfinished + fresh > capacity) then answer[2] = unfinished end
if fresh == 0 or answer[2] ~= "stored" then return answer end

-- the tasks to store move to the front of the arguments, each id and its text: a table of their own would cost more
local sets, owners, amounts, lanesOf, arrivals, t = {}, {}, {}, {}, {}, 0
n = 0

local function add(name, score, member)
  local set = sets[name] or {}
  local at = #set
  set[at + 1], set[at + 2] = score, member
  sets[name] = set
end

local shared, limitsOf = shareable(gates)
local function arriving(line, rank, ref)
  local earliest = arrivals[line]
  if earliest == nil or rank < earliest.rank then arrivals[line] = { rank = rank, seq = string.sub(ref, 1, 12) } end
end

-- files neighbours in the order of work; those of a line are listed with their lane
local function fileNeighbours(line, lane, rank, refs)
  arriving(line, rank, refs[1])
  if refs[2] == nil then
    add(root .. ":lane:" .. line, int(rank), refs[1])
    add(root .. ":list:P:" .. lane, "0", refs[1])
  else
    for _, name in ipairs(store(refs)) do
      add(root .. ":lane:" .. line, int(rank), name .. mark)
      add(root .. ":blocks:" .. lane, "0", name)
    end
  end
end

-- neighbours that wait together, whose numbers follow one another
local crowd
local function fileCrowd()
  if crowd then fileNeighbours(crowd.name, crowd.name, crowd.rank, crowd.refs) end
  crowd = nil
end

seq = seq + 100000000000
local first = seq
for _, at in ipairs(runs) do
  local size, line, priority, time, field = tonumber(argv[at]), argv[at + 1], argv[at + 2], argv[at + 3], argv[at + 4]
  local lane = laneOf(line)
  local more, expires, within, times = string.find(time, ";", 1, true), nil, nil, ""
  local due = tonumber(string.sub(time, 2, (more or 0) - 1))
  if string.sub(time, 1, 1) == "+" then due = now + due end
  if more then
    expires, within = string.match(time, "^([^;]*);?(.*)$", more + 1)
    expires = expires ~= "" and int(due + expires) or nil
    within = within ~= "" and within or nil
    times = "+" .. (expires or "") .. (within and "+" .. within .. "+" .. int(due + within) or "")
  end
  local head = ";" .. (field == "" and "0" or "1") .. ";0;" .. priority .. ";1;0;0;0;" .. int(due) .. times .. "\\n" ..
    line .. "\\n" .. int(now) .. ";"
  local refs, r, waiting = {}, 0, dependents and dependents[n + 1]
  for place = at + 5, at + 3 + 2 * size, 2 do
    n = n + 1
    if not known[n] then
      seq = seq + 1
      local id, number = argv[place], format("%d", seq)
      argv[t + 1], argv[t + 2] = id, number .. head .. argv[place + 1]
      t, r = t + 2, r + 1
      refs[r] = number .. id
      if waiting then
        connecting[#connecting + 1], dependents[n].id = dependents[n], id
      end
      if field ~= "" then owners[#owners + 1], owners[#owners + 2] = field, id end
    end
  end
  if r > 0 then
    amounts[lane] = (amounts[lane] or 0) + r
    for era = math.floor((seq - r + 1) / eraSize), math.floor(seq / eraSize) do
      lanesOf[era] = lanesOf[era] or {}
      lanesOf[era][lane] = true
    end
  end
  if expires then
    for _, ref in ipairs(refs) do add(root .. ":expiring", expires, ref) end
  end
  if waiting then
    for _, ref in ipairs(refs) do add(root .. ":list:S:" .. lane, "0", ref) end
  elseif due > now then
    for _, ref in ipairs(refs) do
      add(root .. ":scheduled", int(due), string.sub(ref, 1, 12) .. priority .. (within and ";" .. within or "") .. line .. "\\n" .. string.sub(ref, 13))
      add(root .. ":list:S:" .. lane, "0", ref)
    end
  elseif r > 0 then
    local rank = (isOrdered(line, lane) and now or due + shiftOf(within, headStart)) - priority * headStart
    if not shared[line] then
      fileNeighbours(line, lane, rank, refs)
    else
      if not crowd or crowd.lane ~= lane or crowd.rank ~= rank or crowd.last ~= seq - r then
        fileCrowd()
        crowd = { lane = lane, name = sharedOf(lane), rank = rank, refs = {} }
      end
      local all = crowd.refs
      for index = 1, r do all[#all + 1] = refs[index] end
      crowd.last = seq
    end
  end
end
fileCrowd()
call("HSET", root .. ":tally", "seq", int(seq - 100000000000), "created", int(created + fresh), "unfinished",
  int(unfinished + fresh))
each("HSET", root .. ":task", argv, t)
each("HSET", root .. ":key", owners)
for set, members in pairs(sets) do each("ZADD", set, members) end
local isNew = {}
for lane, amount in pairs(amounts) do isNew[lane] = admit(lane, amount) or nil end
if tally[4] or (next(isNew) and call("HLEN", root .. ":stored") > fewLanes) then
  if tally[4] ~= int(first - firstSeq) then keepOld(isNew) end
  enterEras(lanesOf, int(seq - firstSeq))
end
local withGates, together = {}, {}
for line, earliest in pairs(arrivals) do
  if laneOf(line) == line then arrive(line, earliest.rank, earliest.seq) else withGates[#withGates + 1] = line end
  if isShared(line) then together[#together + 1] = line end
end
if together[1] then remember(together, limitsOf) end
if withGates[1] then
  local lines = gated()
  lines.load(withGates)
  for _, line in ipairs(withGates) do lines.arrive(line, arrivals[line].rank, arrivals[line].seq) end
  lines.conclude()
end
if dependents then connected().connect(connecting) end
return answer
`

const noneMet: ReadonlyMap<string, Merge.Met> = new Map()

/**
 * - Arguments: head start, how many texts of guards follow, how many of changed owners, then both, then those of {@link storing} or
 *   nothing.
 * - Answers: the clock when all was written and what has come of it, or nothing where an owner or a new task is not as it was.
 */
const runMerge = script<Telling<string>>(`${prelude}${writes}${Merge.merging}${admitted}${entered}${limits}${sharing}
local function enqueue(ARGV)
${storing}
end

local now = clock()
clock = function() return now end
local function part(first, last)
  local texts = {}
  for at = first, last do texts[#texts + 1] = ARGV[at] end
  return texts
end
headStart = ARGV[1]
local changesAt = 4 + ARGV[2]
local groupAt = changesAt + ARGV[3]
local guards, changes, group = part(4, changesAt - 1), part(changesAt, groupAt - 1), part(groupAt, #ARGV)
if not areOwners(guards) then return {} end
local tasks = {}
for at = 1, #changes, ${changedSize} do
  tasks[at] = asRead(changes, at)
  if not tasks[at] then return {} end
end
if group[1] and enqueue(group)[2] ~= "stored" then return {} end
for at = 1, #changes, ${changedSize} do change(changes, at, tasks[at]) end
supersede(guards)
return { int(now), conclude() }
`)

const run = script<Answer>(`${prelude}${lanes}${block}${lines}${admitted}${entered}${limits}${sharing}${storing}`)

/** The same for tasks of which some depend on others. */
const runConnected = script<Telling<number | string>>(
  `${prelude}${writes}${admitted}${entered}${limits}${sharing}
local function enqueue(ARGV)
${storing}
end
local answer = enqueue(ARGV)
answer[#answer + 1] = conclude()
return answer
`
)
