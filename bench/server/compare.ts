/** `POST /api/v1/tasks` with keys, limits and logs on, beside all of it off, in turns. */
import autocannon from "autocannon"
import { makePayload } from "../Payload.ts"
import { start } from "./Server.ts"

const body = JSON.stringify({ type: "echo", payload: makePayload(123_456), priority: "normal", max_retries: 3 })

const off = { TASKFORGE_REQUEST_LOG: "0", LOG_LEVEL: "warn" }
const on = {
  TASKFORGE_REQUEST_LOG: "1",
  LOG_LEVEL: "info",
  LOG_FORMAT: "json",
  TASKFORGE_RATE_PER_KEY: "100000000/1s",
  TASKFORGE_RATE_PER_ADDRESS: "100000000/1s",
  SERVER_HOST: "127.0.0.1"
}
/** Every part by itself, to see what costs. */
export const parts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  off,
  on,
  keys: { ...off, SERVER_HOST: "127.0.0.1" },
  limits: { ...off, TASKFORGE_RATE_PER_KEY: "100000000/1s", TASKFORGE_RATE_PER_ADDRESS: "100000000/1s" },
  "request log": { ...off, LOG_LEVEL: "info", LOG_FORMAT: "json", TASKFORGE_REQUEST_LOG: "1" },
  "task log": { ...off, LOG_LEVEL: "info", LOG_FORMAT: "json" }
}

/** Requests per second of one setting. No worker runs, so that the way in is measured alone. */
const measure = async (name: string): Promise<number> => {
  const server = await start({ ...parts[name], WORKER_NUM_WORKERS: "1" }, name === "on" || name === "keys")
  try {
    const headers = {
      "content-type": "application/json",
      ...(server.key === undefined ? {} : { authorization: `Bearer ${server.key}` })
    }
    const load = (duration: number) =>
      autocannon({ url: `${server.url}/api/v1/tasks`, method: "POST", headers, body, connections: 50, duration })
    await load(2)
    const { "2xx": accepted, duration, errors, non2xx } = await load(4)
    if (errors > 0 || non2xx > 0) throw new Error(`${errors} requests failed, ${non2xx} were refused`)
    return accepted / duration
  } finally {
    await server.stop()
  }
}

/** Measures settings in turns, and divides each by the first round by round, as the other benches do. */
export const compare = async (names: ReadonlyArray<string>, rounds: number): Promise<void> => {
  const found = new Map<string, Array<number>>(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) for (const name of names) found.get(name)!.push(await measure(name))
  const median = (values: ReadonlyArray<number>) => values.toSorted((one, other) => one - other)[values.length >> 1]!
  const base = found.get(names[0]!)!
  for (const [name, rates] of found) {
    const ratio = median(rates.map((rate, round) => rate / base[round]!))
    console.log(
      `${name.padEnd(12)} ${rates.map(Math.round).join(" ")} requests/s; ${ratio.toFixed(2)} of ${names[0]}`
    )
  }
}
