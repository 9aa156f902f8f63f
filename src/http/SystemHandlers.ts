/** The endpoints of the system. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "./api/Api.ts"
import { SystemStatus } from "./SystemStatus.ts"

/** Handles the endpoints of {@link Api}'s system. */
export const layer = HttpApiBuilder.group(
  Api,
  "system",
  Effect.fnUntraced(function*(handlers) {
    const status = yield* SystemStatus
    return handlers.handleAll({
      health: () => status.health,
      healthV1: () => status.health,
      stats: () => status.stats,
      workers: () => status.workers
    })
  })
)
