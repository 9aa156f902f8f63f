/** The configuration that ships for nginx, run by nginx: what it repeats, what it passes on, and what a crash costs. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Scope } from "effect"
import { type IncomingMessage, request as open } from "node:http"
import { type AddressInfo, createServer } from "node:net"
import * as Server from "../e2e/Server.ts"
import * as Site from "../handlers/outbound/Site.ts"
import * as Nginx from "../servers/Nginx.ts"
import * as Program from "../servers/Program.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"

/** An answer, or why there is none. */
interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

const ask = (url: string, init: RequestInit = {}): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { ...init, signal })
    return { status: response.status, headers: response.headers, text: await response.text() }
  })

const post = (url: string, body: unknown) =>
  ask(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })

/** An instance that reads requests and goes away before it answers. */
const dying: Effect.Effect<{ readonly port: number; readonly asked: ReadonlyArray<string> }, never, Scope.Scope> =
  Effect
    .map(
      Effect.acquireRelease(
        Effect.callback<{ readonly server: ReturnType<typeof createServer>; readonly asked: Array<string> }>(
          (resume) => {
            const asked: Array<string> = []
            const server = createServer((socket) => {
              socket.on("error", () => {})
              socket.once("data", (head) => {
                asked.push(String(head).split(" ")[0]!)
                socket.destroy()
              })
            })
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, asked })))
          }
        ),
        ({ server }) => Effect.sync(() => server.close())
      ),
      ({ asked, server }) => ({ port: (server.address() as AddressInfo).port, asked })
    )

describe("what nginx does with requests that have no answer", () => {
  for (
    const [method, times] of [["GET", 2], ["HEAD", 2], ["PUT", 2], ["POST", 1], ["PATCH", 1], ["DELETE", 1]] as const
  ) {
    it.live(`asks ${times === 1 ? "one instance" : "both instances"} for a ${method}`, () =>
      Effect.gen(function*() {
        const instance = yield* dying
        const nginx = yield* Nginx.start([instance.port, instance.port])
        const before = instance.asked.length
        const { status } = yield* ask(`${nginx.url}/api/v1/tasks/one`, { method })
        assert.strictEqual(status, 502)
        assert.deepStrictEqual(instance.asked.slice(before), Array.from({ length: times }, () => method))
      }).pipe(Effect.scoped))
  }
})

describe("an instance that is away", () => {
  it.live("costs no request: what was not sent goes to the other one", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => void response.end("{}"))
      const nginx = yield* Nginx.start([yield* Program.freePort(), site.port])
      for (const method of ["POST", "GET", "PATCH", "PUT", "POST"]) {
        const { status } = yield* ask(nginx.url, { method, ...(method === "GET" ? {} : { body: "{}" }) })
        assert.strictEqual(status, 200, method)
      }
      assert.lengthOf(site.asked, 5)
    }))

  it.live("is asked again soon after both were away", () =>
    Effect.gen(function*() {
      const instance = yield* dying
      const nginx = yield* Nginx.start([instance.port, instance.port])
      yield* ask(nginx.url)
      const asked = instance.asked.length
      yield* Server.until(
        "nginx asks again",
        Effect.andThen(ask(nginx.url), Effect.sync(() => instance.asked.length > asked)),
        5
      )
    }))
})

it.live("an instance's own 503 is passed on, with its Retry-After", () =>
  Effect.gen(function*() {
    const site = yield* Site.start((_, response) => void response.writeHead(503, { "retry-after": "7" }).end("full"))
    const nginx = yield* Nginx.start([site.port, site.port])
    const { headers, status, text } = yield* ask(nginx.url)
    assert.deepStrictEqual([status, headers.get("retry-after"), text], [503, "7", "full"])
    assert.lengthOf(site.asked, 1)
  }))

