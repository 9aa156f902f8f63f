/** Requests that no client should send, from a seed: the same seed gives the same requests. */

/** A request on a connection that others share: well-formed as HTTP, so that answers can be told apart. */
export interface Malformed {
  readonly text: string
  readonly method: string
}

/** Numbers from a seed. */
export class Dice {
  private state: number

  constructor(seed: number) {
    this.state = seed
  }

  /** From 0 up to 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.below(items.length)]!
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }
}

const fields = ["type", "payload", "priority", "max_retries", "delay", "run_at", "timeout", "key", "id", "queue"]

const types = [
  "echo",
  "sleep",
  "fail",
  "default",
  "email",
  "nothing",
  "__proto__",
  "constructor",
  "ECHO",
  ""
]

/** JSON texts of every type, among them those that trip parsers. */
const values = (dice: Dice): string =>
  dice.pick([
    () => "null",
    () => "true",
    () => String(dice.below(2 ** 32) - 2 ** 31),
    () => dice.pick(["1e999", "-1e999", "1e-999", "0.1", "-0", "9007199254740993", "123456789012345678901234567890"]),
    () => JSON.stringify("x".repeat(dice.below(600))),
    () =>
      dice.pick([
        `"\\u0000"`,
        `"\\ud800"`,
        `"\\uffff"`,
        `"\u202e"`,
        `"'; DROP TABLE task; --"`,
        `"{{7*7}}"`,
        `"../../etc/passwd"`
      ]),
    () => dice.pick([`"\\r\\nset-cookie: a=b"`, `"%0d%0aset-cookie:a=b"`, `"${"%".repeat(50)}"`, `"\\u2028"`]),
    () => dice.pick(["[]", "{}", "[[]]", `{"a":{}}`, `[null]`, `[1,"a",{}]`]),
    () => `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}`,
    () => nested(dice, 1 + dice.below(40)),
    () =>
      dice.pick([
        `"NaN"`,
        `"Infinity"`,
        `"-1"`,
        `"1h30"`,
        `"5 parsecs"`,
        `"2026-13-45T99:99:99Z"`,
        `"tomorrow"`,
        `"10"`
      ])
  ])()

const nested = (dice: Dice, depth: number): string =>
  dice.chance(0.5) ? "[".repeat(depth) + "]".repeat(depth) : `{"a":`.repeat(depth) + "1" + "}".repeat(depth)

/** A task with something wrong in it, most of the time. */
const task = (dice: Dice): string => {
  const members: Array<string> = []
  if (dice.chance(0.9)) members.push(`"type":${dice.chance(0.7) ? JSON.stringify(dice.pick(types)) : values(dice)}`)
  const count = dice.below(4)
  for (let index = 0; index < count; index++) members.push(`"${dice.pick(fields)}":${values(dice)}`)
  if (dice.chance(0.5)) members.push(`${JSON.stringify(dice.pick(strangeKeys))}:${values(dice)}`)
  return `{${members.join(",")}}`
}

const strangeKeys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "colour",
  "",
  "maxRetries",
  "then",
  "\u0000"
]

const body = (dice: Dice): string =>
  dice.pick([
    () => task(dice),
    () => task(dice),
    () => `[${Array.from({ length: dice.below(6) }, () => task(dice)).join(",")}]`,
    () => values(dice),
    () => broken(dice, task(dice)),
    () => "",
    () =>
      dice.pick([
        "{",
        "[",
        `{"type"`,
        `{"type":"echo",}`,
        `{'type':'echo'}`,
        "undefined",
        "NaN",
        "\ufeff{}",
        "{}{}",
        "//",
        "<xml/>",
        "type=echo"
      ]),
    () => `{"type":"echo","payload":${"[".repeat(dice.below(3000))}}`
  ])()

