/** A server of the program on a store in memory, with a short lease, for workers in processes of their own. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { until } from "../e2e/Server.ts"
import type { Program } from "./Program.ts"

/** A task as the tests look at it. */
export interface Stored {
  readonly status: string
  readonly result: unknown
  readonly error: { readonly tag: string; readonly message: string } | null
  readonly progress: number | null
  readonly failures: number
  readonly crashes: number
  readonly attempts: number
}

/** Starts it, and answers what tests do with it. */
export const start = Effect.fnUntraced(function*(program: Program) {
  const server = yield* program(["serve"], {
    environment: {
      STORE_URL: "memory:",
      SERVER_PORT: "0",
      LOG_FORMAT: "json",
      TASKFORGE_LEASE: "5s",
      TASKFORGE_POLL_INTERVAL: "100ms"
    }
  })
  const listening = () => /"url":"([^"]+)"/.exec(server.stdout())?.[1]
  yield* until("the server listens", Effect.sync(() => listening() !== undefined || server.child.exitCode !== null))
  const url = listening()!
  const ask = <A>(path: string, method = "GET", body?: unknown) =>
    Effect.promise(async () => {
      const answer = await fetch(`${url}${path}`, {
        method,
        ...body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
      })
      const text = await answer.text()
      assert.isBelow(answer.status, 300, text)
      return (text === "" ? undefined : JSON.parse(text)) as A
    })
  const task = (id: string) => ask<Stored>(`/api/v1/tasks/${id}`)
  const become = (id: string, status: string) =>
    until(`${id} is ${status}`, Effect.map(task(id), (one) => one.status === status))
  return {
    url,
    ask,
    task,
    become,
    enqueue: (type: string, payload: unknown, more: object = {}) =>
      Effect.map(ask<{ readonly id: string }>("/api/v1/tasks", "POST", { type, payload, ...more }), ({ id }) => id),
    define: (type: string, definition: object = {}) => ask(`/api/v1/definitions/${type}`, "PUT", definition),
    work: (type: string, flags: ReadonlyArray<string>, ...command: ReadonlyArray<string>) =>
      program(["work", type, ...flags, "--", ...command], { environment: { TASKFORGE_URL: url } }),
    /** As a shell runs it. */
    shell: (type: string, script: string, ...flags: ReadonlyArray<string>) =>
      program(["work", type, ...flags, "--", "sh", "-c", script], { environment: { TASKFORGE_URL: url } })
  }
})
