/** What waits for a key of a limit, on the wire. */
import { Schema } from "effect"
import type { LimitWaiting } from "../../queue/LimitWaiting.ts"
import { instant, Timestamp, timestamp } from "./TaskJson.ts"

/** What waits for a key of a limit. */
export const LimitWaitingJson = Schema.Struct({
  limit: Schema.String,
  key: Schema.String,
  count: Schema.Int.annotate({ description: "How many due tasks have the key, among those that were looked at" }),
  complete: Schema.Boolean.annotate({ description: "Whether these are all" }),
  looked: Schema.Int.annotate({ description: "How many due tasks were looked at, the newest first" }),
  first: Schema.Array(Schema.String).annotate({ description: "The ids of those that were made first; 10 at most" }),
  timestamp: Timestamp.annotate({ description: "The store's clock" })
}).annotate({ identifier: "LimitWaiting" })

/** To the wire. */
export const waitingJson = ({ isComplete, now, ...known }: LimitWaiting): typeof LimitWaitingJson.Type => ({
  ...known,
  complete: isComplete,
  timestamp: timestamp(now)
})

/** From the wire. */
export const waitingFromJson = ({ complete, timestamp, ...known }: typeof LimitWaitingJson.Type): LimitWaiting => ({
  ...known,
  isComplete: complete,
  now: instant(timestamp)
})
