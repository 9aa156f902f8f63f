/** Requests as text over a socket: what a client written for an older design, or against all rules, sends. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServer as Listener } from "effect/http"
import { connect } from "node:net"

/** An answer, read to its end. */
export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Sends a text and answers everything that came back until the server closed the connection. */
export const exchange = (port: number, text: string | Uint8Array): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    let received = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(text))
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => {
      received += chunk
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(received)))
    return Effect.sync(() => socket.destroy())
  })

/** Sends parts that arrive one after another, and answers as {@link exchange} does. A client that leaves waits for nothing. */
export const exchangeInParts = Effect.fnUntraced(
  function*(port: number, parts: ReadonlyArray<Uint8Array>, leaves = false) {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => connect(port, "127.0.0.1").setNoDelay().setEncoding("latin1")),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let received = ""
    const closed = Effect.callback<void>((resume) => {
      if (socket.closed) resume(Effect.void)
      else socket.on("close", () => resume(Effect.void))
    })
    socket.on("data", (chunk: string) => received += chunk).on("error", () => {})
    for (const part of parts) {
      socket.write(part)
      yield* Effect.sleep("20 millis")
    }
    if (leaves) socket.destroy()
    else yield* closed
    return received
  },
  Effect.scoped
)

/** The port of the server around it. */
export const port: Effect.Effect<number, never, Listener.HttpServer> = Effect.map(
  Listener.HttpServer,
  ({ address }) => Number(new URL(Listener.formatAddress(address)).port)
)

/** Sends one request, a head and a body, as they would be written down. */
export const request = (head: string, body = "") => exchangeHead(`${head.trim()}\nHost: localhost`, body)

/** Sends one request whose head names its own host. */
export const exchangeHead = Effect.fnUntraced(function*(head: string, body = "") {
  const length = body === "" ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`
  const text = `${head.trim().replaceAll("\n", "\r\n")}\r\nConnection: close\r\n${length}\r\n${body}`
  return parse(yield* exchange(yield* port, text))
})

/** Reads one answer with a body of announced length or in chunks. */
export const parse = (text: string): RawAnswer => {
  const end = text.indexOf("\r\n\r\n")
  if (end === -1) return assert.fail(`Expected an answer, got ${JSON.stringify(text)}`)
  const [statusLine = "", ...lines] = text.slice(0, end).split("\r\n")
  const headers = Object.fromEntries(lines.map((line) => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  }))
  const rest = text.slice(end + 4)
  const body = headers["transfer-encoding"] === "chunked" ? dechunk(rest) : rest
  return { status: Number(statusLine.split(" ")[1]), headers, body: Buffer.from(body, "latin1").toString("utf8") }
}

const dechunk = (text: string): string => {
  let body = ""
  let rest = text
  while (rest !== "") {
    const line = rest.indexOf("\r\n")
    const size = Number.parseInt(rest.slice(0, line), 16)
    if (!(size > 0)) break
    body += rest.slice(line + 2, line + 2 + size)
    rest = rest.slice(line + 2 + size + 2)
  }
  return body
}
