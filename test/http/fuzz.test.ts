import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Server from "../e2e/Server.ts"
import { type Answer, exchange, sendAll } from "./fuzz/Connection.ts"
import { Dice, garbage, type Malformed, malformed, truncated } from "./fuzz/Generator.ts"

const seed = 20_260_101
const connections = 8
const perConnection = 7000

/** What is wrong with an answer. */
const fault = ({ method, text }: Malformed, { body, head, status }: Answer): string | undefined => {
  const problem = status >= 500 && status !== 503
    ? "a server's error"
    : /\r\n(set-cookie|x:)/i.test(head)
    ? "an injected header"
    // the document of the API shows an example of one, of a program in `app/src`
    : /node:internal|node_modules|(?<!\bapp\/src\/\w+)\.[cm]?[jt]s:\d/.test(body)
    ? "a stack"
    : status >= 400 && method !== "HEAD" && !isTyped(head, body)
    ? "no typed error"
    : undefined
  return problem && `${problem}: ${status} ${body.slice(0, 300)} to ${JSON.stringify(text.slice(0, 300))}`
}

const isTyped = (head: string, body: string): boolean => {
  if (!/\r\ncontent-type: application\/json\b/i.test(head)) return false
  const { error } = JSON.parse(body)
  return typeof error.code === "string" && typeof error.message === "string" && error.message !== ""
}

/** The port of a server. */
const portOf = ({ url }: Server.Server): number => Number(new URL(url).port)

const openFiles = ({ child }: Server.Server): number => readdirSync(`/proc/${child.pid}/fd`).length

/** How many bytes the server keeps: those that are left once all garbage is collected. */
const kept = (server: Server.Server, file: string) =>
  Effect.gen(function*() {
    rmSync(file, { force: true })
    yield* server.signal("SIGUSR2")
    yield* Server.until("it has counted what it keeps", Effect.sync(() => existsSync(file)))
    return Number(readFileSync(file, "utf8"))
  })

const start = (environment: Server.Environment = {}, options = "") =>
  Effect.flatMap(Server.directory, (directory) =>
    Server.start(directory, {
      STORE_URL: "memory:",
      TASKFORGE_REQUEST_LOG: "0",
      WORKER_JOB_TIMEOUT: "100ms",
      // What leaks does not fit
      NODE_OPTIONS: `--max-old-space-size=160 ${options}`,
      WORKER_RETRY_ATTEMPTS: "0",
      TASKFORGE_MAX_FINISHED: "100",
      ...environment
    }))

