import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { HttpServer as Listener } from "effect/http"
import { connect, type Socket } from "node:net"
import { TaskJson } from "../../src/http/api/TaskJson.ts"
import { exchange, exchangeHead, exchangeInParts, parse, port, request } from "./RawHttp.ts"
import { decoded, expecting, get, layer, page, post, posted, read, refused, send } from "./TestServer.ts"

const malformed: ReadonlyArray<readonly [name: string, body: unknown, path: ReadonlyArray<string>]> = [
  ["a missing type", {}, ["body", "type"]],
  ["an empty type", { type: "" }, ["body", "type"]],
  ["an unknown field", { type: "echo", colour: "red" }, ["body", "colour"]],
  ["camelCase", { type: "echo", maxRetries: 1 }, ["body", "maxRetries"]],
  ["a priority out of range", { type: "echo", priority: 10 }, ["body", "priority"]],
  ["an unknown priority", { type: "echo", priority: "asap" }, ["body", "priority"]],
  ["a fraction of a retry", { type: "echo", max_retries: 1.5 }, ["body", "max_retries"]],
  ["fewer retries than unlimited", { type: "echo", max_retries: -2 }, ["body", "max_retries"]],
  ["a delay that is none", { type: "echo", delay: "soon" }, ["body", "delay"]],
  ["a negative delay", { type: "echo", delay: -1 }, ["body", "delay"]],
  ["an endless delay", { type: "echo", delay: "Infinity" }, ["body", "delay"]],
  ["a delay of centuries", { type: "echo", delay: "40000d" }, ["body", "delay"]],
  ["no time at all", { type: "echo", timeout: "0s" }, ["body", "timeout"]],
  ["two times", { type: "echo", delay: "5m", run_at: "2030-01-01T00:00:00Z" }, ["body", "delay"]],
  ["a date that is none", { type: "echo", run_at: "tomorrow" }, ["body", "run_at"]],
  ["a number for a date", { type: "echo", run_at: "1" }, ["body", "run_at"]],
  ["a text with a number for a date", { type: "echo", run_at: "task 7" }, ["body", "run_at"]],
  ["a day that there is not", { type: "echo", run_at: "2030-02-31T00:00:00Z" }, ["body", "run_at"]],
  ["a date in some country's order", { type: "echo", run_at: "01/06/2030" }, ["body", "run_at"]],
  ["a date without a zone", { type: "echo", run_at: "2030-01-01T00:00:00" }, ["body", "run_at"]],
  ["a date without a time", { type: "echo", run_at: "2030-01-01" }, ["body", "run_at"]],
  ["milliseconds for a date", { type: "echo", run_at: 1_900_000_000_000 }, ["body", "run_at"]],
  ["an empty key", { type: "echo", key: "" }, ["body", "key"]],
  ["a long id", { type: "echo", id: "x".repeat(256) }, ["body", "id"]],
  ["an id that no path can end with", { type: "echo", id: ".." }, ["body", "id"]],
  ["null for a field", { type: "echo", queue: null }, ["body", "queue"]],
  ["no task at all", "3", ["body"]]
]

