/**
 * Storing new tasks: writes groups as the script reads them, and reads what became of each.
 */
import { Effect } from "effect"
import { sameJson } from "../../domain/SameJson.ts"
import type { NewTask } from "../../domain/TaskRecord.ts"
import { type ByteBudget, offeredBytes } from "../Admission.ts"
import type { Coalesced } from "../Coalescer.ts"
import type { EnqueueAnswer } from "../TaskStore.ts"
import * as Failure from "./Failure.ts"
import { admitted, block, entered, laneOf, lanes } from "./Order.ts"
import { maxArguments, prelude, type Runner, script } from "./Runner.ts"
import { keyFieldOf, restOf } from "./Task.ts"

/** Texts in one argument, where there are too many for an argument each. */
const packSize = 1000

type GroupAnswer = "A" | ReadonlyArray<string | number>
type Answer =
  | readonly [now: number, kind: "A", ...known: ReadonlyArray<number>]
  | readonly [now: number, kind: "G", ...groups: ReadonlyArray<GroupAnswer>]

/** A group that was refused although its payloads say the same as those that own their keys: with the texts of these. */
interface Alike {
  readonly _tag: "Alike"
  readonly group: ReadonlyArray<NewTask>
}

/**
 * Groups of tasks, each atomic with its own answer. The script compares payloads as texts; a group that only writes the
 * same in another way is asked for again, after the others of its call.
 */
export const make = (
  runner: Runner,
  capacity: number,
  headStartMs: number,
  budget: ByteBudget | undefined
): Coalesced<ReadonlyArray<NewTask>, EnqueueAnswer> => {
  const measured: typeof send = (groups) =>
    Effect.andThen(budget!.measureFor(offeredBytes(groups.flat())), send(groups))
  const send: Coalesced<ReadonlyArray<NewTask>, EnqueueAnswer> = (groups) =>
    Failure.packing("enqueue", () => packed(argumentsOf(groups, capacity, headStartMs, budget))).pipe(
      Effect.flatMap((args) => runner("enqueue", run, args)),
      Effect.flatMap((answer) => {
        const answers = answersOf(groups, answer, capacity, budget?.maxBytes)
        if (budget !== undefined) budget.add(offeredBytes(freshOf(groups, answers)))
        const alike = answers.flatMap((one) => one._tag === "Alike" ? [one.group] : [])
        if (alike.length === 0) return Effect.succeed(answers as ReadonlyArray<EnqueueAnswer>)
        return Effect.map(send(alike), (again) => {
          let next = 0
          return answers.map((one) => one._tag === "Alike" ? again[next++]! : one)
        })
      })
    )
  return budget === undefined ? send : measured
}

/** What is stored that was not before. */
const freshOf = (groups: ReadonlyArray<ReadonlyArray<NewTask>>, answers: ReadonlyArray<EnqueueAnswer | Alike>) =>
  groups.flatMap((group, index) => {
    const answer = answers[index]!
    return answer._tag === "Accepted" ? group.filter((_, place) => !answer.tasks[place]!.duplicate) : []
  })

/** Any number of texts as arguments: as they are, or many in one, as JSON. */
const packed = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.length <= maxArguments ? texts : [
    "packed",
    ...Array.from(
      { length: Math.ceil(texts.length / packSize) },
      (_, pack) => JSON.stringify(texts.slice(pack * packSize, (pack + 1) * packSize))
    )
  ]

/** Neighbours that differ in nothing but id, limits and payload are one run. */
const argumentsOf = (
  groups: ReadonlyArray<ReadonlyArray<NewTask>>,
  capacity: number,
  headStartMs: number,
  budget: ByteBudget | undefined
): ReadonlyArray<string> => {
  const sizes = groups.map((group) => group.length).join(";")
  const room = budget === undefined ? "" : String(budget.maxBytes - budget.bytes)
  const args = [String(headStartMs), String(capacity), "", "0", sizes, room]
  let amount = 0
  let sizeAt = 0
  let size = 0
  let before: NewTask | undefined
  const ids = new Set<string>()
  for (const group of groups) {
    for (const task of group) {
      const keyField = keyFieldOf(task)
      if (before === undefined || keyField !== "" || before.key !== null || !alike(before, task)) {
        if (size > 0) args[sizeAt] = String(size)
        size = 0
        sizeAt = args.push("", laneOf(task.queue, task.type), String(task.priority), dueOf(task), keyField) - 5
        if (keyField !== "") args[3] = "1"
      }
      args.push(task.id, restOf(task, keyField))
      ids.add(task.id)
      size++
      amount++
      before = task
    }
  }
  if (size > 0) args[sizeAt] = String(size)
  args[2] = String(amount)
  if (ids.size < amount || budget?.fits(offeredBytes(groups.flat())) === false) args[3] = "1"
  return args
}