await withServer("Redis", Redis.find, (redis) => {
  /** Two servers on a queue of their own, behind nginx. */
  const cluster = Effect.fnUntraced(function*(environment: Server.Environment = {}) {
    const directory = yield* Server.directory
    const settings = {
      STORE_URL: redis.url,
      TASKFORGE_NAMESPACE: yield* Redis.scratchPrefix(redis),
      TASKFORGE_LEASE: "5s",
      TASKFORGE_TRUSTED_PROXIES: "127.0.0.1",
      LOG_LEVEL: "warn",
      ...environment
    }
    const start = Effect.suspend(() => onPort(directory, settings))
    const servers = yield* Effect.all([start, start], { concurrency: 2 })
    const nginx = yield* Nginx.start([servers[0].port, servers[1].port])
    return { servers, nginx }
  })

  /** Logs above `info` do not say where it listens. */
  const onPort = Effect.fnUntraced(function*(directory: string, settings: Server.Environment) {
    const port = yield* Program.freePort()
    const process = yield* Server.launch(directory, { ...settings, SERVER_PORT: String(port) })
    const url = `http://127.0.0.1:${port}`
    yield* Server.until("the server listens", Effect.isSuccess(Server.request(`${url}/health`)))
    return { ...process, url, port }
  })

  /** Clients that post tasks with ids of their own, and repeat what had no answer until it has one. */
  const load = Effect.fnUntraced(function*(url: string, clients: number) {
    const accepted: Array<string> = []
    const refused: Array<number> = []
    const read: Array<number> = []
    const state = { isOver: false }
    const one = (client: number) =>
      Effect.gen(function*() {
        for (let n = 0; !state.isOver; n++) {
          const id = `${client}-${n}`
          while ((yield* submit(id)) === undefined) { /* the same id, so that it is stored once */ }
          read.push((yield* ask(`${url}/api/v1/tasks/${id}`)).status)
        }
      })
    const submit = (id: string) =>
      Effect.map(post(`${url}/api/v1/tasks`, { id, type: "echo", payload: id }), ({ status }) => {
        if (status !== 201 && status !== 200) return void refused.push(status)
        accepted.push(id)
        return id
      })
    const fibers = yield* Effect.forEach(
      Array.from({ length: clients }, (_, client) => client),
      (client) => Effect.forkChild(one(client))
    )
    const stop = Effect.andThen(
      Effect.sync(() => {
        state.isOver = true
      }),
      Effect.asVoid(Fiber.joinAll(fibers))
    )
    const until = (count: number) =>
      Server.until(`${count} tasks are accepted`, Effect.sync(() => accepted.length >= count))
    return { accepted, refused, read, stop, until }
  })

  describe("two servers behind nginx", () => {
    const clients = 16

    for (const [signal, end] of [["SIGKILL", "killed"], ["SIGTERM", "stopped"]] as const) {
      it.live(`lose nothing and store nothing twice when one is ${end} under load`, () =>
        Effect.gen(function*() {
          const { nginx, servers } = yield* cluster()
          const sent = yield* load(nginx.url, clients)
          yield* sent.until(200)
          yield* servers[0].signal(signal)
          yield* servers[0].ended
          yield* sent.until(600)
          yield* sent.stop
          // nginx cannot know what became of what it had sent: a 502 for each of those at most
          assert.isAtMost(sent.refused.length, clients)
          assert.deepStrictEqual(sent.refused.filter((status) => status !== 502), [])
          assert.deepStrictEqual(sent.read.filter((status) => status !== 200), [], "nginx repeats what only reads")
          yield* Server.until(
            "every task is completed",
            Effect.map(Server.request<Server.Stats>(`${nginx.url}/api/v1/stats`), ({ totals }) => {
              assert.strictEqual(totals.created, sent.accepted.length, "stored once")
              return totals.completed === sent.accepted.length
            })
          )
        }))
    }

    it.live("send events through it as they happen", () =>
      Effect.gen(function*() {
        const { nginx } = yield* cluster()
        const stream = yield* Effect.promise((signal) => fetch(`${nginx.url}/api/v1/events`, { signal }))
        const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
        yield* Effect.addFinalizer(() => Effect.promise(() => reader.cancel()))
        const socket = yield* webSocket(nginx.url)
        assert.strictEqual((yield* post(`${nginx.url}/api/v1/tasks`, { id: "watched", type: "echo" })).status, 201)
        let text = ""
        yield* Effect.promise(async () => {
          while (!/event: completed\n/.test(text)) text += (await reader.read()).value
        })
        yield* Server.until("the WebSocket has it", Effect.sync(() => socket.received.includes("completed")))
      }))

    it.live("know the page that opens a WebSocket, and the address of a client", () =>
      Effect.gen(function*() {
        const { nginx, servers } = yield* cluster()
        assert.strictEqual(yield* handshake(nginx.url, nginx.url), 101)
        assert.strictEqual(yield* handshake(nginx.url, "https://elsewhere.example"), 403)
        yield* post(`${nginx.url}/api/v1/tasks`, { id: "gone", type: "echo", delay: "1h" })
        assert.strictEqual(yield* removeFrom("127.0.0.2", `${nginx.url}/api/v1/tasks/gone`), 204)
        const done = () =>
          servers.flatMap(({ log }) => log.filter((line) => line["audit"] === true && line["action"] !== "denied"))
        yield* Server.until("the audit log has it", Effect.sync(() => done().length > 0))
        assert.deepStrictEqual(done().map((line) => line["address"]), ["127.0.0.2"])
      }))

    it.live("refuse a body that is too large in their own words", () =>
      Effect.gen(function*() {
        const { nginx } = yield* cluster()
        const { status, text } = yield* post(`${nginx.url}/api/v1/tasks`, {
          type: "echo",
          payload: "x".repeat(1_500_000)
        })
        assert.strictEqual(status, 413)
        assert.match(text, /"code":"body_too_large"/)
      }))
  })
})

/** A WebSocket that is open. */
const webSocket = (url: string) =>
  Effect.gen(function*() {
    const opened = yield* Deferred.make<void>()
    const received: Array<string> = []
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocket(`${url.replace("http", "ws")}/ws`)),
      (socket) => Effect.sync(() => socket.close())
    )
    socket.addEventListener("error", () => Deferred.doneUnsafe(opened, Effect.die(new Error("no WebSocket"))))
    socket.addEventListener("open", () => Deferred.doneUnsafe(opened, Effect.void))
    socket.addEventListener("message", ({ data }) => received.push(JSON.parse(String(data)).event))
    yield* Deferred.await(opened)
    return { received }
  })

/** The status of a WebSocket's handshake from a page. */
const handshake = (url: string, origin: string): Effect.Effect<number | undefined> =>
  Effect.callback((resume) => {
    const headers = {
      origin,
      connection: "upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
    }
    const request = open(`${url}/ws`, { headers, agent: false })
    const end = ({ statusCode }: IncomingMessage) => {
      request.destroy()
      resume(Effect.succeed(statusCode))
    }
    request.on("error", () => {}).on("upgrade", end).on("response", end).end()
  })

/** The status of a DELETE from an address of this machine, by a client that claims to be another one. */
const removeFrom = (localAddress: string, url: string): Effect.Effect<number | undefined> =>
  Effect.callback((resume) => {
    open(url, { method: "DELETE", localAddress, agent: false, headers: { "x-forwarded-for": "203.0.113.9" } })
      .on("response", (response) => {
        response.resume()
        resume(Effect.succeed(response.statusCode))
      })
      .end()
  })
