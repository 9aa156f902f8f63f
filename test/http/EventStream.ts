/** A reader of server-sent events over a real connection. */
import { Effect, type Scope } from "effect"
import { HttpServer as Listener } from "effect/http"
import { type ClientRequest, get, type IncomingMessage } from "node:http"

/** One event as it came. */
export interface Received {
  readonly id: string | undefined
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

/** A stream that is being read. */
export interface EventStream {
  readonly status: number
  /** What has come so far. */
  readonly received: ReadonlyArray<Received>
  /** Waits until so many events have come. */
  readonly until: (count: number) => Effect.Effect<ReadonlyArray<Received>>
  /** Waits until the server ends the stream. */
  readonly ended: Effect.Effect<void>
  /** Stops reading without closing. */
  readonly pause: () => void
  readonly resume: () => void
  readonly close: () => void
}

/** Opens a stream; it is closed with the scope. */
export const open = (
  path: string,
  headers: Readonly<Record<string, string>> = {},
  server?: string
): Effect.Effect<EventStream, never, Listener.HttpServer | Scope.Scope> =>
  Effect.gen(function*() {
    const { address } = yield* Listener.HttpServer
    const url = `${server ?? Listener.formatAddress(address)}${path}`
    const { request, response } = yield* Effect.acquireRelease(connect(url, headers), ({ request }) =>
      Effect.sync(() => request.destroy()))
    const received: Array<Received> = []
    let text = ""
    let isOver = false
    response.setEncoding("utf8")
    response.on("data", (chunk: string) => {
      text += chunk
      const messages = text.split("\n\n")
      text = messages.pop() ?? ""
      for (const message of messages) {
        const event = parse(message)
        if (event !== undefined) {
          received.push(event)
        }
      }
    })
    response.on("close", () => {
      isOver = true
    })
    response.on("error", () => {})
    /** Looks whenever something comes, whatever clock the test has. */
    const waitFor = (what: () => boolean, missed: string) =>
      Effect.callback<void>((resume) => {
        const end = (outcome: Effect.Effect<void>) => {
          clearTimeout(timer)
          response.off("data", look).off("close", look)
          resume(outcome)
        }
        const look = () => {
          if (what()) {
            end(Effect.void)
          }
        }
        const timer = setTimeout(() =>
          end(Effect.die(new Error(`${missed}: ${JSON.stringify(received)}`))), 120_000)
        response.on("data", look).on("close", look)
        look()
        return Effect.sync(() => end(Effect.void))
      })
    return {
      status: response.statusCode ?? 0,
      received,
      until: (count) => Effect.as(waitFor(() => received.length >= count, `${count} events did not come`), received),
      ended: waitFor(() => isOver, "the stream did not end"),
      pause: () => response.pause(),
      resume: () => response.resume(),
      close: () => request.destroy()
    }
  })

const connect = (url: string, headers: Readonly<Record<string, string>>) =>
  Effect.callback<{ readonly request: ClientRequest; readonly response: IncomingMessage }>((resume) => {
    const request = get(url, { headers, agent: false }, (response) => resume(Effect.succeed({ request, response })))
    request.on("error", () => {})
  })

const parse = (message: string): Received | undefined => {
  let id: string | undefined
  let event = "message"
  let data = ""
  for (const line of message.split("\n")) {
    if (line.startsWith("id: ")) id = line.slice(4)
    if (line.startsWith("event: ")) event = line.slice(7)
    if (line.startsWith("data: ")) data += line.slice(6)
  }
  return data === "" ? undefined : { id, event, data: JSON.parse(data) }
}

/** What happened to which task. */
export const story = (received: ReadonlyArray<Received>): ReadonlyArray<string> =>
  received.map(({ data, event }) => `${event} ${String(data["id"])}`)
