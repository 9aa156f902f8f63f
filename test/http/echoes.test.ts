/** What a client sends too much of is not sent back to it, on any route, by whichever way it comes in. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { port } from "./RawHttp.ts"
import * as ShippedServer from "./ShippedServer.ts"
import { type Answer, get, read } from "./TestServer.ts"

interface Operation {
  readonly parameters?: ReadonlyArray<{ readonly name: string; readonly in: string }>
  readonly requestBody?: object
}

type Method = "GET" | "POST" | "DELETE"

/** Characters of an answer to input that is too large. */
const maxAnswer = 5000

/** Characters of the input in it. */
const maxEcho = 300

/** A text that is found in an answer however much of it is left, and whatever stands between its parts. */
const long = (length: number): string => "q".repeat(length)

const isShort = (what: string, { status, text }: Answer): void => {
  assert.isBelow(status, 500, what)
  const answer = `${what}: ${status} ${text.slice(0, 2000)}`
  // What is answered to a request that is fine, such as statistics, has a length of its own
  if (status >= 400) assert.isBelow(text.length, maxAnswer, answer)
  for (const [run] of text.matchAll(/q+/g)) assert.isAtMost(run.length, maxEcho, answer)
}

/** Sends a request; of a stream that was accepted, only the head is waited for. */
const send = Effect.fnUntraced(function*(
  method: Method,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {}
) {
  const to = `http://127.0.0.1:${yield* port}${path}`
  return yield* Effect.promise(async () => {
    const response = await fetch(to, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
    })
    const isStream = response.headers.get("content-type") === "text/event-stream"
    if (isStream) await response.body?.cancel()
    return read(response.status, Object.fromEntries(response.headers), isStream ? "" : await response.text())
  })
})

/** Every way in which a body can be too long, for a route that takes one. */
const bodies: ReadonlyArray<unknown> = [
  long(500_000),
  { [long(500_000)]: 1 },
  `{"type": ${long(500_000)}`,
  [long(500_000)],
  { type: long(500_000), id: "a", payload: "b" },
  { type: long(255), id: "a", payload: "b" },
  { type: "sleep", id: "a", payload: { duration: long(500_000) } },
  { type: "sleep", id: "a", payload: { [long(500_000)]: 1, duration: "1s" } },
  { type: "sleep", id: "a", payload: Object.fromEntries(Array.from({ length: 500 }, (_, n) => [long(n + 1), 1])) },
  { type: "email", payload: { to: [long(500_000)], subject: 1 } },
  { type: "echo", priority: long(500_000) },
  { type: "echo", id: long(500_000), payload: "b" },
  { type: "echo", key: long(500_000) },
  { type: "echo", queue: long(500_000) },
  { type: "echo", delay: long(500_000) },
  { type: "echo", run_at: long(500_000) },
  { ids: [long(500_000)] },
  { ids: ["a"], wait: long(500_000) },
  { ids: ["a"], [long(500_000)]: 1 }
]

describe("an answer to what is too long", () => {
  it.live(
    "is short, whichever route is asked and whichever part of the request is too long",
    () =>
      Effect.gen(function*() {
        const { paths } = (yield* get("/openapi.json")).json as {
          readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
        }
        let walked = 0
        for (const [path, operations] of Object.entries(paths)) {
          for (const [name, { parameters = [], requestBody }] of Object.entries(operations)) {
            const method = name.toUpperCase() as Method
            const ask = (what: string, target: string, body?: unknown, headers?: Readonly<Record<string, string>>) =>
              Effect.map(send(method, target, body, headers), (answer) => {
                walked++
                isShort(`${method} ${path} ${what}`, answer)
              })
            const short = path.replaceAll(/\{\w+\}/g, "nothing")
            const body = requestBody === undefined ? undefined : {}
            for (const { name, in: where } of parameters) {
              if (where === "path") {
                yield* ask(name, path.replace(`{${name}}`, long(7000)), body)
                yield* ask(
                  `${name} of two bytes`,
                  path.replace(`{${name}}`, `${"%C3%A4".repeat(500)}${long(4000)}`),
                  body
                )
              } else if (where === "query") {
                yield* ask(name, `${short}?${name}=${long(7000)}`, body)
                yield* ask(`many of ${name}`, `${short}?${Array(500).fill(`${name}=${long(8)}`).join("&")}`, body)
              }
            }
            yield* ask("an unknown parameter", `${short}?${long(3000)}=${long(3000)}`, body)
            yield* ask("headers", short, body, {
              "content-type": `application/${long(5000)}`,
              "last-event-id": long(2000),
              "x-request-id": long(2000)
            })
            yield* ask("a key", short, body, { authorization: `Bearer ${long(5000)}` })
            yield* ask("an origin", short, body, { origin: `http://${long(5000)}` })
            if (requestBody === undefined) continue
            for (const body of bodies) yield* ask(JSON.stringify(body).slice(0, 60), short, body)
          }
        }
        for (
          const target of [`/${long(7000)}`, `/api/v1/${long(7000)}`, `/api/tasks/${long(7000)}`, `/${long(8200)}`]
        ) {
          isShort(target.slice(0, 20), yield* get(target))
          isShort(target.slice(0, 20), yield* send("POST", target, {}))
        }
        assert.isAbove(walked, 200)
      }).pipe(Effect.provide(ShippedServer.waiting)),
    60_000
  )
})
