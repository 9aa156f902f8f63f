import { atLeast, atMost, limit, type Measure, type QueueEntry, ratio, type ServerEntry } from "./Measure.ts"

const queue = (
  id: string,
  contender: string,
  entry: Pick<QueueEntry, "driver" | "count"> & Partial<Pick<QueueEntry, "concurrency" | "options">>
): QueueEntry => ({ _tag: "Queue", id, contender, concurrency: 1, options: {}, ...entry })

const server = (
  id: string,
  contender: string,
  entry: Pick<ServerEntry, "probe"> & Partial<Pick<ServerEntry, "bundle" | "options">>
): ServerEntry => ({ _tag: "Server", id, contender, ...entry })

const processing = (
  contender: string,
  count: number,
  options: Readonly<Record<string, unknown>> = {},
  name = contender
) =>
  [100, 10].map((concurrency) =>
    queue(`${name} c=${concurrency}`, contender, { driver: "processing", count, concurrency, options })
  )

const memory: Measure = {
  name: "memory",
  title: "processing a backlog, memory store",
  entries: [
    ...processing("taskforge-memory", 100_000),
    ...processing("effect-persisted-queue", 100_000),
    ...processing("p-queue", 100_000),
    ...processing("better-queue", 100_000),
    // At its speed fewer tasks end before the compiler has warmed up.
    ...processing("fastq", 1_000_000)
  ],
  checks: [
    ratio("perSecond", "taskforge-memory c=100", "effect-persisted-queue c=100", atLeast(4)),
    ratio("perSecond", "taskforge-memory c=100", "p-queue c=100", atLeast(0.35)),
    ratio("perSecond", "taskforge-memory c=100", "better-queue c=100"),
    ratio("perSecond", "taskforge-memory c=100", "fastq c=100"),
    ratio("perSecond", "taskforge-memory c=10", "effect-persisted-queue c=10"),
    ratio("perSecond", "taskforge-memory c=10", "p-queue c=10"),
    ratio("perSecond", "taskforge-memory c=10", "better-queue c=10"),
    ratio("perSecond", "taskforge-memory c=10", "fastq c=10")
  ]
}

const full = { synchronous: "FULL" }

const sqlite: Measure = {
  name: "sqlite",
  title: "processing a backlog, SQLite",
  entries: [
    ...processing("taskforge-sqlite", 20_000),
    ...processing("plainjob", 20_000),
    ...processing("plainjob", 5000, full, "plainjob FULL")
  ],
  checks: [
    ratio("perSecond", "taskforge-sqlite c=100", "plainjob c=100", atLeast(3)),
    ratio("perSecond", "taskforge-sqlite c=100", "plainjob FULL c=100"),
    ratio("perSecond", "taskforge-sqlite c=10", "plainjob c=10"),
    ratio("perSecond", "taskforge-sqlite c=10", "plainjob FULL c=10")
  ]
}

const enqueue: Measure = {
  name: "enqueue",
  title: "50 concurrent enqueuers, SQLite",
  entries: [
    queue("taskforge-sqlite", "taskforge-sqlite", { driver: "enqueue", count: 200_000, concurrency: 50 }),
    queue("plainjob", "plainjob", { driver: "enqueue", count: 200_000, concurrency: 50 }),
    queue("plainjob FULL", "plainjob", { driver: "enqueue", count: 10_000, concurrency: 50, options: full })
  ],
  checks: [
    ratio("perSecond", "taskforge-sqlite", "plainjob", atLeast(1.5)),
    ratio("perSecond", "taskforge-sqlite", "plainjob FULL")
  ]
}

const bulk: Measure = {
  name: "bulk",
  title: "bulk enqueue of 1,000, SQLite",
  entries: [
    queue("taskforge-sqlite", "taskforge-sqlite", { driver: "bulk", count: 100_000, options: { batch: 1000 } }),
    queue("plainjob", "plainjob", { driver: "bulk", count: 100_000, options: { batch: 1000 } }),
    queue("plainjob FULL", "plainjob", { driver: "bulk", count: 100_000, options: { batch: 1000, ...full } })
  ],
  checks: [
    ratio("perSecond", "taskforge-sqlite", "plainjob", atLeast(0.5)),
    ratio("perSecond", "taskforge-sqlite", "plainjob FULL")
  ]
}

