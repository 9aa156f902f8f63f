import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import type { LookupAddress } from "node:dns"
import type { LookupFunction } from "node:net"
import * as RetryPolicy from "../../../src/domain/RetryPolicy.ts"
import { Outbound } from "../../../src/handlers/outbound/Outbound.ts"
import { RequestFailed, RequestRefused, RequestRejected, retry } from "../../../src/handlers/outbound/OutboundErrors.ts"
import type { Options, OutboundRequest } from "../../../src/handlers/outbound/OutboundRequest.ts"
import { maxRetryAfterMillis } from "../../../src/handlers/outbound/RetryAfter.ts"
import { withStepping } from "../../engine/Clocks.ts"
import * as Site from "./Site.ts"

const allow = ["127.0.0.1"]

/** So many seconds after the epoch, where the `TestClock` begins. */
const date = (seconds: number) => new Date(seconds * 1000).toUTCString()

const send = (request: Partial<OutboundRequest> & { readonly url: string }) =>
  Outbound.use((outbound) => outbound.send({ method: "GET", ...request }))

const withOutbound = (options: Options = { allow }) => Effect.provide(Outbound.layer(options), { local: true })

const refused = Effect.fnUntraced(function*(request: Partial<OutboundRequest> & { readonly url: string }) {
  const error = yield* Effect.flip(send(request))
  assert.instanceOf(error, RequestRefused)
  return error.reason
})

/** Names that a test gives addresses, and how often they were looked up. */
const names = (addresses: Readonly<Record<string, ReadonlyArray<ReadonlyArray<string>>>>) => {
  const asked: Array<string> = []
  const lookup: LookupFunction = (host, _options, callback) => {
    const answers = addresses[host] ?? []
    const answer = answers[Math.min(asked.filter((one) => one === host).length, answers.length - 1)] ?? []
    asked.push(host)
    callback(null, answer.map((address): LookupAddress => ({ address, family: address.includes(":") ? 6 : 4 })))
  }
  return { asked, lookup }
}