describe("a server that is sent what no client should send", () => {
  it.live("answers each with a typed error, and is as well afterwards as before", () =>
    Effect.gen(function*() {
      const file = join(yield* Server.directory, "kept")
      const preload = new URL("./fuzz/Kept.ts", import.meta.url).href
      const server = yield* start({ KEPT_FILE: file }, `--expose-gc --import ${preload}`)
      const port = portOf(server)
      const dice = new Dice(seed)
      const some = (count: number) => Array.from({ length: count }, () => malformed(dice))

      /** Sends half of the requests, and answers how many of them were refused. */
      const half = Effect.promise(async () => {
        const lists = Array.from({ length: connections }, () => some(perConnection / 2))
        const answers = await Promise.all(lists.map((list) => sendAll(port, list)))
        const faults = lists.flatMap((list, index) =>
          list.flatMap((request, place) => fault(request, answers[index]![place]!) ?? [])
        )
        assert.deepStrictEqual(faults.slice(0, 5), [], `${faults.length} of them`)
        return answers.flat().filter(({ status }) => status >= 400 && status < 500).length
      })

      const files = openFiles(server)
      const first = yield* half
      const before = yield* kept(server, file)
      const second = yield* half
      assert.isAtLeast(first + second, 50_000)

      yield* Server.until(
        "all connections are closed",
        Effect.sync(() => openFiles(server) <= files + 2)
      )
      yield* isWell(server)
      // What the first half took for caches and compiled code, the second does not take again. 300 bytes for each of its
      // requests would be too much
      yield* Server.until("it keeps as much as before", Effect.map(kept(server, file), (bytes) => bytes < before * 1.2))
      const errors = server.log.filter(({ level, msg }) => level === "error" && !msg.startsWith("task "))
      assert.deepStrictEqual(errors.slice(0, 3), [])
      yield* Server.stop(server)
    }).pipe(Effect.scoped))

  it.live("lets none of it past the check of keys", () =>
    Effect.gen(function*() {
      const key = "fuzz_first_key_0123456789abcdefgh"
      const server = yield* start({ TASKFORGE_ADMIN_KEY: key, SERVER_HOST: "127.0.0.1" })
      const dice = new Dice(seed + 2)
      const requests = Array.from({ length: 5000 }, () => malformed(dice))
      const answers = yield* Effect.promise(() => sendAll(portOf(server), requests))
      const faults = requests.flatMap((request, place) => {
        const answer = answers[place]!
        const isPublic = /^\w+ \/(?:docs|openapi\.json|health(?:\/live|\/ready)?|api\/v1\/health)?(?:[?#][^ ]*)? /.test(
          request.text
        )
        const got = answer.status < 400 && !isPublic
          ? `let in: ${answer.status} to ${JSON.stringify(request.text.slice(0, 300))}`
          : fault(request, answer)
        return got ?? []
      })
      assert.deepStrictEqual(faults.slice(0, 5), [], `${faults.length} of them`)
      const stats = yield* Effect.promise(async () => {
        const response = await fetch(`${server.url}/api/v1/stats`, { headers: { authorization: `Bearer ${key}` } })
        return await response.json() as Server.Stats
      })
      assert.strictEqual(stats.totals.created, 0)
    }).pipe(Effect.scoped))

  it.live("survives what is no request at all, and requests that never end", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const port = portOf(server)
      const dice = new Dice(seed + 1)
      const texts = Array.from({ length: 1500 }, () => dice.chance(0.8) ? garbage(dice) : truncated(dice))
      const files = openFiles(server)
      let next = 0
      const worker = async () => {
        const found: Array<string> = []
        while (next < texts.length) {
          const text = texts[next++]!
          const received = await exchange(port, text, 150)
          const answer = received.split("HTTP/1.1 ").at(-1)!
          if (answer === "") continue
          const [head = "", body = ""] = answer.split("\r\n\r\n", 2)
          const status = Number(head.slice(0, 3))
          const isFine = status < 400 ||
            (status < 500 && (status === 400 && body === "" || isTyped(`\r\n${head}`, body)))
          if (!isFine) found.push(`${answer.slice(0, 300)} to ${JSON.stringify(text.slice(0, 200))}`)
        }
        return found
      }
      const faults = (yield* Effect.promise(() => Promise.all(Array.from({ length: 32 }, worker)))).flat()
      assert.deepStrictEqual(faults.slice(0, 5), [], `${faults.length} of them`)
      yield* Server.until("all connections are closed", Effect.sync(() => openFiles(server) <= files + 2))
      yield* isWell(server)
      assert.deepStrictEqual(server.log.filter(({ level }) => level === "error").slice(0, 3), [])
      yield* Server.stop(server)
    }).pipe(Effect.scoped))

  it.live("refuses bodies that are too large or too deep", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const deep = (depth: number) => `{"type":"echo","payload":${"[".repeat(depth)}${"]".repeat(depth)}}`
      const bodies = [
        ...[100, 1000, 10_000, 100_000, 500_000].map(deep),
        ...[1000, 10_000, 100_000].map((depth) =>
          `{"type":"echo","payload":${`{"a":`.repeat(depth)}1${"}".repeat(depth)}}`
        ),
        `[${`{"type":"echo"},`.repeat(10_001)}{"type":"echo"}]`,
        `{"type":"echo","payload":"${"x".repeat(2 ** 20)}"}`,
        `{"type":"echo","payload":{${Array.from({ length: 100_000 }, (_, index) => `"k${index}":0`).join(",")}}}`,
        `{${Array.from({ length: 90_000 }, (_, index) => `"k${index}":0`).join(",")}}`
      ]
      const requests = bodies.flatMap((body) =>
        ["/api/v1/tasks", "/jobs?type=echo", "/submit"].map((path): Malformed => ({
          method: "POST",
          text: `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ` +
            `${Buffer.byteLength(body)}\r\n\r\n${body}`
        }))
      )
      for (const request of requests) {
        const [answer] = yield* Effect.promise(() => sendAll(portOf(server), [request]))
        const found = fault(request, answer!)
        assert.isUndefined(found?.slice(0, 600))
      }
      yield* isWell(server)
      yield* Server.stop(server)
    }).pipe(Effect.scoped))
})

/** A task goes through. */
const isWell = (server: Server.Server) =>
  Effect.gen(function*() {
    const health = yield* Effect.promise(async () => (await fetch(`${server.url}/health`)).status)
    assert.strictEqual(health, 200)
    const { totals } = yield* server.stats
    yield* server.post([{ type: "echo", payload: "still here" }])
    yield* Server.until(
      "the task is completed",
      Effect.map(server.stats, (stats) => stats.totals.completed > totals.completed)
    )
  })
