import { Effect } from "effect"
import type { Drive } from "../Contender.ts"
import { percentile } from "../statistics.ts"
import { fill } from "./backlog.ts"

const warmUp = 20

/** With `options.depth` tasks waiting: the time of one claim of `options.limit` tasks; what it takes is topped up. */
export const drive: Drive = Effect.fnUntraced(function*(contender, parameters) {
  const depth = Number(parameters.options["depth"])
  const limit = Number(parameters.options["limit"])
  const rounds = warmUp + parameters.count
  const queue = yield* contender({
    ...parameters,
    capacity: depth + rounds * limit,
    onStarted: () => {},
    onCompleted: () => {}
  })
  const { claim } = queue
  if (claim === undefined) return yield* Effect.die("this contender has no claim")
  yield* fill(queue, 0, depth)

  const times: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now()
    const claimed = yield* claim(limit)
    const elapsed = performance.now() - startedAt
    if (claimed !== limit) return yield* Effect.die(`claimed ${claimed} tasks instead of ${limit}`)
    if (round >= warmUp) times.push(elapsed)
    yield* fill(queue, depth + round * limit, limit)
  }
  return { claimMs: percentile(times, 0.5), claimP99Ms: percentile(times, 0.99) }
})
