/** The endpoints of the system. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "./api/Api.ts"
import type { HealthJson } from "./api/SystemJson.ts"
import { SystemStatus } from "./SystemStatus.ts"
import { CurrentVisitor } from "./Visitor.ts"

/** Handles the endpoints of {@link Api}'s system. */
export const layer = HttpApiBuilder.group(
  Api,
  "system",
  Effect.fnUntraced(function*(handlers) {
    const status = yield* SystemStatus
    const health = Effect.flatMap(CurrentVisitor, (visitor) =>
      Effect.map(
        status.health,
        (found) => visitor._tag === "Stranger" ? verdictOf(found) : found
      ))
    return handlers.handleAll({
      health: () => health,
      healthV1: () => health,
      stats: () => status.stats,
      workers: () => status.workers
    })
  })
)

/** Up or down, and no more. */
const verdictOf = ({ status, timestamp }: HealthJson) =>
  status === "healthy" ? { status, timestamp } : { status, timestamp }
