/**
 * Opens the store, or says who made it. One of an earlier layout gets this one's number, so that earlier versions leave
 * it alone from now on.
 *
 * - Arguments: the layout's version, the head start in milliseconds.
 * - Answers: the version, which is at least the given one, and the stored head start.
 */
import { adopt, lanes, stored } from "./Lanes.ts"
import { prelude } from "./Prelude.ts"

export const open = `${prelude}${lanes}${stored}${adopt}
local meta = root .. ":meta"
if call("EXISTS", meta) == 0 then call("HSET", meta, "version", ARGV[1], "headStartMs", ARGV[2]) end
if tonumber(call("HGET", meta, "version")) < tonumber(ARGV[1]) then call("HSET", meta, "version", ARGV[1]) end
if tonumber(call("HGET", meta, "version")) == tonumber(ARGV[1]) then adopt() end
return call("HMGET", meta, "version", "headStartMs")
`