describe("requests of tasks", () => {
  it.live("are answered whole", () =>
    Effect.gen(function*() {
      const site = yield* Site.start(({ body }, response) => response.setHeader("x-seen", body.length).end("answer"))
      const answer = yield* send({
        method: "POST",
        url: `${site.url}/a?b=c`,
        headers: { "x-one": "1", "content-type": "text/plain" },
        body: Buffer.from("hello")
      })
      assert(!("_tag" in answer))
      assert.deepInclude(answer, { status: 200, url: `${site.url}/a?b=c`, redirects: 0 })
      assert.strictEqual(Buffer.from(answer.body).toString(), "answer")
      assert.strictEqual(answer.headers["x-seen"], "5")
      assert.deepInclude(site.asked[0], { method: "POST", path: "/a?b=c", body: "hello" })
      assert.deepInclude(site.asked[0]!.headers, { "x-one": "1", "content-type": "text/plain" })
    }).pipe(withOutbound()))

  it.live("say what is wrong with an answer that is none, in words of their own", () =>
    Effect.gen(function*() {
      const head = "HTTP/1.1 200 OK\r\n"
      const answers: ReadonlyArray<readonly [text: string, reason: RegExp]> = [
        ["HTTP/1.1 101 Switching Protocols\r\n\r\n", /^it answered with a change of protocol/],
        [
          "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
          /^it answered with a change of protocol that was not asked for$/
        ],
        ["HTTP/1.1 100 Continue\r\n\r\n", /^it answered with a status that was not asked for$/],
        ["HTTP/1.1 000 None\r\n\r\n", /a status that HTTP does not have$/],
        ["SSH-2.0-OpenSSH\r\n", /^its answer is not HTTP\/1\.1$/],
        [`${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, /^its answer is not HTTP\/1\.1$/],
        [`${head}X: ${"x".repeat(40_000)}\r\n\r\n`, /^the head of its answer is too large$/],
        [`${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, /^its answer has another length than it says$/],
        [`${head}Content-Length: 10\r\n\r\nab`, /^it closed the connection before there was a whole answer$/],
        ["", /^it closed the connection before there was a whole answer$/]
      ]
      const site = yield* Site.start(({ path }, response) => response.socket!.end(answers[Number(path.slice(1))]![0]))
      for (const [index, [text, reason]] of answers.entries()) {
        const error = yield* Effect.flip(send({ url: `${site.url}/${index}` }))
        assert.instanceOf(error, RequestFailed, text)
        assert.match(error.reason, reason, text)
      }
    }).pipe(withOutbound({ allow, breakAfter: 100 })))

  it.live("tell the other side nothing of a trace, unless their headers do", () =>
    Effect.gen(function*() {
      const site = yield* Site.start(({ path }, response) =>
        path === "/" ? response.writeHead(302, { location: "/end" }).end() : response.end()
      )
      yield* Effect.withSpan(send({ url: `${site.url}/` }), "task")
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      yield* Effect.withSpan(send({ url: `${site.url}/end`, headers: { traceparent } }), "task")
      assert.strictEqual(site.asked.length, 3)
      for (const { headers } of site.asked.slice(0, 2)) {
        assert.deepStrictEqual(Object.keys(headers).filter((name) => /^(trace|b3$|x-b3|baggage)/.test(name)), [])
      }
      assert.strictEqual(site.asked[2]!.headers["traceparent"], traceparent)
    }).pipe(withOutbound()))

  it.live("use a connection again", () =>
    Effect.gen(function*() {
      const ports = new Set<number | undefined>()
      const site = yield* Site.start((_, response) => {
        ports.add(response.socket?.remotePort)
        response.end()
      })
      for (let index = 0; index < 5; index++) yield* send({ url: site.url })
      assert.isBelow(ports.size, 5)
    }).pipe(withOutbound()))

  it.live("fail for ever on 4xx, and for now on what may pass", () =>
    Effect.gen(function*() {
      const site = yield* Site.start(({ path }, response) =>
        response.writeHead(Number(path.slice(1)), { "retry-after": "7" }).end("because")
      )
      const rejected = yield* Effect.flip(send({ url: `${site.url}/422` }))
      assert.instanceOf(rejected, RequestRejected)
      assert.deepInclude(rejected, { status: 422, answer: "because" })
      for (const status of [408, 425, 429, 500, 503]) {
        const failed = yield* Effect.flip(send({ url: `${site.url}/${status}` }))
        assert.instanceOf(failed, RequestFailed)
        assert.deepInclude(failed, { status, retry_after_ms: 7000 })
      }
    }).pipe(withOutbound({ allow, breakAfter: 100 })))

  it.live("wait as long as an answer asks, in whole seconds, and ignore what is no Retry-After", () =>
    Effect.gen(function*() {
      const asked = [["1.5", 2000], ["32.5", 33_000], ["2030-01-01", null], ["soon", null], [
        "9".repeat(30),
        86_400_000
      ]]
      for (const [header, expected] of asked) {
        const site = yield* Site.start((_, response) =>
          response.writeHead(503, { "retry-after": String(header) }).end()
        )
        const failed = yield* Effect.flip(send({ url: site.url }))
        assert.instanceOf(failed, RequestFailed)
        assert.strictEqual(failed.retry_after_ms, expected, String(header))
      }
    }).pipe(withOutbound()))

  it.live("leave a host alone for as long as it asks", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.writeHead(503, { "retry-after": "7200.5" }).end())
      yield* Effect.flip(send({ url: site.url }))
      const answer = yield* send({ url: site.url })
      assert("_tag" in answer)
      // Less what has passed since
      assert.isAbove(Duration.toSeconds(answer.retryAfter), 7100)
      assert.isAtMost(Duration.toSeconds(answer.retryAfter), 7201)
    }).pipe(withOutbound({ allow, breakAfter: 1 })))

  it.effect("are retried when the other side says, up to a day later, and else within the hour", () =>
    Effect.gen(function*() {
      const delayAfter = (failures: number, retry_after_ms: number | null) => {
        const error = new RequestFailed({ url: "", status: 503, reason: "", retry_after_ms })
        return RetryPolicy.next(retry, { failures, maxRetries: -1, tag: error._tag, declared: { error } })
      }
      assert.strictEqual(yield* delayAfter(1, 7_200_000), 7_200_000)
      assert.strictEqual(yield* delayAfter(1, maxRetryAfterMillis), maxRetryAfterMillis)
      assert.isAtMost((yield* delayAfter(1, null))!, 1200)
      assert.isAtMost((yield* delayAfter(30, null))!, 1.2 * 3_600_000)
    }))

  it.live("fail when nobody listens, and when there is no answer in time", () =>
    Effect.gen(function*() {
      const silent = yield* Site.start(() => {})
      const endless = yield* Site.start((_, response) => response.write("beginning"))
      const { port } = yield* Effect.scoped(Site.start(() => {}))
      const timeout = Duration.millis(200)
      for (const url of [silent.url, endless.url, `http://127.0.0.1:${port}`]) {
        const failed = yield* Effect.flip(send({ url, timeout }))
        assert.instanceOf(failed, RequestFailed)
        assert.isNull(failed.status)
      }
    }).pipe(withOutbound()))

  it.live("do not take more than they may", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.end(Buffer.alloc(5000)))
      assert.match(yield* refused({ url: site.url }), /more than 4999 bytes/)
      assert.match(yield* refused({ url: site.url, maxBytes: 10 }), /more than 10 bytes/)
      assert.match(yield* refused({ url: site.url, maxBytes: 1e9 }), /more than 4999 bytes/)
    }).pipe(withOutbound({ allow, maxBytes: 4999 })))

  it.effect("leave a host alone that keeps failing, and no other", () =>
    Effect.gen(function*() {
      let isWell = false
      const ill = yield* Site.start((_, response) => response.writeHead(isWell ? 200 : 500).end())
      const well = yield* Site.start((_, response) => response.end())
      for (let index = 0; index < 2; index++) yield* Effect.flip(send({ url: ill.url }))
      const answer = yield* send({ url: ill.url })
      assert("_tag" in answer)
      assert.strictEqual(Duration.toMillis(answer.retryAfter), 300)
      assert.strictEqual(ill.asked.length, 2)
      assert.isFalse("_tag" in (yield* send({ url: well.url })))
      isWell = true
      yield* TestClock.adjust("300 millis")
      assert.isFalse("_tag" in (yield* send({ url: ill.url })))
    }).pipe(withOutbound({ allow, breakAfter: 2, breakFor: "300 millis" })))

  it.effect("are not kept waiting by a wall clock that is set back", () =>
    withStepping((step) =>
      Effect.gen(function*() {
        const ill = yield* Site.start((_, response) => response.writeHead(503, { "retry-after": date(60) }).end())
        const failed = yield* Effect.flip(send({ url: ill.url }))
        assert.deepInclude(failed, { retry_after_ms: 60_000 })
        yield* step("-1 hour")
        const answer = yield* send({ url: ill.url })
        assert("_tag" in answer)
        assert.strictEqual(Duration.toMillis(answer.retryAfter), 60_000)
        yield* TestClock.adjust("1 minute")
        // A date is one of the wall clock
        assert.deepInclude(yield* Effect.flip(send({ url: ill.url })), { retry_after_ms: 3_600_000 })
        assert.strictEqual(ill.asked.length, 2)
      }).pipe(withOutbound({ allow, breakAfter: 1, breakFor: "30 seconds" }))
    ))
})

