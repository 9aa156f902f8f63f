/**
 * API keys.
 */
import { prelude } from "./Prelude.ts"

/**
 * Stores a key whose id is new.
 *
 * - Arguments: id, and name, role and hash as JSON members, without braces.
 * - Answers: the stored key as JSON, which is the one stored before if there was one.
 */
export const createKey = `${prelude}
local keys = root .. ":apikey"
call("HSETNX", keys, ARGV[1], '{"createdAt":' .. int(clock()) .. "," .. ARGV[2] .. "}")
return call("HGET", keys, ARGV[1])
`

/**
 * Every key.
 *
 * - Arguments: none.
 * - Answers: the keys as JSON, in no order.
 */
export const listKeys = `${prelude}
return call("HVALS", root .. ":apikey")
`

/**
 * Forgets a key.
 *
 * - Arguments: id.
 * - Answers: 1 if it was there, else 0.
 */
export const revokeKey = `${prelude}
return call("HDEL", root .. ":apikey", ARGV[1])
`
