/** What another module has made: nothing here names the package. */
import { Effect } from "effect"
import * as Tasks from "./tasks.ts"

export const Email = [Tasks.Email] as const
export const EmailLive = [Tasks.EmailLive] as const
export const EngineLive = [Tasks.EngineLive] as const
export const enqueue = (to: string) => Tasks.Email.enqueue({ to })
export const awaited = Effect.flatMap(enqueue("ada@example.org"), ({ result }) => result)
export const program = Effect.map(Tasks.program, (made) => ({ ...made }))
