/** A collector of OpenTelemetry: takes what is sent over OTLP, as JSON or as protobuf, by the published numbers of its fields. */
import { Effect, type Scope } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

/** A span as it came. */
export interface Received {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly links: ReadonlyArray<string>
  readonly service: string
}

/** What came so far. */
export interface Collector {
  readonly url: string
  readonly spans: ReadonlyArray<Received>
  /** Addresses and content types of requests. */
  readonly requests: ReadonlyArray<string>
}

export const start: Effect.Effect<Collector, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.callback<{ readonly server: ReturnType<typeof createServer>; readonly collector: Collector }>((resume) => {
      const spans: Array<Received> = []
      const requests: Array<string> = []
      const server = createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          const type = String(request.headers["content-type"])
          requests.push(`${request.url} ${type}`)
          const body = Buffer.concat(chunks)
          if (request.url === "/v1/traces") {
            spans.push(...type.includes("json") ? spansOfJson(JSON.parse(body.toString())) : spansOfProtobuf(body))
          }
          response.end()
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ server, collector: { url: `http://127.0.0.1:${port}`, spans, requests } }))
      })
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ),
  ({ collector }) => collector
)

const spansOfJson = (body: any): ReadonlyArray<Received> =>
  body.resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
    scopeSpans.flatMap(({ spans }: any) =>
      spans.map((span: any): Received => ({
        name: span.name,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? "",
        links: span.links.map((link: any) => link.spanId),
        service: resource.attributes.find(({ key }: any) => key === "service.name").value.stringValue
      }))
    )
  )

const spansOfProtobuf = (body: Uint8Array): ReadonlyArray<Received> =>
  messages(body, 1).flatMap((resourceSpans) =>
    messages(resourceSpans, 2).flatMap((scopeSpans) =>
      messages(scopeSpans, 2).map((span): Received => ({
        name: text(messages(span, 5)[0]!),
        traceId: hex(messages(span, 1)[0]!),
        spanId: hex(messages(span, 2)[0]!),
        parentSpanId: hex(messages(span, 4)[0] ?? new Uint8Array()),
        links: messages(span, 13).map((link) => hex(messages(link, 2)[0]!)),
        service: serviceOf(messages(resourceSpans, 1)[0]!)
      }))
    )
  )

const serviceOf = (resource: Uint8Array): string => {
  const attribute = messages(resource, 1).find((one) => text(messages(one, 1)[0]!) === "service.name")!
  return text(messages(messages(attribute, 2)[0]!, 1)[0]!)
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** The fields of a message that have a number and a length. */
const messages = (bytes: Uint8Array, wanted: number): ReadonlyArray<Uint8Array> => {
  const found: Array<Uint8Array> = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let factor = 1;; factor *= 128) {
      const byte = bytes[at++]!
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = varint()
    const kind = key & 7
    if (kind === 0) varint()
    else if (kind === 1) at += 8
    else if (kind === 5) at += 4
    else if (kind === 2) {
      const length = varint()
      if (key >> 3 === wanted) found.push(bytes.subarray(at, at + length))
      at += length
    } else throw new Error(`no protobuf: wire type ${kind}`)
  }
  return found
}
