/**
 * Whether the store takes writes, and still is the one that was opened.
 */
import { prelude } from "./Prelude.ts"

/**
 * What scripts begin with that free memory, though they write some: Redis refuses a script's first write when its memory
 * is full, unless that is one that only frees. Those that follow are then allowed.
 */
export const freeing = `
call("DEL", root .. ":probe")
`

/**
 * Looks whether the store's own record is there, and tries a write where that is asked for.
 *
 * - Arguments: what to write, or nothing.
 * - Answers: 1 when the store is there, 0 when it was removed.
 */
export const probe = `${prelude}
if call("EXISTS", root .. ":meta") == 0 then return 0 end
if ARGV[1] ~= "" then call("SET", root .. ":probe", ARGV[1], "PX", 1000) end
return 1
`
