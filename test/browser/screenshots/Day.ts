/** A day of the shop as its statistics tell of it, which would take a day to happen: the same each time. */
import type { ErrorsJson, StatisticsJson } from "../../../src/http/api/StatisticsApi.ts"

const stepMs = 600_000
const points = 144

/** From 0 at night to 1 at noon, a little uneven. */
const bustle = (index: number): number =>
  0.08 +
  0.92 * Math.sin((Math.PI * index) / points) ** 2 * (0.86 + 0.14 * Math.sin(index * 1.7) * Math.cos(index * 0.6))

const series = (of: (index: number) => number) => Array.from({ length: points }, (_, index) => of(index))
const whole = (of: (index: number) => number) => series((index) => Math.round(of(index)))

/** In the afternoon the carrier was down. */
const isDown = (index: number): boolean => index > 96 && index < 108

const enqueued = whole((index) => 4200 * bustle(index))
const failed = whole((index) => 14 * bustle(index) + (isDown(index) ? 160 : 0))

const quantiles = (p50: number, p95: number, p99: number) => ({
  p50: series((index) => p50 * (0.8 + 0.5 * bustle(index))),
  p95: series((index) => p95 * (0.7 + 0.8 * bustle(index)) * (isDown(index) ? 2.2 : 1)),
  p99: series((index) => p99 * (0.7 + 0.9 * bustle(index)) * (isDown(index) ? 2.8 : 1))
})

const busy = (share: number) => series((index) => Math.min(1, share * bustle(index) + (isDown(index) ? 0.1 : 0)))

const columns = (of: (index: number) => number) =>
  Array.from({ length: 48 }, (_, index) => Math.round(of(index * 3 + 1)))

const ofType = (
  type: string,
  queue: string,
  share: number,
  runMs: number,
  failures: number
): typeof StatisticsJson.Type["types"][number] => {
  const started = Math.round(enqueued.reduce((sum, count) => sum + count, 0) * share)
  return {
    queue,
    type,
    enqueued: started,
    started,
    completed: started - failures,
    failed: Math.round(failures / 5),
    retried: failures - Math.round(failures / 5),
    cancelled: 0,
    expired: 0,
    wait_ms: { p50: 12, p95: 190 * share + 40, p99: 520 },
    run_ms: { p50: runMs, p95: runMs * 2.1, p99: runMs * 3.4 },
    scheduled: Math.round(30 * share),
    pending: type === "track-parcel" ? 8 : 0,
    running: Math.round(9 * share),
    oldest_ms: type === "track-parcel" ? 95_000 : null,
    drain_ms: type === "track-parcel" ? 210_000 : null,
    started_by_column: columns((index) => 12_000 * share * bustle(index)),
    failed_by_column: columns((index) => (failures / 48) * (isDown(index) ? 4 : 0.6)),
    pending_by_column: columns((index) => 8 * bustle(index))
  }
}

/** What the charts draw, until now. */
export const statistics = (now: number): typeof StatisticsJson.Type => {
  const to = Math.ceil(now / stepMs) * stepMs
  return {
    from: new Date(to - points * stepMs).toISOString(),
    to: new Date(to).toISOString(),
    step_ms: stepMs,
    timestamp: new Date(now).toISOString(),
    counts: {
      enqueued,
      started: enqueued,
      completed: enqueued.map((count, index) => count - failed[index]!),
      failed,
      retried: failed,
      cancelled: whole(() => 0),
      expired: whole(() => 0),
      crashed: whole(() => 0)
    },
    depth: {
      scheduled: whole((index) => 20 + 40 * bustle(index)),
      pending: whole((index) => 12 * bustle(index) + (isDown(index) ? 90 : 0)),
      running: whole((index) => 14 * bustle(index))
    },
    oldest_ms: series((index) => isDown(index) ? 20_000 : 900 * bustle(index)),
    wait_ms: quantiles(14, 260, 900),
    run_ms: quantiles(310, 1400, 2600),
    points_per_column: 3,
    instances: [{ id: "web-1", busy: busy(0.7) }, { id: "worker-1", busy: busy(0.95) }],
    types: [
      ofType("email", "mail", 0.46, 330, 412),
      ofType("charge-card", "payments", 0.2, 420, 96),
      ofType("fulfil-order", "default", 0.2, 1500, 31),
      ofType("track-parcel", "sync", 0.08, 110, 1904),
      ofType("resize-image", "default", 0.05, 1050, 4),
      ofType("sync-stock", "sync", 0.01, 9200, 0)
    ]
  }
}

/** What failed in that day. */
export const errors = (now: number): typeof ErrorsJson.Type => {
  const { from, to } = statistics(now)
  const before = (minutes: number) => new Date(now - minutes * 60_000).toISOString()
  const group = (
    type: string,
    tag: string,
    message: string,
    retried: number,
    failed: number,
    last: number,
    first = 60 * 23
  ) => ({
    type,
    kind: "error" as const,
    tag,
    message,
    failed,
    retried,
    first_at: before(first),
    last_at: before(last),
    latest: "welcome-nobody",
    by_column: columns((index) => (retried / 48) * (tag === "CarrierDown" ? isDown(index) ? 8 : 0 : bustle(index)))
  })
  return {
    from,
    to,
    step_ms: stepMs * 3,
    timestamp: new Date(now).toISOString(),
    groups: [
      group("track-parcel", "CarrierDown", "api.carrier.example: connect ECONNREFUSED #.#.#.#:#", 1904, 0, 360, 480),
      group("email", "MailFailed", "mx#.example.com answered #: try again later", 330, 82, 3),
      group("charge-card", "CardDeclined", "The bank declined # cents for order-#", 48, 48, 11),
      {
        ...group("resize-image", "TypeError", "Cannot read properties of undefined (reading 'width')", 3, 1, 190),
        kind: "defect"
      }
    ],
    others: 0
  }
}
