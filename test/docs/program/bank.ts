import { Effect } from "effect"

export const program = Effect.void
