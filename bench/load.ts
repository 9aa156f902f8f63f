/** The load generator of the `http` measure, in a process of its own: `node load.ts '{"port":…}'`. */
import autocannon from "autocannon"
import { makePayload } from "./Payload.ts"

const { port }: { readonly port: number } = JSON.parse(process.argv[2]!)

const url = `http://127.0.0.1:${port}/api/v1/tasks`
const method = "POST"
const headers = { "content-type": "application/json" }
// 175 bytes of JSON.
const body = JSON.stringify({ type: "echo", payload: makePayload(123_456), priority: "normal", max_retries: 3 })

// Autocannon counts refusals; one plain request shows the reason.
const first = await fetch(url, { method, headers, body })
if (first.status !== 201) throw new Error(`POST answered ${first.status}: ${await first.text()}`)

const load = (duration: number) => autocannon({ url, method, headers, body, connections: 50, duration })

await load(2)
const { "2xx": accepted, duration, errors, latency, non2xx } = await load(5)
if (errors > 0 || non2xx > 0) throw new Error(`${errors} requests failed, ${non2xx} were refused`)
console.log(JSON.stringify({ perSecond: accepted / duration, p50Ms: latency.p50, p99Ms: latency.p99 }))
