/** Which tasks depend on which, as a process asks for it and learns of it. See `Connected` for what scripts do. */
import { Effect } from "effect"
import { defaultOnFailure, isDependent } from "../../domain/Dependencies.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { NewTask } from "../../domain/TaskRecord.ts"
import { type Aftermath, type Edges, maxBefore, pageOfLinks, type ReadLinks } from "../Dependencies.ts"
import { ends } from "./Connected.ts"
import { announce } from "./Hints.ts"
import { lines } from "./Lines.ts"
import { lanes, namesOf } from "./Order.ts"
import { type Telling, told } from "./Outcome.ts"
import { prelude, rowsOf, type Runner, script } from "./Runner.ts"
import { freeing } from "./Server.ts"
import { ending, standing } from "./Writes.ts"

/** The new tasks that depend on others as one text: the place of each, from 1, what becomes of it when one fails, and its ids. */
export const dependentsOf = (tasks: ReadonlyArray<NewTask>): string =>
  tasks.some(isDependent)
    ? JSON.stringify(
      tasks.flatMap((task, index) =>
        isDependent(task) ? [[index + 1, (task.onFailure ?? defaultOnFailure)[0], [...new Set(task.after)]]] : []
      )
    )
    : ""

/** The operations of one deployment. */
export const make = (runner: Runner, aftermath: Aftermath) => ({
  edges: (id: string): Effect.Effect<Edges | undefined, StoreError> =>
    Effect.map(
      runner("read dependencies", runEdges, [id]),
      (found) =>
        found.length === 0 ? undefined : {
          after: rowsOf(found[0]!, 2).map(([id, line]) => ({ id: id!, type: namesOf(line!)[1] })),
          before: found[1]!
        }
    ),

  links: (({ from = { index: 0, place: 0 }, ids, limit, towards }) =>
    Effect.map(
      runner("read dependencies", runLinks, [
        towards,
        String(from.place),
        String(limit + 1),
        String(from.index),
        ...ids.slice(from.index)
      ]),
      (found) =>
        pageOfLinks(
          rowsOf(found, 4).map(([of, place, id, line]) => ({
            of: Number(of),
            place: Number(place),
            id: id!,
            type: namesOf(line!)[1]
          })),
          limit
        )
    )) satisfies ReadLinks,

  tell: Effect.map(
    Effect.suspend(() => runner("tell of ends", runTell, [])),
    (answer) => told(aftermath, answer)[0] === 1
  ),

  consequences: () => aftermath.take()
})

/** Which of these tasks each of them depends on, where it depends on some. */
export const among = (
  runner: Runner,
  ids: ReadonlyArray<string>
): Effect.Effect<ReadonlyMap<string, ReadonlyArray<string>>, StoreError> =>
  ids.length < 2 ? Effect.succeed(new Map()) : Effect.map(
    runner("read dependencies", runAmong, ids),
    (found) => {
      const after = new Map<string, Array<string>>()
      for (const [id, other] of rowsOf(found, 2)) {
        const others = after.get(id!)
        if (others === undefined) after.set(id!, [other!])
        else others.push(other!)
      }
      return after
    }
  )

/**
 * - Arguments: ids.
 * - Answers: of each of them that depends on another one its id and that one's.
 */
const runAmong = script<ReadonlyArray<string>>(`${prelude}
local depends, edges, given, answers = root .. ":depends", root .. ":edges", {}, {}
if call("EXISTS", depends) == 0 then return answers end
for _, id in ipairs(ARGV) do given[id] = true end
local texts = hmget(edges, ARGV)
for index, text in ipairs(hmget(depends, ARGV)) do
  local id = ARGV[index]
  if text and #text > 1 then
    for _, other in ipairs(cjson.decode(string.sub(text, 2))) do
      if given[other] then answers[#answers + 1], answers[#answers + 2] = id, other end
    end
  elseif text then
    -- it depends on very many: those that are given are fewer
    for place, edge in ipairs(texts) do
      local other = ARGV[place]
      if edge and (edge == "=" .. id or (string.byte(edge) == 42 and call("ZSCORE", edges .. ":" .. other, id))) then
        answers[#answers + 1], answers[#answers + 2] = id, other
      end
    end
  end
end
return answers
`)

