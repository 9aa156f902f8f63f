/**
 * Opens the store, or says who made it.
 *
 * - Arguments: the layout's version, the head start in milliseconds.
 * - Answers: the stored version and head start, which are the given ones in a new store.
 */
import { prelude } from "./Prelude.ts"

export const open = `${prelude}
local meta = root .. ":meta"
if call("EXISTS", meta) == 0 then call("HSET", meta, "version", ARGV[1], "headStartMs", ARGV[2]) end
return call("HMGET", meta, "version", "headStartMs")
`