/** A text with characters changed, doubled or left out. */
const broken = (dice: Dice, text: string): string => {
  let result = text
  for (let count = 1 + dice.below(3); count > 0; count--) {
    const at = dice.below(result.length + 1)
    result = result.slice(0, at) + dice.pick(["", "\u0000", "\"", "{", "]", ",", "\\", "é", "\u{1f600}", "0"]) +
      result.slice(at + dice.below(3))
  }
  return result
}

const segments = [
  "..",
  ".",
  "%2e%2e",
  "%2f",
  "%5c..",
  "%00",
  "%zz",
  "%",
  "%ff",
  "%c0%ae",
  "~",
  "..;",
  "%0d%0aset-cookie:a=b",
  "a".repeat(300),
  "€",
  "'",
  "<script>",
  "{id}",
  ":id",
  "*"
]

const places = [
  "/",
  "/api",
  "/api/v1",
  "/api/v1/tasks",
  "/api/v1/task",
  "/api/v1/queues",
  "/api/v1/results",
  "/api/tasks",
  "/jobs",
  "/status",
  "/submit",
  "/docs",
  "/metrics",
  "/health",
  "/etc",
  "/static"
]

const path = (dice: Dice): string => {
  let text = dice.pick(places)
  for (let count = 1 + dice.below(4); count > 0; count--) text += `/${dice.pick(segments)}`
  return ascii(text)
}

const ascii = (text: string): string => text.replace(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character))

const queries = [
  "limit",
  "cursor",
  "status",
  "type",
  "queue",
  "after",
  "wait",
  "only",
  "task",
  "__proto__",
  "colour",
  "limit[]"
]

const query = (dice: Dice): string => {
  const parts = Array.from(
    { length: 1 + dice.below(3) },
    () =>
      `${dice.pick(queries)}=${
        dice.pick([
          "-1",
          "0",
          "1001",
          "1e9",
          "abc",
          "%00",
          "%zz",
          "a,b,,c",
          "pending,unknown",
          "..",
          "%0d%0ax:y",
          "9".repeat(400),
          "",
          "infinity",
          "5%20parsecs"
        ])
      }`
  )
  return `?colour=${dice.below(100)}&${parts.join("&")}`
}

const contentTypes = [
  "application/json",
  "application/json; charset=utf-8",
  "application/json;charset=utf-7",
  "text/plain",
  "application/xml",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "multipart/form-data; boundary=x",
  "application/json, text/html",
  "*/*",
  "json",
  "",
  "application/octet-stream",
  "a".repeat(300)
]

const strangeHeaders = (dice: Dice): string =>
  dice.pick([
    "",
    "",
    "Content-Encoding: gzip\r\n",
    "Content-Encoding: br, deflate, nonsense\r\n",
    "Authorization: Bearer tf_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
    "Authorization: Basic ////\r\n",
    "X-API-Key: __proto__\r\n",
    "Cookie: a=b; __proto__=c\r\n",
    "Accept: nothing/nowhere;q=9\r\n",
    "X-HTTP-Method-Override: DELETE\r\n",
    "X-Forwarded-For: 999.999.999.999, ::::, ' OR 1=1\r\n",
    "Origin: null\r\n",
    "Last-Event-ID: -1\r\n",
    "Range: bytes=9-1,,\r\n",
    "If-None-Match: \"\r\n",
    "Constructor: x\r\n__proto__: y\r\n",
    "Traceparent: 00-zz-zz-zz\r\n",
    `X-Long: ${"y".repeat(2000)}\r\n`,
    "X-Many: 1\r\n".repeat(60)
  ])

const methods = [
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "PROPFIND",
  "MKCOL",
  "PURGE",
  "LINK",
  "SEARCH",
  "REPORT",
  "GET",
  "POST",
  "HEAD"
]