const alike = (a: NewTask, b: NewTask): boolean =>
  a.type === b.type && a.queue === b.queue && a.priority === b.priority && a.runAt === b.runAt &&
  a.delayMs === b.delayMs

const dueOf = (task: NewTask): string => task.runAt === null ? `+${Math.max(0, task.delayMs)}` : `=${task.runAt}`

const answersOf = (
  groups: ReadonlyArray<ReadonlyArray<NewTask>>,
  answer: Answer,
  capacity: number,
  maxBytes: number | undefined
): ReadonlyArray<EnqueueAnswer | Alike> => {
  const now = answer[0]
  if (answer[1] === "G") {
    return groups.map((group, index) => answerOf(group, answer[index + 2] as GroupAnswer, now, capacity, maxBytes))
  }
  const known = answer.length === 2 ? undefined : new Set(answer.slice(2) as ReadonlyArray<number>)
  let place = 0
  return groups.map((group) => ({
    _tag: "Accepted",
    tasks: group.map(({ id }) => ({ id, duplicate: known?.has(++place) === true })),
    now
  }))
}

const answerOf = (
  group: ReadonlyArray<NewTask>,
  answer: GroupAnswer,
  now: number,
  capacity: number,
  maxBytes: number | undefined
): EnqueueAnswer | Alike => {
  if (answer === "A") return { _tag: "Accepted", tasks: group.map(({ id }) => ({ id, duplicate: false })), now }
  switch (answer[0]) {
    case "F":
      return {
        _tag: "Full",
        capacity,
        unfinished: Number(answer[1]),
        ...(maxBytes === undefined || answer.length === 2
          ? {}
          : { size: { maxBytes, storedBytes: maxBytes - Number(answer[2]), offeredBytes: Number(answer[3]) } })
      }
    case "C":
      return conflictOf(group, answer)
    default:
      return {
        _tag: "Accepted",
        tasks: group.map((_, index) => ({
          id: String(answer[index * 2 + 1]),
          duplicate: Number(answer[index * 2 + 2]) === 1
        })),
        now
      }
  }
}

/** The first task whose payload says something else, or else the group with the payloads that own its keys. */
const conflictOf = (group: ReadonlyArray<NewTask>, answer: ReadonlyArray<string | number>): EnqueueAnswer | Alike => {
  const alike = [...group]
  for (let at = 1; at < answer.length; at += 3) {
    const index = Number(answer[at])
    const payload = String(answer[at + 2])
    const task = group[index]!
    if (!sameJson(payload, task.payload)) {
      return { _tag: "Conflict", index, key: task.key!, id: String(answer[at + 1]) }
    }
    alike[index] = { ...task, payload }
  }
  return { _tag: "Alike", group: alike }
}

/**
 * Stores new tasks: groups, each entirely or not at all, with exact capacity, ids and keys.
 *
 * - Arguments: head start, capacity, how many tasks there are, 1 if any has a key, an id comes twice or the payloads have more
 *   bytes than there is room for, or else 0, the sizes of the groups separated by semicolons, the bytes that there is room for
 *   or nothing, then the tasks in runs. A run is neighbours of one lane, priority and time, of whatever groups: their number,
 *   `["queue","type"]`, priority, when they are due (`+delay` or `=time`, in ms), the `["type","key"]` of a single keyed task
 *   or nothing, and for each task its id and the rest of its text. Where there are too many: `packed`, then the same texts in
 *   JSON arrays.
 * - Answers: the clock, then one of
 *   - `A` and the places, from 1, of tasks whose id was known; all others are new and stored;
 *   - `G` and an answer for each group: `A` where all are new and stored; `{M, id, 0 or 1 …}` where some were there before
 *     (1); `{F, unfinished}` without room, with the bytes of the room that is left and of the new payloads if these are too
 *     many; `{C, index, owner, payload …}` where the key of the task at that index belongs to one whose payload is another
 *     text. The texts may still say the same: the caller compares them, and asks again with the owner's text. It gets all such
 *     tasks of a group at once, as far as their payloads are not too much for an answer.
 *
 * Where nothing can be refused, because there is room for all and none has a key or comes twice, the groups don't matter.
 * Otherwise each is planned before anything of it is written. All that was planned is written at the end with a handful of
 * commands, for a command costs as much as storing a task. The first write is one that Redis refuses when its memory is full,
 * so a refusal leaves no trace.
 */
