/** A producer as a browser or an edge function has it: it defines a task, and enqueues it on a server. */
import { Effect, Schema } from "effect"
import { Task } from "taskforge"
import { HttpTaskQueue } from "taskforge/http"

const Email = Task.make("email", { payload: { to: Schema.String, text: Schema.String } })

/** Stores an email on the server, and gives the id of its task. */
export const enqueue = (url: string, email: typeof Email.payload.Type): Promise<string> =>
  Email.enqueue(email).pipe(
    Effect.map(({ id }) => id),
    Effect.provide(HttpTaskQueue.layer({ url })),
    Effect.runPromise
  )
