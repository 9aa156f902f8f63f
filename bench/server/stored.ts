/** One task, and pages of filtered lists, from few stored tasks and from many. */
import { makePayload } from "../Payload.ts"
import { type Server, start } from "./Server.ts"

const reads = [
  "/api/v1/tasks/5",
  "/api/v1/tasks?limit=50",
  "/api/v1/tasks?status=scheduled&limit=50",
  "/api/v1/tasks?type=echo&limit=50",
  "/api/v1/tasks?status=scheduled&type=fail&limit=20",
  "/api/v1/tasks?queue=rare&limit=50",
  "/api/v1/tasks?status=pending&limit=50"
]

/** Times of each read from a server that stores few tasks and one that stores many, in turns. */
export const stored = async (few: number, many: number): Promise<void> => {
  const servers = [await start(), await start()] as const
  try {
    await fill(servers[0], 0, few)
    await fill(servers[1], 0, many)
    for (const path of reads) {
      const [before, after] = await measure(servers, path)
      console.log(
        `${path.padEnd(52)} ${before.toFixed(2)} ms of ${few}, ${after.toFixed(2)} ms of ${many}: ${
          (after / before).toFixed(2)
        } ×`
      )
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
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

/** Median times of one read, after as many that count for nothing. */
const measure = async (servers: readonly [Server, Server], path: string): Promise<readonly [number, number]> => {
  const times = [[], []] as readonly [Array<number>, Array<number>]
  for (let round = 0; round < 600; round++) {
    for (const [index, { url }] of servers.entries()) {
      const before = performance.now()
      const answer = await fetch(`${url}${path}`)
      await answer.text()
      if (!answer.ok) throw new Error(`${path} answered ${answer.status}`)
      if (round >= 300) times[index]!.push(performance.now() - before)
    }
  }
  const [few, many] = times.map((each) => each.toSorted((one, other) => one - other)[150]!)
  return [few!, many!]
}
