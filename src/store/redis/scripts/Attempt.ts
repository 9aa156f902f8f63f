/**
 * What running attempts send: heartbeats and progress.
 */
import { prelude } from "./Prelude.ts"

/**
 * Prolongs leases. An expired lease that was not rescued is still held.
 *
 * - Arguments: lease in ms, then id and claim number of each attempt.
 * - Answers: a letter for each: `H` held, `C` held and to be cancelled, `L` lost.
 */
export const extend = `${prelude}
local until_, ids = int(clock() + ARGV[1]), {}
for index = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[index] end
local answers, leases = {}, {}
for index, text in ipairs(hmget(root .. ":state", ids)) do
  local fence = "R" .. ARGV[index * 2 + 1] .. ";;"
  if text and string.sub(text, 1, #fence) == fence then
    leases[#leases + 1], leases[#leases + 2] = until_, string.sub(text, #fence + 1, #fence + 12) .. ids[index]
    answers[index] = string.sub(text, #fence + 16, #fence + 16) == "1" and "C" or "H"
  else
    answers[index] = "L"
  end
end
each("ZADD", root .. ":running", leases)
return table.concat(answers)
`

/**
 * Stores progress. It carries its claim number, so that the next attempt begins without any.
 *
 * - Arguments: id, claim number and progress of each attempt.
 * - Answers: nothing; reports of lost attempts are ignored.
 */
export const report = `${prelude}
local ids, reports = {}, {}
for index = 1, #ARGV, 3 do ids[#ids + 1] = ARGV[index] end
for index, text in ipairs(hmget(root .. ":state", ids)) do
  local claim = ARGV[index * 3 - 1]
  local fence = "R" .. claim .. ";;"
  if text and string.sub(text, 1, #fence) == fence then
    reports[#reports + 1], reports[#reports + 2] = ids[index], claim .. ";" .. ARGV[index * 3]
  end
end
each("HSET", root .. ":progress", reports)
return 0
`
