/** Says, once a process is told to stop, what it waits for. */
import { type Duration, Effect } from "effect"
import * as DurationText from "../domain/DurationText.ts"
import * as Engine from "../engine/Engine.ts"
import { WorkerPool } from "../worker/WorkerPool.ts"

/** Logs when its scope closes, which must be before the pool's. */
export const make = Effect.fnUntraced(function*(shutdown: Duration.Duration) {
  const pool = yield* WorkerPool
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(pool.active, (active) => {
      const grace = DurationText.format(Engine.shutdownPlan(shutdown).grace)
      return Effect.annotateLogs(
        Effect.logInfo(
          active === 0
            ? "shutting down"
            : `shutting down: running tasks have ${grace} to end; another signal, a second from now or later, ends them at once`
        ),
        { active }
      )
    })
  )
})