const request = (
  method: string,
  target: string,
  headers: string,
  content: string | undefined,
  chunked = false
): Malformed => {
  const head = `${method} ${target} HTTP/1.1\r\nHost: fuzz\r\n${headers}`
  if (content === undefined) return { method, text: `${head}\r\n` }
  const size = Buffer.byteLength(content)
  const text = chunked && size > 0
    ? `${head}Transfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${content}\r\n0\r\n\r\n`
    : `${head}Content-Length: ${size}\r\n\r\n${content}`
  return { method, text }
}

/** The next request. Each is wrong in some way, or may be right by accident. */
export const malformed = (dice: Dice): Malformed => {
  const type = `Content-Type: ${dice.chance(0.85) ? "application/json" : dice.pick(contentTypes)}\r\n`
  const headers = strangeHeaders(dice) + type
  return dice.pick<() => Malformed>([
    () => request("POST", "/api/v1/tasks", headers, body(dice), dice.chance(0.1)),
    () => request("POST", "/api/v1/tasks", headers, body(dice)),
    () => request("POST", "/api/v1/tasks", headers, body(dice)),
    () => request("POST", dice.pick(["/submit", "/api/tasks", "/api/v1/results"]), headers, body(dice)),
    () => request("POST", `/jobs${query(dice)}&priority=asap`, headers, body(dice)),
    () =>
      request(
        "GET",
        dice.pick(["/api/v1/tasks", "/api/tasks", "/api/v1/events", "/ws"]) + query(dice),
        strangeHeaders(dice),
        undefined
      ),
    () => request("GET", path(dice) + (dice.chance(0.3) ? query(dice) : ""), strangeHeaders(dice), undefined),
    () =>
      request(
        dice.pick(["GET", "DELETE"]),
        `/api/v1/tasks/${ascii(dice.pick(segments))}`,
        strangeHeaders(dice),
        undefined
      ),
    () =>
      request(
        "GET",
        `/api/v1/tasks/${ascii(dice.pick(segments))}/result${query(dice)}`,
        strangeHeaders(dice),
        undefined
      ),
    () =>
      request(
        "POST",
        `/api/v1/tasks/${ascii(dice.pick(segments))}/${dice.pick(["cancel", "rerun", "explode"])}`,
        headers,
        dice.chance(0.5) ? body(dice) : ""
      ),
    () => request(dice.pick(methods), dice.pick(places), headers, dice.chance(0.5) ? body(dice) : "")
  ])()
}

/** What is no request at all. Each gets a connection of its own, which the server may close. */
export const garbage = (dice: Dice): string =>
  dice.pick([
    () => Array.from({ length: 1 + dice.below(200) }, () => String.fromCharCode(dice.below(256))).join("") + "\r\n\r\n",
    () => "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    () => "GET /\r\n\r\n",
    () => "get / http/1.1\r\nhost: x\r\n\r\n",
    () => "GET / HTTP/1.1\r\n: nameless\r\nHost: x\r\n\r\n",
    () => "GET / HTTP/1.1\r\nHost: x\r\nX: a\u0000b\r\n\r\n",
    () => "GET / HTTP/1.1\r\nHost: x\r\n folded: yes\r\n\r\n",
    () => `GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(17_000)}\r\n\r\n`,
    () => `GET /${"y".repeat(8200 + dice.below(20_000))} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    () => "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    () => "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    () =>
      "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /",
    () =>
      "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    () => "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, identity\r\n\r\n",
    () => "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    () => "GET http://[::1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    () => "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: no\r\n\r\n",
    () => "GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    () => "GET /health HTTP/1.1\r\nHost: x\r\n\r\n\u0001\u0002\u0003 nonsense\r\n\r\n",
    () =>
      "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nExpect: 200-maybe\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
  ])()

/** The beginning of a request whose rest never comes. */
export const truncated = (dice: Dice): string => {
  const { text } = request(
    "POST",
    "/api/v1/tasks",
    "Content-Type: application/json\r\n",
    `{"type":"echo","payload":"${"x".repeat(100)}"}`,
    dice.chance(0.5)
  )
  return text.slice(0, 1 + dice.below(text.length - 1))
}
