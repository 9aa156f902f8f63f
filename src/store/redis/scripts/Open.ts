/**
 * Opens the store, or says who made it. One of an earlier layout gets this one's number, so that earlier versions leave
 * it alone from now on.
 *
 * - Arguments: the layout's version, the head start in milliseconds.
 * - Answers: the version, which is at least the given one, and the stored head start.
 */
import { adopt, lanes, stored } from "./Lanes.ts"
import { prelude } from "./Prelude.ts"

/** Makes records of what an older version has kept in another way. The first version that there is was given to none. */
const adoptRecords = `
local function adoptRecords()
  local keys = call("HGETALL", root .. ":apikey")
  if #keys > 0 then call("HSETNX", root .. ":tally", "record", 1) end
  for at = 1, #keys, 2 do
    local id, document = keys[at], keys[at + 1]
    local createdAt = string.match(document, '^{"createdAt":(%d+)')
    call("HSETNX", root .. ":record:api-key", id, "1;" .. createdAt .. ";;" .. document)
    call("ZADD", root .. ":record-ids:api-key", 0, id)
  end
  call("DEL", root .. ":apikey")
end
`

export const open = `${prelude}${lanes}${stored}${adopt}${adoptRecords}
local meta = root .. ":meta"
if call("EXISTS", meta) == 0 then call("HSET", meta, "version", ARGV[1], "headStartMs", ARGV[2]) end
if tonumber(call("HGET", meta, "version")) < tonumber(ARGV[1]) then call("HSET", meta, "version", ARGV[1]) end
if tonumber(call("HGET", meta, "version")) == tonumber(ARGV[1]) then
  adopt()
  adoptRecords()
end
return call("HMGET", meta, "version", "headStartMs")
`