describe("a request body", () => {
  it.effect.each(malformed)("is refused with %s", ([, body, path]) =>
    Effect.gen(function*() {
      const error = yield* refused(400, "invalid_request", post(body))
      assert.deepStrictEqual(error.issues?.[0]?.path, path)
    }).pipe(Effect.provide(layer())))

  it.effect("is refused with a number that would be changed, wherever it is", () =>
    Effect.gen(function*() {
      const inArray = yield* refused(
        400,
        "invalid_request",
        post(`[{"type":"echo"},{"type":"echo","payload":{"user":{"ids":[1,9007199254740993]}}}]`)
      )
      assert.deepStrictEqual(inArray.issues?.[0]?.path, ["body", 1, "payload", "user", "ids", 1])
      assert.include(inArray.message, "9007199254740993")
      yield* refused(400, "invalid_request", post(`{"type":"echo","payload":1e400}`))
      yield* refused(400, "invalid_request", send("POST", "/jobs?type=echo", `{"id":9007199254740993}`))
      yield* refused(
        400,
        "invalid_request",
        send("POST", "/submit", { type: "echo", payload: `{"id":9007199254740993}` })
      )
      assert.deepStrictEqual((yield* page()).tasks, [])
    }).pipe(Effect.provide(layer())))

  it.effect("is taken with large numbers that are kept, and with any digits in a text", () =>
    Effect.gen(function*() {
      const payload = `{"max":9007199254740991,"double":12345678901234567000,"text":"9007199254740993","e":1e99}`
      const { status, text } = yield* post(`{"type":"echo","payload":${payload}}`)
      assert.strictEqual(status, 201)
      assert.include(text, payload.replace("1e99", "1e+99"))
      yield* expecting(200, send("POST", "/submit", { type: "echo", payload: "order 9007199254740993" }))
    }).pipe(Effect.provide(layer())))

  it.effect.each([
    ["/api/v1/tasks", `{"type":"echo","key":"caf\u00e9"}`],
    ["/api/v1/queues/default/pause", `{"reason":"caf\u00e9"}`]
  ])(
    "is refused in another encoding than UTF-8, which would be lost: %s",
    ([path, body = ""]) =>
      Effect.gen(function*() {
        const answer = parse(
          yield* exchange(
            yield* port,
            Buffer.from(
              [
                `POST ${path} HTTP/1.1`,
                "Host: localhost",
                "Connection: close",
                "Content-Type: application/json",
                `Content-Length: ${body.length}`,
                "",
                body
              ].join("\r\n"),
              "latin1"
            )
          )
        )
        assert.strictEqual(answer.status, 400, answer.body)
        assert.include(answer.body, "Expected UTF-8")
        yield* posted({ type: "echo", key: "caf\ufffd" })
      }).pipe(Effect.provide(layer()))
  )

  it.effect("that is no JSON is refused with the position", () =>
    Effect.gen(function*() {
      const error = yield* refused(400, "invalid_request", post(`{ "type": nope }`))
      assert.match(error.message, /position|Unexpected token/)
      assert.deepStrictEqual(error.issues?.[0]?.path, ["body"])
      const empty = yield* refused(400, "invalid_request", post(""))
      assert.deepStrictEqual(empty.issues, [{ path: ["body"], message: "Expected a task or an array of tasks" }])
    }).pipe(Effect.provide(layer())))

  it.effect("that is no object is refused in words that a client knows", () =>
    Effect.gen(function*() {
      for (
        const [method, path] of [["POST", "/operations"], ["POST", "/operations/preview"], [
          "PUT",
          "/schedules/s"
        ]] as const
      ) {
        for (const body of ["", "3", "[]", "null"]) {
          const { issues } = yield* refused(400, "invalid_request", send(method, `/api/v1${path}`, body))
          assert.deepStrictEqual(issues, [{ path: ["body"], message: "Expected an object" }])
        }
      }
      const { issues } = yield* refused(
        400,
        "invalid_request",
        send("POST", "/api/v1/operations", {
          action: "cancel",
          filter: 3,
          why: "try"
        })
      )
      assert.deepStrictEqual(issues, [{ path: ["body", "filter"], message: "Expected an object" }])
    }).pipe(Effect.provide(layer())))

  it.effect("of another type is refused with the one to send", () =>
    Effect.gen(function*() {
      const error = yield* refused(
        415,
        "unsupported_media_type",
        post("type=echo", {
          "content-type": "application/x-www-form-urlencoded"
        })
      )
      assert.match(error.message, /application\/json/)
      assert.strictEqual(error["found"], "application/x-www-form-urlencoded")
    }).pipe(Effect.provide(layer())))

  it.effect("with the charset UTF-8 is JSON all the same", () =>
    Effect.gen(function*() {
      for (const charset of ["; charset=utf-8", ";charset=UTF8", "; x=y; Charset=\"utf-8\" ", "; charset=us-ascii"]) {
        const answer = post({ type: "echo", payload: "ä€𝄞" }, { "content-type": `application/json${charset}` })
        assert.strictEqual((yield* decoded(TaskJson, answer, 201)).payload, "ä€𝄞", charset)
      }
    }).pipe(Effect.provide(layer())))

  it.effect("said to be in another charset, or compressed, is refused on each route that takes one", () =>
    Effect.gen(function*() {
      const others: ReadonlyArray<Readonly<Record<string, string>>> = [
        { "content-type": "application/json; charset=utf-16" },
        { "content-type": "application/json;charset=\"UTF-16LE\"" },
        { "content-type": "application/json; charset = iso-8859-1" },
        { "content-type": "application/json; charset=utf-8; charset=utf-7" },
        { "content-encoding": "gzip" },
        { "content-encoding": "utf-8" }
      ]
      for (const path of ["/api/v1/tasks", "/api/v1/results", "/jobs", "/submit", "/api/tasks"]) {
        for (const headers of others) {
          const error = yield* refused(415, "unsupported_media_type", send("POST", path, { type: "echo" }, headers))
          assert.match(error.message, /application\/json in UTF-8, not compressed/)
        }
      }
      assert.deepStrictEqual((yield* page()).tasks, [])
      yield* expecting(201, post({ type: "echo" }, { "content-encoding": "identity" }))
    }).pipe(Effect.provide(layer())))

  it.live("that announces more than a mebibyte is refused before it comes", () =>
    Effect.gen(function*() {
      const head = "POST /api/v1/tasks HTTP/1.1\nContent-Type: application/json\nContent-Length: 1048577"
      const answer = yield* exchange(
        yield* port,
        `${head}\nHost: localhost\nConnection: close\n\n`.replaceAll("\n", "\r\n")
      )
      assert.strictEqual(parse(answer).status, 413)
      assert.strictEqual(JSON.parse(parse(answer).body).error.limit, 1024 * 1024)
    }).pipe(Effect.provide(layer())))

  it.effect("over a mebibyte is refused, whether its length is announced or not", () =>
    Effect.gen(function*() {
      const giant = JSON.stringify({ type: "echo", payload: "x".repeat(1024 * 1024) })
      assert.strictEqual((yield* refused(413, "body_too_large", post(giant)))["limit"], 1024 * 1024)
      yield* refused(413, "body_too_large", streamed(giant))
      yield* posted({ type: "echo", payload: "x".repeat(1024 * 1024 - 100) })
    }).pipe(Effect.provide(layer())))

  it.live("is read whole, however it comes", () =>
    Effect.gen(function*() {
      const body = JSON.stringify({ type: "echo", payload: "é".repeat(100) })
      const lines = [
        "POST /api/v1/tasks HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Connection: close"
      ]
      const bytes = Buffer.from(body)
      const head = (more: string) => Buffer.from([...lines, more, "", ""].join("\r\n"))
      const chunk = (part: Uint8Array) =>
        Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")])
      // The second one ends between the two bytes of a letter
      const announced = [head(`Content-Length: ${bytes.length}`), bytes.subarray(0, 50), bytes.subarray(50)]
      const chunked = [
        head("Transfer-Encoding: chunked"),
        chunk(bytes.subarray(0, 50)),
        chunk(bytes.subarray(50)),
        chunk(bytes.subarray(0, 0))
      ]
      for (const parts of [announced, chunked, [Buffer.concat(announced)], [Buffer.concat(chunked)]]) {
        const answer = parse(yield* exchangeInParts(yield* port, parts))
        assert.strictEqual(answer.status, 201, answer.body)
        assert.strictEqual(JSON.parse(answer.body).payload, "é".repeat(100))
      }
      // A client that leaves in the middle of one has posted nothing, and nobody else notices
      assert.strictEqual(yield* exchangeInParts(yield* port, [Buffer.concat(announced).subarray(0, -1)], true), "")
      yield* posted({ type: "echo" })
      const { tasks } = yield* page()
      assert.strictEqual(tasks.length, 5)
    }).pipe(Effect.provide(layer())))

  it.live("waits while large ones fill the memory that is meant for them, unless it is small", () =>
    Effect.gen(function*() {
      const to = yield* port
      const head = "POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
        "Content-Length: 1048576\r\n\r\n"
      const slow = yield* Effect.forEach(Array.from({ length: 256 }), () =>
        Effect.acquireRelease(
          Effect.callback<Socket>((resume) => {
            const socket = connect(to, "127.0.0.1", () => socket.write(head, () => resume(Effect.succeed(socket))))
            socket.on("error", () => {})
          }),
          (socket) => Effect.sync(() => socket.destroy())
        ), { concurrency: 32 })
      // By then the server has read all of these heads
      for (let posts = 0; posts < 5; posts++) yield* posted({ type: "echo" })
      const large = yield* Effect.forkChild(posted({ type: "echo", payload: "x".repeat(20_000) }))
      yield* Effect.sleep("300 millis")
      assert.isUndefined(large.pollUnsafe())
      yield* posted({ type: "echo", payload: "x".repeat(10_000) })
      for (const socket of slow) socket.destroy()
      yield* Fiber.join(large)
    }).pipe(Effect.scoped, Effect.provide(layer())))

  it.effect("tells once what is wrong with a length", () =>
    Effect.gen(function*() {
      for (const [name, value] of [["id", "x".repeat(256)], ["queue", "q".repeat(256)], ["type", ""]] as const) {
        const error = yield* refused(
          400,
          "invalid_request",
          post({ type: "echo", [name]: value })
        )
        assert.deepStrictEqual(error.issues?.map(({ path }) => path), [["body", name]])
        assert.include(error.issues?.[0]?.message, "Expected 1 to 255 characters")
      }
      const two = { type: "", queue: "" }
      const error = yield* refused(400, "invalid_request", post(two))
      assert.deepStrictEqual(error.issues?.map(({ path }) => path[1]).toSorted(), ["queue", "type"])
      const many = Array.from({ length: 10_001 }, () => ({ type: "echo" }))
      const batch = yield* refused(400, "invalid_request", post(many))
      assert.deepStrictEqual(batch.issues, [{ path: ["body"], message: "Expected at most 10000 tasks in a request" }])
    }).pipe(Effect.provide(layer())))

  it.effect("names twenty issues at most", () =>
    Effect.gen(function*() {
      const error = yield* refused(400, "invalid_request", post(Array.from({ length: 50 }, () => ({}))))
      assert.strictEqual(error.issues?.length, 20)
      assert.deepStrictEqual(error.issues?.at(-1), { path: ["body"], message: "31 more issues are not named" })
    }).pipe(Effect.provide(layer())))
})