describe("redirects", () => {
  it.live("are followed, with what the next one may know", () =>
    Effect.gen(function*() {
      const other = yield* Site.start((_, response) => response.end("other"))
      const site = yield* Site.start(({ path }, response) => {
        const targets: Record<string, readonly [number, string]> = {
          "/303": [303, "/end"],
          "/307": [307, "/end"],
          "/away": [308, other.url]
        }
        const [status, location] = targets[path] ?? [200, ""]
        response.writeHead(status, location === "" ? {} : { location }).end("end")
      })
      const headers = { authorization: "secret", "x-api-token": "secret", "user-agent": "u", accept: "text/plain" }
      const post = (path: string) =>
        send({ method: "POST", url: `${site.url}${path}`, headers, body: Buffer.from("body") })
      assert.deepInclude(yield* post("/303"), { url: `${site.url}/end`, redirects: 1 })
      assert.deepInclude(site.asked.at(-1), { method: "GET", body: "" })
      yield* post("/307")
      assert.deepInclude(site.asked.at(-1), { method: "POST", body: "body" })
      assert.strictEqual(site.asked.at(-1)!.headers["authorization"], "secret")
      yield* post("/away")
      assert.deepInclude(other.asked[0], { method: "POST", body: "body" })
      assert.deepInclude(other.asked[0]!.headers, { "user-agent": "u", accept: "text/plain" })
      for (const name of ["authorization", "x-api-token"]) assert.notProperty(other.asked[0]!.headers, name)
      const none = yield* send({ url: `${site.url}/303`, redirects: "none" })
      assert.deepInclude(none, { status: 303 })
      const change = { method: "POST" as const, url: `${site.url}/303`, redirects: "same" as const }
      assert.match(yield* refused(change), /would turn POST into GET/)
    }).pipe(withOutbound()))

  it.live("end somewhere", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.writeHead(302, { location: "/again" }).end())
      assert.match(yield* refused({ url: site.url }), /redirects more than 5 times/)
      assert.strictEqual(site.asked.length, 6)
    }).pipe(withOutbound()))
})