const run = script<Answer>(`${prelude}${block}${lanes}${admitted}${entered}
local argv, format = ARGV, string.format
if argv[1] == "packed" then
  argv = {}
  for pack = 2, #ARGV do
    for _, text in ipairs(cjson.decode(ARGV[pack])) do argv[#argv + 1] = text end
  end
end
local headStart, capacity, amount, now = tonumber(argv[1]), tonumber(argv[2]), tonumber(argv[3]), clock()

local room = tonumber(argv[6])

local ids, runs, at, n = {}, {}, 7, 0
while argv[at] do
  local last = at + 4 + 2 * argv[at]
  runs[#runs + 1] = at
  for index = at + 5, last, 2 do
    n = n + 1
    ids[n] = argv[index]
  end
  at = last + 1
end
-- ids that are there already, if any
local known
for index, found in ipairs(hmget(root .. ":task", ids)) do
  if found then
    known = known or {}
    known[ids[index]] = true
  end
end
local tally = call("HMGET", root .. ":tally", "seq", "created", "unfinished", "eras")
local seq, created, unfinished = tonumber(tally[1] or 0), tonumber(tally[2] or 0), tonumber(tally[3] or 0)

local answers, fresh = { now }, 0

-- what is stored at the end: chosen says so of a place in ARGV, where it is not everything
local chosen

local function payloadOf(rest) return string.match(rest, "^[^\\n]*\\n[^\\n]*\\n(.*)$") end

-- keys taken by this call
local taken = {}
local function ownerOf(field)
  if taken[field] then return taken[field].id, taken[field].payload end
  local id = call("HGET", root .. ":key", field)
  if not id then return nil end
  return id, string.match(call("HGET", root .. ":task", id), "^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n(.*)$")
end

-- characters of payloads in one answer, but for the last
local maxPayloads = 1000000

-- decides about the tasks of one group, given as places in ARGV with the keys of their runs
local function plan(tasks)
  local stored, new, keys, mixed, conflict, size, bytes = { "M" }, {}, {}, false, nil, 0, 0
  for index, task in ipairs(tasks) do
    local id, field = argv[task.place], task.field
    local at = #stored
    if known[id] then
      mixed = true
      stored[at + 1], stored[at + 2] = id, 1
    else
      local owner, payload
      if field ~= "" then owner, payload = ownerOf(field) end
      if owner == nil then
        known[id] = true
        new[#new + 1] = task.place
        if room then bytes = bytes + #payloadOf(argv[task.place + 1]) end
        stored[at + 1], stored[at + 2] = id, 0
        if field ~= "" then
          taken[field] = { id = id, payload = payloadOf(argv[task.place + 1]) }
          keys[#keys + 1] = field
        end
      else
        mixed = true
        stored[at + 1], stored[at + 2] = owner, 1
        if payload ~= payloadOf(argv[task.place + 1]) then
          conflict = conflict or { "C" }
          local c = #conflict
          conflict[c + 1], conflict[c + 2], conflict[c + 3] = index - 1, owner, payload
          size = size + #payload
          if size > maxPayloads then break end
        end
      end
    end
  end
  local full = #new > 0 and unfinished + fresh + #new > capacity and { "F", unfinished + fresh }
  if room and not full and #new > 0 and bytes > room then full = { "F", unfinished + fresh, int(room), int(bytes) } end
  if conflict or full then
    for _, place in ipairs(new) do known[argv[place]] = nil end
    for _, field in ipairs(keys) do taken[field] = nil end
    return conflict or full
  end
  if room then room = room - bytes end
  for _, place in ipairs(new) do chosen[place] = true end
  fresh = fresh + #new
  return mixed and stored or "A"
end

if argv[4] == "0" and unfinished + amount <= capacity then
  answers[2] = "A"
  if known then
    chosen, n = {}, 0
    for _, at in ipairs(runs) do
      for place = at + 5, at + 3 + 2 * argv[at], 2 do
        n = n + 1
        if known[argv[place]] then
          answers[#answers + 1] = n
        else
          chosen[place] = true
        end
      end
    end
  end
else
  answers[2], chosen, known = "G", {}, known or {}
  local run, place, left = 1, runs[1] and runs[1] + 5, runs[1] and tonumber(argv[runs[1]])
  for size in string.gmatch(argv[5], "%d+") do
    local tasks = {}
    for index = 1, tonumber(size) do
      if left == 0 then
        run = run + 1
        place, left = runs[run] + 5, tonumber(argv[runs[run]])
      end
      tasks[index] = { place = place, field = argv[runs[run] + 4] }
      place, left = place + 2, left - 1
    end
    answers[#answers + 1] = plan(tasks)
  end
  if fresh == 0 then return answers end
end

-- the tasks to store move to the front of the arguments, each id and its text: a table of their own would cost more
local sets, keyed, amounts, lanesOf, arrivals, t = {}, {}, {}, {}, {}, 0

local function add(name, score, member)
  local set = sets[name] or {}
  local at = #set
  set[at + 1], set[at + 2] = score, member
  sets[name] = set
end

seq = seq + 100000000000
local first = seq
for _, at in ipairs(runs) do
  local size, lane, priority, time, field = tonumber(argv[at]), argv[at + 1], argv[at + 2], argv[at + 3], argv[at + 4]
  local due = tonumber(string.sub(time, 2))
  if string.sub(time, 1, 1) == "+" then due = now + due end
  local head = ";" .. (field == "" and "0" or "1") .. ";0;" .. priority .. ";1;0;0;0;" .. int(due) .. "\\n" .. lane ..
    "\\n" .. int(now) .. ";"
  local refs, r = {}, 0
  for place = at + 5, at + 3 + 2 * size, 2 do
    if not chosen or chosen[place] then
      seq = seq + 1
      local id, number = argv[place], format("%d", seq)
      argv[t + 1], argv[t + 2] = id, number .. head .. argv[place + 1]
      t, r = t + 2, r + 1
      refs[r] = number .. id
      if field ~= "" then keyed[#keyed + 1], keyed[#keyed + 2] = field, id end
    end
  end
  if r > 0 then
    amounts[lane] = (amounts[lane] or 0) + r
    for era = math.floor((seq - r + 1) / eraSize), math.floor(seq / eraSize) do
      lanesOf[era] = lanesOf[era] or {}
      lanesOf[era][lane] = true
    end
  end
  if due > now then
    for _, ref in ipairs(refs) do
      add(root .. ":scheduled", int(due), string.sub(ref, 1, 12) .. priority .. lane .. "\\n" .. string.sub(ref, 13))
      add(root .. ":list:S:" .. lane, "0", ref)
    end
  elseif r > 0 then
    local rank = due - priority * headStart
    local earliest = arrivals[lane]
    if earliest == nil or rank < earliest.rank then
      arrivals[lane] = { rank = rank, seq = string.sub(refs[1], 1, 12) }
    end
    if r == 1 then
      add(root .. ":lane:" .. lane, int(rank), refs[1])
      add(root .. ":list:P:" .. lane, "0", refs[1])
    else
      for _, name in ipairs(store(refs)) do
        add(root .. ":lane:" .. lane, int(rank), name .. mark)
        add(root .. ":blocks:" .. lane, "0", name)
      end
    end
  end
end
if t == 0 then return answers end
fresh = seq - first
call("HSET", root .. ":tally", "seq", int(seq - 100000000000), "created", int(created + fresh), "unfinished",
  int(unfinished + fresh))
each("HSET", root .. ":task", argv, t)
each("HSET", root .. ":key", keyed)
for set, members in pairs(sets) do each("ZADD", set, members) end
local isNew = {}
for lane, amount in pairs(amounts) do isNew[lane] = admit(lane, amount) or nil end
if tally[4] or (next(isNew) and call("HLEN", root .. ":stored") > fewLanes) then
  if tally[4] ~= int(first - firstSeq) then keepOld(isNew) end
  enterEras(lanesOf, int(seq - firstSeq))
end
for lane, earliest in pairs(arrivals) do arrive(lane, earliest.rank, earliest.seq) end
return answers
`)
