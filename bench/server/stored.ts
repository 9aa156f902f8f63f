/** One task, and pages of filtered lists, from few stored tasks and from many. */
import { makePayload } from "../Payload.ts"
import { type Server, start } from "./Server.ts"

const reads = [
  "/api/v1/tasks/5",
  "/api/v1/tasks?limit=50",
  "/api/v1/tasks?status=scheduled&limit=50",
  "/api/v1/tasks?type=echo&limit=50",
  "/api/v1/tasks?status=scheduled&type=fail&limit=50",
  "/api/v1/tasks?queue=rare&limit=50",
  "/api/v1/tasks?status=pending&limit=50"
]

/** Median times of each read, with `few` and with `many` tasks stored. */
export const stored = async (few: number, many: number): Promise<void> => {
  const server = await start()
  try {
    await fill(server, 0, few)
    const before = await measure(server)
    await fill(server, few, many)
    const after = await measure(server)
    for (const [index, path] of reads.entries()) {
      console.log(
        `${path.padEnd(52)} ${before[index]!.toFixed(2)} ms of ${few}, ${after[index]!.toFixed(2)} ms of ${many}: ${
          (after[index]! / before[index]!).toFixed(2)
        } ×`
      )
    }
  } finally {
    await server.stop()
  }
}

/** Waiting tasks of several types: nothing prunes them. */
const fill = async (server: Server, from: number, to: number): Promise<void> => {
  for (let start = from; start < to; start += 2000) {
    const tasks = Array.from({ length: Math.min(2000, to - start) }, (_, place) => {
      const id = start + place
      return {
        id: String(id),
        type: id % 50 === 0 ? "fail" : id % 3 === 0 ? "sleep" : "echo",
        payload: id % 3 === 0 && id % 50 !== 0 ? { duration: "1s" } : makePayload(id),
        delay: "30d",
        queue: id % 20 === 0 ? "rare" : "default"
      }
    })
    const answer = await fetch(`${server.url}/api/v1/tasks`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(tasks)
    })
    if (!answer.ok) throw new Error(`${answer.status}: ${(await answer.text()).slice(0, 300)}`)
    await answer.text()
  }
}

const measure = async (server: Server): Promise<ReadonlyArray<number>> => {
  const medians: Array<number> = []
  for (const path of reads) {
    const times: Array<number> = []
    for (let round = 0; round < 300; round++) {
      const before = performance.now()
      const answer = await fetch(`${server.url}${path}`)
      await answer.text()
      if (!answer.ok) throw new Error(`${path} answered ${answer.status}`)
      times.push(performance.now() - before)
    }
    medians.push(times.slice(150).toSorted((one, other) => one - other)[75]!)
  }
  return medians
}