describe("requests that are not sent", () => {
  it.live("go to this machine or its network, whichever way that is written", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.end("inside"))
      const hosts = ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]"]
      for (const host of hosts) {
        assert.match(yield* refused({ url: `http://${host}:${site.port}` }), /not an address of the public/, host)
      }
      for (const url of ["http://169.254.169.254/latest/meta-data", "http://10.0.0.1", "http://[fd00:ec2::254]/"]) {
        assert.match(yield* refused({ url }), /not an address of the public/, url)
      }
      assert.strictEqual(site.asked.length, 0)
    }).pipe(withOutbound({})))

  it.live("are redirected there", () =>
    Effect.gen(function*() {
      const inside = yield* Site.start((_, response) => response.end("inside"), "127.0.0.2")
      const site = yield* Site.start((_, response) => response.writeHead(302, { location: inside.url }).end())
      assert.match(yield* refused({ url: site.url }), /127\.0\.0\.2 is not an address of the public/)
      assert.strictEqual(inside.asked.length, 0)
    }).pipe(withOutbound()))

  it.live("go to a name that leads there, also if only one of its addresses does", () => {
    const { lookup } = names({ "one.test": [["127.0.0.2"]], "both.test": [["127.0.0.1", "127.0.0.2"]] })
    return Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.end())
      assert.match(yield* refused({ url: `http://one.test:${site.port}` }), /one\.test: 127\.0\.0\.2 is not/)
      assert.match(yield* refused({ url: `http://both.test:${site.port}` }), /both\.test: 127\.0\.0\.2 is not/)
      assert.strictEqual(site.asked.length, 0)
    }).pipe(withOutbound({ allow, lookup }))
  })

  it.live("cannot be led there by a name that changes its mind", () => {
    const { asked, lookup } = names({ "rebinding.test": [["127.0.0.1"], ["127.0.0.2"]] })
    return Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.setHeader("connection", "close").end())
      const url = `http://rebinding.test:${site.port}`
      assert.deepInclude(yield* send({ url }), { status: 200 })
      // The address that was checked is the one that was connected to: there was no second question
      assert.deepStrictEqual(asked, ["rebinding.test"])
      assert.match(yield* refused({ url }), /127\.0\.0\.2 is not/)
    }).pipe(withOutbound({ allow, lookup }))
  })

  it.live("are none at all", () =>
    Effect.gen(function*() {
      for (const url of ["nonsense", "file:///etc/passwd", "ftp://example.org", "gopher://127.0.0.1"]) {
        assert.isString(yield* refused({ url }))
      }
      const error = yield* Effect.flip(send({ url: "http://user:password@example.org" }))
      assert.notInclude(error.message, "password@")
      assert.isString(yield* refused({ url: "http://127.0.0.1:1", headers: { "x-bad": "a\r\nb: c" } }))
    }).pipe(withOutbound()))
})