const redis: Measure = {
  name: "redis",
  title: "processing a backlog, Redis",
  entries: [
    ...processing("taskforge-redis", 30_000),
    ...processing("bullmq", 20_000),
    ...processing("bee-queue", 20_000)
  ],
  checks: [
    ratio("perSecond", "taskforge-redis c=100", "bullmq c=100", atLeast(2)),
    ratio("perSecond", "taskforge-redis c=100", "bee-queue c=100", atLeast(1.5)),
    ratio("perSecond", "taskforge-redis c=10", "bullmq c=10"),
    ratio("perSecond", "taskforge-redis c=10", "bee-queue c=10")
  ]
}

const onRedis = ["taskforge-redis", "bullmq", "bee-queue"]

const redisEnqueue: Measure = {
  name: "redis-enqueue",
  title: "50 concurrent enqueuers, Redis",
  entries: onRedis.map((name) => queue(name, name, { driver: "enqueue", count: 200_000, concurrency: 50 })),
  checks: [
    ratio("perSecond", "taskforge-redis", "bullmq", atLeast(2)),
    ratio("perSecond", "taskforge-redis", "bee-queue", atLeast(0.8))
  ]
}

const redisBulk: Measure = {
  name: "redis-bulk",
  title: "bulk enqueue of 1,000, Redis",
  entries: onRedis.map((name) => queue(name, name, { driver: "bulk", count: 100_000, options: { batch: 1000 } })),
  checks: [
    ratio("perSecond", "taskforge-redis", "bullmq", atLeast(3)),
    ratio("perSecond", "taskforge-redis", "bee-queue", atLeast(1))
  ]
}

const pickupOf = (contender: string) => queue(contender, contender, { driver: "pickup", count: 300, concurrency: 10 })

const pickup: Measure = {
  name: "pickup",
  title: "idle pickup latency",
  entries: [
    ...["taskforge-memory", "effect-persisted-queue", "p-queue", "fastq", "better-queue", "taskforge-sqlite"].map(
      pickupOf
    ),
    queue("plainjob polling 10 ms", "plainjob", { driver: "pickup", count: 300, options: { pollMs: 10 } }),
    queue("plainjob polling 1 s", "plainjob", { driver: "pickup", count: 10, options: { gapMs: 1000 } })
  ],
  checks: ["taskforge-memory", "taskforge-sqlite"].flatMap((ours) => [
    limit("p50Ms", ours, atMost(1)),
    limit("p99Ms", ours, atMost(5))
  ])
}

const redisPickup: Measure = {
  name: "redis-pickup",
  title: "idle pickup latency, Redis",
  entries: onRedis.map(pickupOf),
  checks: [
    ratio("p50Ms", "taskforge-redis", "bullmq", atMost(1)),
    ratio("p99Ms", "taskforge-redis", "bullmq", atMost(1)),
    ratio("p50Ms", "taskforge-redis", "bee-queue"),
    ratio("p99Ms", "taskforge-redis", "bee-queue")
  ]
}

const depths = (contender: string) =>
  [1000, 1_000_000].map((depth) =>
    queue(`${contender} ${depth.toLocaleString("en")} waiting`, contender, {
      driver: "claim",
      count: 100,
      options: { depth, limit: 100 }
    })
  )

const claimDepth: Measure = {
  name: "claim-depth",
  title: "claim of 100 tasks by depth of the queue",
  entries: ["taskforge-memory", "taskforge-sqlite", "taskforge-redis", "plainjob"].flatMap(depths),
  checks: [
    ...["taskforge-memory", "taskforge-sqlite", "taskforge-redis"].map((ours) =>
      ratio("claimMs", `${ours} 1,000,000 waiting`, `${ours} 1,000 waiting`, atMost(1.3))
    ),
    ratio("claimMs", "plainjob 1,000,000 waiting", "plainjob 1,000 waiting")
  ]
}

const batched = { batched: true }

const postgres: Measure = {
  name: "postgres",
  title: "processing a backlog, PostgreSQL",
  entries: [
    ...processing("taskforge-postgres", 50_000),
    ...processing("graphile-worker", 50_000, batched, "graphile-worker batched"),
    ...processing("graphile-worker", 5000),
    ...processing("pg-boss", 50_000)
  ],
  checks: [
    ratio("perSecond", "taskforge-postgres c=100", "graphile-worker batched c=100", atLeast(0.6)),
    ratio("perSecond", "taskforge-postgres c=100", "graphile-worker c=100", atLeast(10)),
    ratio("perSecond", "taskforge-postgres c=100", "pg-boss c=100", atLeast(2)),
    ratio("perSecond", "taskforge-postgres c=10", "graphile-worker batched c=10")
  ]
}

