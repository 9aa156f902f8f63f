/** How soon an event reaches many subscribers of one server. */
import { request } from "node:http"
import { getJson, sleep, start } from "./Server.ts"

/** Opens so many event streams, creates a task, and waits until every one has been told. */
export const subscribers = async (count: number): Promise<void> => {
  const server = await start()
  try {
    const told = new Map<number, number>()
    let opened = 0
    const open = (index: number) =>
      new Promise<void>((resolve, reject) => {
        const call = request(`${server.url}/api/v1/events`, { agent: false }, (answer) => {
          answer.setEncoding("utf8").on("data", (text: string) => {
            if (text.includes("event: created") && !told.has(index)) told.set(index, performance.now())
          })
          opened++
          resolve()
        })
        call.on("error", reject).end()
      })
    for (let index = 0; index < count; index += 100) {
      await Promise.all(Array.from({ length: Math.min(100, count - index) }, (_, place) => open(index + place)))
    }
    await sleep(2000)
    const { memory_bytes } = await getJson<{ readonly memory_bytes: number }>(server, "/api/metrics")
    for (let round = 0; round < 5; round++) {
      told.clear()
      const before = performance.now()
      await fetch(`${server.url}/api/v1/tasks`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: `{"type":"echo"}`
      })
      while (told.size < count && performance.now() - before < 10_000) await sleep(5)
      const last = Math.max(...told.values()) - before
      console.log(`${told.size} of ${opened} subscribers had the event after ${last.toFixed(0)} ms`)
    }
    console.log(`  ${Math.round(memory_bytes / 2 ** 20)} MiB with ${opened} subscribers`)
  } finally {
    await server.stop()
  }
}
