/**
 * Queues that give no work.
 */
import { prelude } from "./Prelude.ts"

/**
 * Stops or resumes claims from a queue.
 *
 * - Arguments: the queue, 1 to stop and 0 to resume.
 * - Answers: nothing.
 */
export const pause = `${prelude}
return call(ARGV[2] == "1" and "SADD" or "SREM", root .. ":paused", ARGV[1])
`

/**
 * The queues that are stopped.
 *
 * - Arguments: none.
 * - Answers: their names, in no order.
 */
export const paused = `${prelude}
return call("SMEMBERS", root .. ":paused")
`
