/** Tasks accepted and completed end to end, the latency of every route meanwhile, and memory over time. */
import autocannon from "autocannon"
import { makePayload } from "../Payload.ts"
import { getJson, type Server, sleep, start } from "./Server.ts"

const batch = 1000

const routes = [
  "/health",
  "/",
  "/metrics",
  "/api/v1/stats",
  "/api/v1/workers",
  "/api/v1/tasks?limit=10",
  "/api/v1/tasks?status=completed&limit=10",
  "/api/v1/tasks/probe",
  "/stats",
  "/status/probe",
  "POST"
]

interface Figures {
  readonly tasks: { readonly completed: number; readonly running: number; readonly pending: number }
  readonly memory_bytes: number
}

/** Offers so many tasks per second in batches for a while, and probes every route. */
export const sustain = async (perSecond: number, seconds: number): Promise<void> => {
  const server = await start()
  try {
    await post(server, [{ id: "probe", type: "echo", payload: 1 }])
    // 1,000 tasks run all the while, besides
    const body = JSON.stringify(
      Array.from({ length: batch }, (_, index) => ({ type: "echo", payload: makePayload(index) }))
    )
    const load = autocannon({
      url: `${server.url}/api/v1/tasks`,
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      connections: 4,
      overallRate: perSecond / batch,
      duration: seconds
    })
    const probes = Object.fromEntries(routes.map((route) => [route, [] as Array<number>]))
    const memory: Array<number> = []
    const over = new AbortController()
    const probing = (async () => {
      while (!over.signal.aborted) {
        for (const route of routes) {
          const before = performance.now()
          await (route === "POST"
            ? post(server, { type: "echo", payload: 1 })
            : fetch(`${server.url}${route}`).then((answer) => answer.text()))
          probes[route]!.push(performance.now() - before)
        }
        await sleep(20)
      }
    })()
    const watching = (async () => {
      while (!over.signal.aborted) {
        memory.push((await getJson<Figures>(server, "/api/metrics")).memory_bytes / 2 ** 20)
        await sleep(1000)
      }
    })()
    const begin = performance.now()
    const { "2xx": accepted, errors, latency, non2xx } = await load
    const acceptedAt = performance.now()
    over.abort()
    await Promise.all([probing, watching])
    const completed = async () =>
      (await getJson<{ readonly totals: { readonly completed: number } }>(server, "/api/v1/stats")).totals.completed
    while (await completed() < accepted * batch) await sleep(20)
    const took = (performance.now() - begin) / 1000
    const all = Object.values(probes).flat()
    console.log(
      `accepted ${Math.round(accepted * batch / ((acceptedAt - begin) / 1000))} tasks/s, completed ${
        Math.round(accepted * batch / took)
      } tasks/s over ${took.toFixed(1)} s, ${errors} errors, ${non2xx} refused; bulk p99 ${latency.p99} ms`
    )
    for (const [route, times] of Object.entries(probes)) {
      console.log(`  ${route.padEnd(44)} p50 ${quantile(times, 0.5)} p99 ${quantile(times, 0.99)} ms (${times.length})`)
    }
    console.log(`  ${"every route".padEnd(44)} p50 ${quantile(all, 0.5)} p99 ${quantile(all, 0.99)} ms`)
    const tenth = Math.max(1, Math.floor(memory.length / 10))
    const marks = Array.from(
      { length: 10 },
      (_, index) => Math.round(Math.max(...memory.slice(index * tenth, (index + 1) * tenth), 0))
    )
    console.log(`  memory MiB by tenths of the time: ${marks.join(" ")}`)
  } finally {
    await server.stop()
  }
}

/** The latency of every route while so many tasks run at once. */
export const manyRunning = async (count: number): Promise<void> => {
  const server = await start({ WORKER_NUM_WORKERS: String(count), WORKER_MAX_CONCURRENCY: String(count) })
  try {
    await post(server, [
      { id: "probe", type: "echo", payload: 1 },
      ...Array.from({ length: count - 1 }, () => ({ type: "sleep", payload: { duration: "30s" } }))
    ])
    while ((await getJson<Figures>(server, "/api/metrics")).tasks.running < count - 5) await sleep(50)
    const times: Array<number> = []
    for (let round = 0; round < 100; round++) {
      for (const route of routes.filter((route) => route !== "POST")) {
        const before = performance.now()
        await fetch(`${server.url}${route}`).then((answer) => answer.text())
        times.push(performance.now() - before)
      }
    }
    console.log(
      `with ${count} tasks running: p50 ${quantile(times, 0.5)} p99 ${quantile(times, 0.99)} ms over every route`
    )
  } finally {
    await server.stop()
  }
}

const post = async (server: Server, body: unknown): Promise<void> => {
  const answer = await fetch(`${server.url}/api/v1/tasks`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })
  if (!answer.ok) throw new Error(`POST answered ${answer.status}: ${await answer.text()}`)
  await answer.text()
}

const quantile = (times: ReadonlyArray<number>, fraction: number): string =>
  (times.toSorted((one, other) => one - other)[Math.min(times.length - 1, Math.floor(times.length * fraction))] ?? 0)
    .toFixed(1)