/**
 * - Arguments: the id of a task.
 * - Answers: the id and the line of each that it depends on, and the ids of those that depend on it; nothing for an unknown one.
 */
const runEdges = script<ReadonlyArray<ReadonlyArray<string>>>(`${prelude}${lanes}${standing}
local id, edges, all, after = ARGV[1], root .. ":edges", {}, {}
if not textOf(id) then return {} end
local text = call("HGET", root .. ":depends", id)
if text then
  all = #text > 1 and cjson.decode(string.sub(text, 2)) or call("LRANGE", root .. ":after:" .. id, 0, -1)
end
for index, edge in ipairs(hmget(edges, all)) do
  local other = all[index]
  if edge and (edge == "=" .. id or (string.byte(edge) == 42 and call("ZSCORE", edges .. ":" .. other, id))) then
    after[#after + 1], after[#after + 2] = other, parse(textOf(other)).line
  end
end
text = call("HGET", edges, id)
if not text then return { after, {} } end
if string.byte(text) == 61 then return { after, { string.sub(text, 2) } } end
return { after, call("ZREVRANGE", edges .. ":" .. id, 0, ${maxBefore - 1}) }
`)

/**
 * A page of what tasks depend on, or of what depends on them.
 *
 * - Arguments: which of these, the place among those of the first task where the page begins, how many, the index of the first task, ids.
 * - Answers: of each link the index of the task, the place, and the id and the line of the other task.
 */
const runLinks = script<ReadonlyArray<string>>(`${prelude}${lanes}${standing}
local from, room, edges, answers = tonumber(ARGV[2]), tonumber(ARGV[3]), root .. ":edges", {}
local function add(index, place, other)
  local e = load(other)
  if not e then return end
  local at = #answers
  answers[at + 1], answers[at + 2], answers[at + 3], answers[at + 4] = int(index), int(place), other, e.line
  room = room - 1
end
for at = 5, #ARGV do
  if room <= 0 then break end
  local id, index, text = ARGV[at], ARGV[4] + at - 5, nil
  if ARGV[1] == "dependents" then
    text = call("HGET", edges, id)
    if text and string.byte(text) == 61 then
      if from <= 1 then add(index, 1, string.sub(text, 2)) end
    elseif text then
      local found = call("ZRANGEBYSCORE", edges .. ":" .. id, int(from), "+inf", "WITHSCORES", "LIMIT", 0, room)
      for at = 1, #found, 2 do add(index, tonumber(found[at + 1]), found[at]) end
    end
  elseif textOf(id) then
    text = call("HGET", root .. ":depends", id)
    local few = text and #text > 1 and cjson.decode(string.sub(text, 2))
    while text and room > 0 do
      local part = few or call("LRANGE", root .. ":after:" .. id, from, from + room - 1)
      if not part[1] then break end
      for place, edge in ipairs(hmget(edges, part)) do
        local other, number = part[place], few and place - 1 or from + place - 1
        if edge and number >= from and room > 0 and
          (edge == "=" .. id or (string.byte(edge) == 42 and call("ZSCORE", edges .. ":" .. other, id))) then
          add(index, number, other)
        end
      end
      if few then break end
      from = from + #part
    end
  end
  from = 0
end
return answers
`)

/**
 * Tells further edges of tasks that have ended.
 *
 * - Answers: 1 if there may be more, else 0, and what has come of it.
 */
const runTell = script<Telling<number>>(`${prelude}${freeing}${lanes}${lines}${announce}${ends}
local telling = root .. ":telling"
if call("EXISTS", telling) == 0 then return { 0 } end
${ending}
local its = connected()
its.resume()
its.tell()
its.conclude()
announce(ended)
return { call("EXISTS", telling), outcomeOf() }
`)