const postgresEnqueue: Measure = {
  name: "postgres-enqueue",
  title: "50 concurrent enqueuers, PostgreSQL",
  entries: [
    queue("taskforge-postgres", "taskforge-postgres", { driver: "enqueue", count: 50_000, concurrency: 50 }),
    queue("graphile-worker", "graphile-worker", { driver: "enqueue", count: 5000, concurrency: 50 }),
    queue("pg-boss", "pg-boss", { driver: "enqueue", count: 5000, concurrency: 50 })
  ],
  checks: [
    ratio("perSecond", "taskforge-postgres", "graphile-worker", atLeast(10)),
    ratio("perSecond", "taskforge-postgres", "pg-boss")
  ]
}

const postgresBulk: Measure = {
  name: "postgres-bulk",
  title: "bulk enqueue of 1,000, PostgreSQL",
  entries: ["taskforge-postgres", "graphile-worker", "pg-boss"].map((contender) =>
    queue(contender, contender, { driver: "bulk", count: 100_000, options: { batch: 1000 } })
  ),
  checks: [
    ratio("perSecond", "taskforge-postgres", "graphile-worker", atLeast(1)),
    ratio("perSecond", "taskforge-postgres", "pg-boss")
  ]
}

const postgresPickup: Measure = {
  name: "postgres-pickup",
  title: "idle pickup latency, PostgreSQL",
  entries: [
    pickupOf("taskforge-postgres"),
    pickupOf("graphile-worker"),
    queue("pg-boss", "pg-boss", { driver: "pickup", count: 300, options: { listen: true } })
  ],
  checks: (["p50Ms", "p99Ms"] as const).flatMap((metric) => [
    ratio(metric, "taskforge-postgres", "graphile-worker", atMost(1)),
    ratio(metric, "taskforge-postgres", "pg-boss")
  ])
}

const postgresClaimDepth: Measure = {
  name: "postgres-claim-depth",
  title: "claim of 100 tasks by depth of the queue, PostgreSQL",
  entries: depths("taskforge-postgres"),
  checks: [
    ratio("claimMs", "taskforge-postgres 1,000,000 waiting", "taskforge-postgres 1,000 waiting", atMost(1.3))
  ]
}

const servers = (probe: ServerEntry["probe"]): ReadonlyArray<ServerEntry> => [
  server("taskforge-http", "taskforge-http", { probe }),
  server("httpapi-empty", "httpapi-empty", { probe }),
  server("httpapi-empty cjs bundle", "httpapi-empty", { probe, bundle: "cjs" }),
  server("httprouter-bare", "httprouter-bare", { probe, bundle: "cjs" }),
  // A bundle, because stripping types at run time costs 17 MB of its own.
  server("http-bare", "http-bare", { probe, bundle: "esm" })
]

const http: Measure = {
  name: "http",
  title: "POST /api/v1/tasks, 50 connections",
  entries: [
    ...servers("load"),
    server("httpapi-empty with request log", "httpapi-empty", { probe: "load", options: { requestLog: true } })
  ],
  checks: [
    // Like for like: `npm start` runs a CommonJS bundle without a request log.
    ratio("perSecond", "taskforge-http", "httpapi-empty cjs bundle", atLeast(0.6)),
    ratio("perSecond", "taskforge-http", "httpapi-empty"),
    ratio("perSecond", "taskforge-http", "httpapi-empty with request log"),
    ratio("perSecond", "taskforge-http", "httprouter-bare"),
    ratio("perSecond", "httpapi-empty cjs bundle", "httprouter-bare"),
    ratio("perSecond", "taskforge-http", "http-bare")
  ]
}

const idleMemory: Measure = {
  name: "idle-memory",
  title: "resident memory of the idle server",
  entries: servers("idleMemory"),
  checks: [
    limit("residentMB", "taskforge-http", atMost(80)),
    ratio("residentMB", "taskforge-http", "httpapi-empty cjs bundle"),
    ratio("residentMB", "taskforge-http", "http-bare")
  ]
}

export const measures: ReadonlyArray<Measure> = [
  memory,
  sqlite,
  enqueue,
  bulk,
  redis,
  redisEnqueue,
  redisBulk,
  pickup,
  redisPickup,
  claimDepth,
  postgres,
  postgresEnqueue,
  postgresBulk,
  postgresPickup,
  postgresClaimDepth,
  http,
  idleMemory
]
