/** A server that takes what is imported, and the command that imports it. */
import { Effect, Schema } from "effect"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"
import { jsonOf, onServer, succeeding } from "../cli/CommandLine.ts"
import { definitions, get, layer } from "../http/TestServer.ts"

/** Takes any JSON. */
export const Mail = Task.make("mail", { payload: Schema.Json })

/** A server that takes tasks and runs none. */
export const idle = layer({ definitions: [...definitions, Mail], store: MemoryStore.layer({ capacity: 10_000 }) })

/** A task as the tests look at it. */
export interface Stored {
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly payload: unknown
  readonly priority: number
  readonly status: string
  readonly due_at: string
  readonly max_retries: number | null
}

/** Runs `taskforge import … --json`. */
export const importing = (...args: ReadonlyArray<string>) =>
  Effect.map(succeeding(onServer(["import", ...args, "--json"])), (done) => jsonOf(done)[0])

/** What the server has, in the order in which it was made. */
export const tasks = Effect.map(
  get("/api/v1/tasks?limit=500"),
  ({ json }) => (json as { readonly tasks: ReadonlyArray<Stored> }).tasks.toReversed()
)
