/**
 * A program of somebody else: it knows nothing but the client that was generated from `/openapi.json`, which lies
 * beside it when it is compiled and run. Its argument is the URL of a server with a worker.
 */
import assert from "node:assert/strict"
// @ts-ignore the client is generated beside a copy of this file, where the compiler checks it
import * as client from "./client.ts"

client.defaults.baseUrl = process.argv[2]!

const created = await client.tasksCreate({
  type: "count",
  payload: { n: 1 },
  priority: "high",
  delay: "50ms",
  max_retries: -1,
  key: "generated"
})
assert.equal(created.status, 201)
assert(created.status === 201 && !Array.isArray(created.data))
const { id, status } = created.data
assert.equal(status, "scheduled")

const batch = await client.tasksCreate([{ type: "tick" }, { type: "count", payload: { n: 2 } }])
assert(batch.status === 201 && Array.isArray(batch.data))
assert.equal(batch.data.length, 2)

const invalid = await client.tasksCreate({ type: "count", payload: { n: "one" as never } })
assert(invalid.status === 400)
assert.equal(invalid.data.error.code, "invalid_payload")
assert.match(invalid.data.error.message, /does not fit/)

const results = await client.tasksResults({ ids: [id], wait: "20s" })
assert(results.status === 200)
assert.deepEqual(results.data.results, [{ id, status: "completed", result: null, error: null }])

const found = await client.tasksGet(id)
assert(found.status === 200)
assert.deepEqual([found.data.key, found.data.priority, found.data.max_retries], ["generated", 2, -1])

const listed = await client.tasksList({ status: ["completed"], queue: ["numbers"], limit: 1 })
assert(listed.status === 200)
assert.equal(listed.data.tasks.length, 1)

const missing = await client.tasksGet("nobody")
assert(missing.status === 404)
assert.equal(missing.data.error.code, "task_not_found")

assert.equal((await client.queuesPause("numbers", { reason: "Counting", for: "1h" })).status, 204)
const queues = await client.queuesList({ limit: 10 })
assert(queues.status === 200)
assert.deepEqual(
  queues.data.paused.map((
    { queue, reason }: { readonly queue: string; readonly reason: string | null }
  ) => [queue, reason]),
  [["numbers", "Counting"]]
)
const last = queues.data.queues.at(-1)
assert.deepEqual([last?.queue, last?.pause?.reason], ["numbers", "Counting"])
const numbers = await client.queuesGet("numbers")
assert(numbers.status === 200)
assert.equal(numbers.data.type_count, numbers.data.types.length)
const types = await client.queuesTypes()
assert(types.status === 200)
assert.equal(types.data.types[0]?.type, "count")
assert.equal((await client.tasksRemove(id, {})).status, 204)
process.stdout.write("done\n")