describe("a path", () => {
  it.effect("means the task whose id it spells, and no other", () =>
    Effect.gen(function*() {
      for (const id of ["a", "a;b", "a#b", "a?b", "a%3Bb"]) yield* posted({ type: "echo", id, payload: id })
      const ask = (target: string) => Effect.map(request(`GET ${target} HTTP/1.1`), ({ body }) => JSON.parse(body))
      assert.strictEqual((yield* ask("/api/v1/tasks/a;b")).id, "a;b")
      assert.strictEqual((yield* ask("/api/tasks/a;b?")).id, "a;b")
      assert.strictEqual((yield* ask("/api/v1/tasks/a%3Bb")).id, "a;b")
      assert.strictEqual((yield* ask("/api/v1/tasks/a%253Bb")).id, "a%3Bb")
      assert.strictEqual((yield* ask("/api/v1/tasks/a;b/result")).id, "a;b")
      assert.strictEqual((yield* ask("/api/v1/tasks/;a")).error.code, "task_not_found")
      for (const target of ["/health;x=1", "/api/v1/tasks;status=failed"]) {
        assert.strictEqual((yield* ask(target)).error.code, "route_not_found", target)
      }
      for (const target of ["/api/v1/tasks/a#b", "/health#", "/api/v1/tasks?limit=1#x"]) {
        assert.strictEqual((yield* ask(target)).error.code, "malformed_request", target)
      }
      assert.strictEqual((yield* request("DELETE /api/v1/tasks/a; HTTP/1.1")).status, 404)
      assert.strictEqual((yield* request("DELETE /api/v1/tasks/a# HTTP/1.1")).status, 400)
      assert.strictEqual((yield* ask("/api/v1/tasks/a")).id, "a")
      assert.strictEqual((yield* request("DELETE /api/v1/tasks/a;b HTTP/1.1")).status, 204)
      assert.strictEqual((yield* ask("/api/v1/tasks/a")).id, "a")
    }).pipe(Effect.provide(layer())))

  it.effect("is not answered with two hosts", () =>
    Effect.gen(function*() {
      for (const hosts of ["Host: localhost\nHost: localhost", "host: localhost\nHOST: elsewhere.example"]) {
        const { body, status } = yield* exchangeHead(`GET /health HTTP/1.1\n${hosts}`)
        assert.strictEqual(status, 400)
        assert.strictEqual(JSON.parse(body).error.code, "malformed_request")
      }
      assert.strictEqual((yield* exchangeHead("GET /health HTTP/1.0")).status, 200)
    }).pipe(Effect.provide(layer())))

  it.effect("for sockets closes the connection of a client that comes without one", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* request("GET /ws HTTP/1.1")).status, 426)
    }).pipe(Effect.provide(layer())))

  it.effect("that does not exist is a 404 in JSON", () =>
    Effect.gen(function*() {
      yield* refused(404, "route_not_found", get("/nothing/here?secret=1"))
      yield* refused(404, "route_not_found", get("/api/v1/tasks/%ZZ/cancel/more"))
      yield* refused(404, "route_not_found", send("POST", "/api/v1"))
    }).pipe(Effect.provide(layer())))

  it.effect("refuses methods that it does not have, and says which it has", () =>
    Effect.gen(function*() {
      for (
        const [method, path, allow] of [
          ["PUT", "/api/v1/tasks", "POST, GET"],
          ["POST", "/api/v1/tasks/1", "GET, DELETE, PATCH"],
          ["GET", "/api/v1/tasks/1/cancel", "POST"],
          ["DELETE", "/health", "GET"],
          ["POST", "/", "GET"],
          ["OPTIONS", "/metrics", "GET"]
        ] as const
      ) {
        const answer = yield* send(method, path)
        assert.strictEqual(answer.headers["allow"], allow)
        yield* refused(405, "method_not_allowed", Effect.succeed(answer))
      }
    }).pipe(Effect.provide(layer())))

  it.effect("that has GET has HEAD too", () =>
    Effect.gen(function*() {
      for (const path of ["/", "/health", "/api/v1/tasks", "/metrics"]) {
        const answer = yield* expecting(200, send("HEAD", path))
        assert.strictEqual(answer.text, "")
      }
    }).pipe(Effect.provide(layer())))
})

/** Posts a body whose length is not announced. */
const streamed = Effect.fnUntraced(function*(body: string) {
  const { address } = yield* Listener.HttpServer
  return yield* Effect.promise(async () => {
    const answer = await fetch(`${Listener.formatAddress(address)}/api/v1/tasks`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Blob([body]).stream(),
      duplex: "half"
    })
    return read(answer.status, Object.fromEntries(answer.headers), await answer.text())
  })
})
