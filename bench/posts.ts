/**
 * Compares the `POST` of builds: loads each checkout's built server into this process, on a port and a SQLite file of its own,
 * and has another process send requests to them in turns. What disturbs the machine disturbs all of them alike: see
 * `checkouts.ts`, which does the same for the engine.
 *
 *     TMPDIR=/dev/shm chrt -r 10 node --conditions=source --expose-gc bench/posts.ts 4000 24 ../before .
 *
 * The arguments: requests of a turn, rounds, and the checkouts, each after `npm run build:server`. Prints the processor time of the
 * server per request, and its ratio to the first checkout round by round: the median and the quartiles. Above 1 is slower.
 */
import autocannon from "autocannon"
import { fork } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout } from "node:timers/promises"
import { makePayload } from "./Payload.ts"
import { percentile } from "./statistics.ts"

interface Turn {
  readonly port: number
  readonly amount: number
}

/** In the process that sends: one turn per message. */
const send = () =>
  process.on("message", async ({ amount, port }: Turn) => {
    const { errors, non2xx } = await autocannon({
      url: `http://127.0.0.1:${port}/api/v1/tasks`,
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ type: "echo", payload: makePayload(123_456), priority: "normal", max_retries: 3 }),
      connections: 50,
      amount
    })
    if (errors + non2xx > 0) throw new Error(`${errors} requests failed, ${non2xx} were refused`)
    process.send!("sent")
  })

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** Starts the server of a checkout in this process. */
const start = async (directory: string, folder: string) => {
  const port = await freePort()
  Object.assign(process.env, {
    SERVER_PORT: String(port),
    STORE_URL: `sqlite:${join(folder, `${port}.db`)}`,
    QUEUE_SIZE: "1000000",
    LOG_LEVEL: "warn"
  })
  createRequire(import.meta.url)(resolve(directory, "dist/server.cjs"))
  for (let tries = 0; tries < 100; tries++) {
    await setTimeout(100)
    if (await fetch(`http://127.0.0.1:${port}/health`).then(({ ok }) => ok, () => false)) return port
  }
  throw new Error(`the server of ${directory} did not start`)
}

const compare = async ([amount = "4000", rounds = "24", ...directories]: ReadonlyArray<string>) => {
  const folder = mkdtempSync(join(tmpdir(), "posts-"))
  const ports: Array<number> = []
  for (const directory of directories) ports.push(await start(directory, folder))
  const sender = fork(import.meta.filename, ["send"], { execArgv: ["--conditions=source"] })
  const turn = async (port: number) => {
    globalThis.gc?.()
    const cpu = process.cpuUsage()
    sender.send({ port, amount: Number(amount) } satisfies Turn)
    await once(sender, "message")
    // The last tasks
    await setTimeout(100)
    const { system, user } = process.cpuUsage(cpu)
    return (user + system) / Number(amount)
  }
  for (let warm = 0; warm < 5; warm++) for (const port of ports) await turn(port)
  const answers: Array<ReadonlyArray<number>> = []
  for (let done = 0; done < Number(rounds); done++) {
    const answer: Array<number> = []
    // Another one begins each time
    for (const step of ports.keys()) {
      const index = (step + done) % ports.length
      answer[index] = await turn(ports[index]!)
    }
    answers.push(answer)
  }
  for (const [index, directory] of directories.entries()) {
    const ratios = answers.map((answer) => answer[index]! / answer[0]!)
    const [low, median, high] = [0.25, 0.5, 0.75].map((share) => percentile(ratios, share).toFixed(3))
    const each = percentile(answers.map((answer) => answer[index]!), 0.5)
    console.log(`${directory}: ${median} (${low} to ${high})  ${each.toFixed(1)} µs`)
  }
  sender.kill()
  rmSync(folder, { recursive: true, force: true })
  process.exit(0)
}

if (process.argv[2] === "send") send()
else await compare(process.argv.slice(2))
