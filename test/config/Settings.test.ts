import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import { IpNetwork } from "effect/net"
import type { InvalidSettings } from "../../src/config/InvalidSettings.ts"
import { fallbackOf, type Setting } from "../../src/config/Setting.ts"
import * as Settings from "../../src/config/Settings.ts"
import { table } from "../../src/config/SettingsTable.ts"
import * as StoreUrl from "../../src/config/StoreUrl.ts"
import { defaultHeadStart } from "../../src/domain/Rank.ts"
import { defaultMaxCrashes } from "../../src/domain/Settlement.ts"
import * as Engine from "../../src/engine/Engine.ts"
import * as Pruner from "../../src/maintenance/Pruner.ts"
import { defaultMaxRetries } from "../../src/queue/LocalTaskQueue.ts"
import * as WorkerPool from "../../src/worker/WorkerPool.ts"

type Environment = Record<string, string>

const load = (env: Environment) =>
  Effect.provideService(Settings.load, ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

/** What is wrong with an environment. */
const problems = (env: Environment): Effect.Effect<ReadonlyArray<string>> =>
  Effect.flip(load(env)).pipe(
    Effect.map((error) => (error as InvalidSettings).problems),
    Effect.mapError((settings) => new Error(`Accepted: ${JSON.stringify(settings)}`)),
    Effect.orDie
  )

describe("without any variable", () => {
  it.effect("the settings are the documented defaults, which are the engine's own", () =>
    Effect.gen(function*() {
      const settings = yield* load({})
      assert.strictEqual(settings.host, undefined)
      assert.strictEqual(settings.port, 8080)
      assert.deepStrictEqual(settings.store, { _tag: "Sqlite", path: "data/taskforge.db" })
      assert.strictEqual(settings.sqliteSync, "full")
      assert.strictEqual(settings.queueSize, undefined)
      assert.strictEqual(settings.queueMaxSize, undefined)
      assert.strictEqual(settings.logLevel, "Info")
      assert.strictEqual(settings.logFormat, "auto")
      assert.strictEqual(settings.workers, WorkerPool.defaults.concurrency)
      assert.deepStrictEqual(settings.jobTimeout, WorkerPool.defaults.timeout)
      assert.deepStrictEqual(settings.lease, WorkerPool.defaults.lease)
      assert.deepStrictEqual(settings.pollInterval, WorkerPool.defaults.pollInterval)
      assert.strictEqual(settings.retryAttempts, defaultMaxRetries)
      assert.deepStrictEqual(settings.shutdown, Engine.defaultShutdown)
      assert.deepStrictEqual(settings.headStart, defaultHeadStart)
      assert.strictEqual(settings.maxCrashes, defaultMaxCrashes)
      assert.deepStrictEqual(settings.keepFinished, Pruner.defaults.keepFinished)
      assert.deepStrictEqual(settings.keepFailed, Pruner.defaults.keepFailed)
      assert.strictEqual(settings.maxFinished, Pruner.defaults.maxFinished)
      assert.strictEqual(settings.maxKeyedFinished, Pruner.defaults.maxKeyedFinished)
    }))

  it("every default of the table can be read", () => {
    const settings: ReadonlyArray<Setting<unknown>> = Object.values(table)
    for (const setting of settings) if (setting.fallback !== undefined) assert.isDefined(fallbackOf(setting))
  })

  it("every setting says what is expected of it", () => {
    assert.deepStrictEqual(Object.values(table).filter(({ expected }) => expected === ""), [])
  })

  it.effect("empty and blank ones count as not set", () =>
    Effect.gen(function*() {
      const names = Object.values(table).flatMap((setting) => setting.names)
      const blank = Object.fromEntries(names.map((name, index) => [name, index % 2 === 0 ? "" : "  "]))
      assert.deepStrictEqual(yield* load(blank), yield* load({}))
    }))
})

describe("each variable", () => {
  const good: ReadonlyArray<[name: string, text: string, setting: keyof Settings.Settings, value: unknown]> = [
    ["SERVER_PORT", "9000", "port", 9000],
    ["PORT", "0", "port", 0],
    ["SERVER_HOST", "localhost", "host", "localhost"],
    ["SERVER_HOST", "::1", "host", "::1"],
    ["SERVER_HOST", "127.0.0.2", "host", "127.0.0.2"],
    ["TASKFORGE_INSECURE", "yes", "insecure", true],
    ["TASKFORGE_ADMIN_KEY", "k".repeat(32), "adminKey", Redacted.make("k".repeat(32))],
    ["TASKFORGE_REQUIRE_KEYS", "1", "requireKeys", true],
    ["TASKFORGE_ALLOWED_HOSTS", "tasks.example.com, tasks", "allowedHosts", ["tasks.example.com", "tasks"]],
    ["TASKFORGE_RATE_PER_ADDRESS", "100/1s", "ratePerAddress", { limit: 100, window: Duration.seconds(1) }],
    ["TASKFORGE_RATE_PER_KEY", "6000/m", "ratePerKey", { limit: 6000, window: Duration.minutes(1) }],
    ["TASKFORGE_ALLOWED_ORIGINS", "https://a.example, http://localhost:3000", "allowedOrigins", [
      "https://a.example",
      "http://localhost:3000"
    ]],
    ["TASKFORGE_TRUSTED_PROXIES", "10.0.0.0/8,::1, 192.0.2.7", "trustedProxies", [
      IpNetwork.fromStringUnsafe("10.0.0.0/8"),
      IpNetwork.fromStringUnsafe("::1/128"),
      IpNetwork.fromStringUnsafe("192.0.2.7/32")
    ]],
    ["TASKFORGE_MAX_CONNECTIONS", "5", "maxConnections", 5],
    ["TASKFORGE_DASHBOARD", "0", "dashboard", false],
    ["TASKFORGE_STATISTICS", "0", "statistics", false],
    [
      "TASKFORGE_TRACE_URL",
      "https://traces.example.org/{trace_id}?a",
      "traceUrl",
      "https://traces.example.org/{trace_id}?a"
    ],
    ["TASKFORGE_REQUEST_LOG", "off", "requestLog", false],
    ["WORKER_NUM_WORKERS", "100", "workers", 100],
    ["WORKER_COUNT", "1", "workers", 1],
    ["WORKER_JOB_TIMEOUT", "1h30m", "jobTimeout", Duration.minutes(90)],
    ["WORKER_JOB_TIMEOUT", "5 minutes", "jobTimeout", Duration.minutes(5)],
    ["WORKER_MIN_CONCURRENCY", "4", "minConcurrency", 4],
    ["WORKER_JOB_TIMEOUT", "250ms", "jobTimeout", Duration.millis(250)],
    ["WORKER_JOB_TIMEOUT", "Infinity", "jobTimeout", Duration.infinity],
    ["WORKER_RETRY_ATTEMPTS", "-1", "retryAttempts", -1],
    ["QUEUE_SIZE", "5", "queueSize", 5],
    ["TASKFORGE_QUEUE_MAX_SIZE", "64", "queueMaxSize", 64],
    ["TASKFORGE_QUEUES", "mail, reports", "queues", ["mail", "reports"]],
    ["TASKFORGE_QUEUE_SHARES", "mail reserved=2  weight=3,* max=4", "shares", {
      mail: { reserved: 2, weight: 3 },
      "*": { max: 4 }
    }],
    ["TASKFORGE_QUEUE_LIMITS", "mail max=5 rate=100/1m", "limitsOfQueues", {
      mail: { max: 5, rate: { limit: 100, window: Duration.minutes(1) } }
    }],
    ["STORE_URL", "memory:", "store", { _tag: "Memory" }],
    ["STORE_URL", "sqlite:tasks.db", "store", { _tag: "Sqlite", path: "tasks.db" }],
    ["STORE_URL", "sqlite:/var/tasks.db", "store", { _tag: "Sqlite", path: "/var/tasks.db" }],
    ["STORE_URL", "sqlite:///var/tasks.db", "store", { _tag: "Sqlite", path: "/var/tasks.db" }],
    ["STORE_URL", "postgres://u:p@h:5433/db", "store", { _tag: "PostgreSQL", url: "postgres://u:p@h:5433/db" }],
    ["STORE_URL", "rediss://h:6380/2", "store", { _tag: "Redis", url: "rediss://h:6380/2" }],
    ["DATABASE_URL", "postgres://h/db", "store", { _tag: "PostgreSQL", url: "postgres://h/db" }],
    ["REDIS_URL", "redis://h", "store", { _tag: "Redis", url: "redis://h" }],
    ["TASKFORGE_THREADS", "2", "threads", 2],
    ["TASKFORGE_THREAD_MEMORY", "64", "threadMemory", 64],
    ["TASKFORGE_NAMESPACE", "shop_2-jobs", "namespace", "shop_2-jobs"],
    ["TASKFORGE_POSTGRES_CONNECTIONS", "3", "postgresConnections", 3],
    ["TASKFORGE_POSTGRES_PREPARE", "off", "postgresPrepare", "off"],
    ["LOG_LEVEL", "WARN", "logLevel", "Warn"],
    ["LOG_LEVEL", "none", "logLevel", "None"],
    ["LOG_LEVELS", "Claimer=DEBUG, handlers:Email=trace,http=none", "logLevels", {
      claimer: "debug",
      "handlers:Email": "trace",
      http: "none"
    }],
    ["LOG_FORMAT", "Pretty", "logFormat", "pretty"],
    ["TASKFORGE_LEASE", "2s", "lease", Duration.seconds(2)],
    ["TASKFORGE_POLL_INTERVAL", "50ms", "pollInterval", Duration.millis(50)],
    ["TASKFORGE_SHUTDOWN", "1m", "shutdown", Duration.minutes(1)],
    ["TASKFORGE_HEAD_START", "infinity", "headStart", Duration.infinity],
    ["TASKFORGE_HEAD_START", "0s", "headStart", Duration.zero],
    ["TASKFORGE_MAX_CRASHES", "-1", "maxCrashes", -1],
    ["TASKFORGE_KEEP_FINISHED", "1w", "keepFinished", Duration.weeks(1)],
    ["TASKFORGE_KEEP_FAILED", "infinity", "keepFailed", Duration.infinity],
    ["TASKFORGE_KEEP_LOGS", "0s", "keepLogs", Duration.zero],
    ["TASKFORGE_MAX_FINISHED", "0", "maxFinished", 0],
    ["TASKFORGE_MAX_FAILED", "7", "maxFailed", 7],
    ["TASKFORGE_MAX_CANCELLED", "8", "maxCancelled", 8],
    ["TASKFORGE_MAX_EXPIRED", "9", "maxExpired", 9],
    ["TASKFORGE_KEEP_CANCELLED", "2h", "keepCancelled", Duration.hours(2)],
    ["TASKFORGE_KEEP_EXPIRED", "3h", "keepExpired", Duration.hours(3)],
    ["TASKFORGE_MAX_KEYED_FINISHED", "5", "maxKeyedFinished", 5],
    ["TASKFORGE_SQLITE_SYNC", "normal", "sqliteSync", "normal"],
    ["TASKFORGE_THREADS", "3", "threads", 3],
    ["TASKFORGE_THREAD_MEMORY", "64", "threadMemory", 64],
    ["TASKFORGE_FOLDERS", "in, /srv/out", "folders", ["in", "/srv/out"]],
    ["TASKFORGE_OUTBOUND_ALLOW", "10.0.0.0/8,*.internal", "outboundAllow", ["10.0.0.0/8", "*.internal"]],
    ["TASKFORGE_OUTBOUND_TIMEOUT", "5s", "outboundTimeout", Duration.seconds(5)],
    ["TASKFORGE_OUTBOUND_MAX_SIZE", "1", "outboundMaxSize", 1],
    ["TASKFORGE_OUTBOUND_REDIRECTS", "0", "outboundRedirects", 0],
    ["TASKFORGE_WEBHOOK_SECRET", "whsec_c2VjcmV0", "webhookSecret", Redacted.make("whsec_c2VjcmV0")],
    ["TASKFORGE_SMTP_URL", "smtp://a:b@mail:25", "smtpUrl", Redacted.make("smtp://a:b@mail:25")],
    ["TASKFORGE_SMTP_TLS", "required", "smtpTls", "required"],
    ["TASKFORGE_MAIL_FROM", "Shop <shop@example.org>", "mailFrom", "Shop <shop@example.org>"],
    ["TASKFORGE_OUTBOX", "mail", "outbox", "mail"],
    ["TASKFORGE_IMAGE_MAX_PIXELS", "1000", "imageMaxPixels", 1000],
    ["TASKFORGE_IMAGE_MAX_SIZE", "1", "imageMaxSize", 1]
  ]
  for (const [name, text, setting, value] of good) {
    it.effect(`${name}=${text} is read`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* load({ [name]: text }))[setting], value)
      }))
  }

  const secrets = new Set(
    Object.values(table as Record<string, Setting<unknown>>).flatMap(({ names, secret }) =>
      secret === "value" ? [...names] : []
    )
  )

  const bad: Record<string, ReadonlyArray<string>> = {
    SERVER_PORT: ["abc", "65536", "-1", "80.5", "0x50", "1e3"],
    PORT: ["tcp://10.0.0.1:80"],
    SERVER_HOST: ["http://localhost", "a b"],
    TASKFORGE_RATE_PER_ADDRESS: ["100", "0/1s", "-1/1s", "10/1ms", "10/2w", "a/b", "1e3/1s"],
    TASKFORGE_RATE_PER_KEY: ["on"],
    TASKFORGE_ALLOWED_ORIGINS: ["*", "app.example.com", "https://a.example/", "https://a.example,"],
    TASKFORGE_TRUSTED_PROXIES: ["proxy", "10.0.0.0/99", "10.0.0.1,"],
    TASKFORGE_MAX_CONNECTIONS: ["0", "many"],
    TASKFORGE_DASHBOARD: ["no way"],
    TASKFORGE_TRACE_URL: ["javascript:alert({trace_id})", "https://traces.example.org/", "traces {trace_id}"],
    TASKFORGE_REQUEST_LOG: ["loud"],
    WORKER_NUM_WORKERS: ["0", "-1", "ten"],
    WORKER_COUNT: ["0"],
    WORKER_MIN_CONCURRENCY: ["0", "10001", "few"],
    WORKER_MAX_CONCURRENCY: ["0", "10001"],
    WORKER_JOB_TIMEOUT: ["0s", "5", "-5m", "-5 minutes", "5 parsecs"],
    WORKER_RETRY_ATTEMPTS: ["-2", "2.5"],
    QUEUE_SIZE: ["0", "many"],
    TASKFORGE_QUEUE_MAX_SIZE: ["0", "1.5", "64MB", "1000000001"],
    TASKFORGE_QUEUES: [",", "mail,,reports"],
    TASKFORGE_QUEUE_SHARES: [
      "mail",
      "mail max=0",
      "mail max=2 max=3",
      "mail most=2",
      "mail max=1, mail max=2",
      "reserved=1",
      "mail reserved=11",
      "mail reserved=3 max=2",
      "a reserved=6, b reserved=5",
      "mail __proto__=1"
    ],
    TASKFORGE_QUEUE_LIMITS: ["mail", "mail max=many", "mail rate=5", "mail weight=2", "mail max=1,", "* max=1"],
    STORE_URL: ["taskforge.db", "sqlite:", "sqlite://data/tasks.db", "mysql://localhost", "postgres://h:port/db"],
    TASKFORGE_NAMESPACE: ["a b", "a:b", "ä"],
    TASKFORGE_POSTGRES_CONNECTIONS: ["2", "many"],
    LOG_LEVEL: ["loud", "2"],
    LOG_LEVELS: [
      "debug",
      "clamer=debug",
      "claimer=loud",
      "claimer=debug,claimer=info",
      "*=warn",
      "handlers:=info",
      "http=,"
    ],
    LOG_FORMAT: ["xml"],
    TASKFORGE_LEASE: ["10ms", "2h", "infinity"],
    TASKFORGE_POLL_INTERVAL: ["0ms", "1h"],
    TASKFORGE_SHUTDOWN: ["0s", "2h"],
    TASKFORGE_HEAD_START: ["-1 seconds", "soon"],
    TASKFORGE_MAX_CRASHES: ["-2"],
    TASKFORGE_KEEP_FINISHED: ["forever"],
    TASKFORGE_KEEP_FAILED: ["14"],
    TASKFORGE_KEEP_LOGS: ["-1d", "always"],
    TASKFORGE_MAX_FINISHED: ["-1"],
    TASKFORGE_MAX_KEYED_FINISHED: ["-1"],
    TASKFORGE_SQLITE_SYNC: ["off"],
    TASKFORGE_INSECURE: ["maybe"],
    TASKFORGE_ADMIN_KEY: ["short", "k".repeat(201), `${"k".repeat(16)} ${"k".repeat(16)}`],
    TASKFORGE_REQUIRE_KEYS: ["sure"],
    TASKFORGE_ALLOWED_HOSTS: ["https://tasks.example.com", "tasks:8080"],
    TASKFORGE_THREADS: ["0", "all"],
    TASKFORGE_THREAD_MEMORY: ["1", "1GiB"],
    TASKFORGE_FOLDERS: ["data,,files"],
    TASKFORGE_OUTBOUND_ALLOW: ["10.0.0.0/33", "http://localhost", "*"],
    TASKFORGE_OUTBOUND_TIMEOUT: ["0s", "infinity"],
    TASKFORGE_OUTBOUND_MAX_SIZE: ["0", "10MiB"],
    TASKFORGE_OUTBOUND_REDIRECTS: ["-1", "21"],
    TASKFORGE_SMTP_URL: ["mail.example.org", "http://mail", "smtp://"],
    TASKFORGE_SMTP_TLS: ["maybe"],
    TASKFORGE_MAIL_FROM: ["shop"],
    TASKFORGE_IMAGE_MAX_PIXELS: ["0"],
    TASKFORGE_IMAGE_MAX_SIZE: ["0", "1GiB"],
    DATABASE_URL: ["mysql://localhost"],
    REDIS_URL: ["localhost:6379"]
  }
  for (const [name, texts] of Object.entries(bad)) {
    for (const text of texts) {
      it.effect(`${name}=${text} is refused with what was found and what is expected`, () =>
        Effect.gen(function*() {
          const found = yield* problems({ [name]: text })
          assert.strictEqual(found.length, 1, found.join("; "))
          const shown = secrets.has(name) ? "***" : text
          assert.isTrue(found[0]!.startsWith(`${name}=${shown}: expected `), found[0])
        }))
    }
  }

  it.effect("that is secret is never shown", () =>
    Effect.gen(function*() {
      const secret = "hunter2"
      const urls = [`x://me:${secret}@h`, `me:${secret}@h`, `postgres://me:a/${secret}@h:port`, `h?password=${secret}`]
      for (const name of ["STORE_URL", "DATABASE_URL", "REDIS_URL", "TASKFORGE_SMTP_URL"]) {
        for (const text of urls) assert.notInclude((yield* problems({ [name]: text })).join(), secret)
      }
      assert.notInclude((yield* problems({ TASKFORGE_ADMIN_KEY: `${secret} ${secret}` })).join(), secret)
      const both = { DATABASE_URL: `postgres://me:${secret}@h/db`, REDIS_URL: `redis://:${secret}@h` }
      assert.notInclude((yield* problems(both)).join(), secret)
    }))

  it("is tried with good and bad texts here", () => {
    const tried = new Set([...good.map(([name]) => name), ...Object.keys(bad)])
    const untried = Object.values(table).flatMap((setting) => setting.names).filter((name) => !tried.has(name))
    assert.deepStrictEqual(untried, [])
  })
})

describe("several bad variables", () => {
  it.effect("are all named in one error", () =>
    Effect.gen(function*() {
      const env = { PORT: "x", LOG_LEVEL: "loud", WORKER_COUNT: "200", REDIS_URL: "http://h", QUEUE_SIZE: "0" }
      const error = (yield* Effect.flip(load(env))) as InvalidSettings
      assert.strictEqual(error.problems.length, 5)
      assert.isTrue(error.message.startsWith("The configuration has 5 problems:\n  - "))
      for (const name of Object.keys(env)) assert.include(error.message, `  - ${name}=`)
    }))
})

describe("two names of one setting", () => {
  it.effect("may agree, however they are written", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* load({ SERVER_PORT: "9000", PORT: "09000" })).port, 9000)
    }))

  it.effect("may not differ", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* problems({ WORKER_COUNT: "5", WORKER_NUM_WORKERS: "10" }), [
        "WORKER_NUM_WORKERS=10 and WORKER_COUNT=5 are one setting: set one of them"
      ])
    }))
})

describe("the number of workers", () => {
  it.effect("may not exceed the ceiling", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* problems({ WORKER_COUNT: "101" }), [
        "WORKER_COUNT=101: expected at most WORKER_MAX_CONCURRENCY, which is 100"
      ])
      assert.strictEqual((yield* load({ WORKER_COUNT: "101", WORKER_MAX_CONCURRENCY: "200" })).workers, 101)
    }))

  it.effect("may be a minimum, which neither the start nor the ceiling may go below", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* load({ WORKER_MIN_CONCURRENCY: "20" }), { workers: 20, minConcurrency: 20 })
      assert.deepInclude(yield* load({ WORKER_MIN_CONCURRENCY: "2" }), { workers: 10, minConcurrency: 2 })
      assert.deepStrictEqual(yield* problems({ WORKER_MIN_CONCURRENCY: "20", WORKER_COUNT: "10" }), [
        "WORKER_COUNT=10: expected at least WORKER_MIN_CONCURRENCY, which is 20"
      ])
      assert.deepStrictEqual(yield* problems({ WORKER_MIN_CONCURRENCY: "20", WORKER_MAX_CONCURRENCY: "10" }), [
        "WORKER_MIN_CONCURRENCY=20: expected at most WORKER_MAX_CONCURRENCY, which is 10"
      ])
    }))

  it.effect("follows a low ceiling when it is not set", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* load({ WORKER_MAX_CONCURRENCY: "4" })).workers, 4)
    }))
})

describe("the store", () => {
  it.effect("may be named in short, unless STORE_URL says something else", () =>
    Effect.gen(function*() {
      const short = { DATABASE_URL: "postgresql://u:p@h:5433/db?sslmode=require" }
      assert.deepStrictEqual((yield* load(short)).store, { _tag: "PostgreSQL", url: short.DATABASE_URL })
      const { store } = yield* load({ REDIS_URL: "rediss://:p@h" })
      assert.deepStrictEqual(store, { _tag: "Redis", url: "rediss://:p@h" })
      assert.deepStrictEqual((yield* load({ ...short, STORE_URL: "memory:" })).store, { _tag: "Memory" })
      // An application's own database of another kind
      assert.deepStrictEqual((yield* load({ DATABASE_URL: "mysql://h/db", STORE_URL: "memory:" })).store, {
        _tag: "Memory"
      })
    }))

  it.effect("may not be named in short by a URL of another kind", () =>
    Effect.gen(function*() {
      for (const [name, text] of [["DATABASE_URL", "redis://h"], ["REDIS_URL", "postgres://h/db"]] as const) {
        assert.match((yield* problems({ [name]: text }))[0]!, new RegExp(`^${name}=${text}: expected `))
      }
      const [problem] = yield* problems({ REDIS_URL: "postgres://u:secret@h/db" })
      assert.notInclude(problem, "secret")
    }))

  it.effect("must be clear: both short names need STORE_URL", () =>
    Effect.gen(function*() {
      const both = { DATABASE_URL: "postgres://h/db", REDIS_URL: "redis://h" }
      assert.deepStrictEqual(yield* problems(both), [
        "DATABASE_URL=postgres://h/db and REDIS_URL=redis://h: both name a store; set STORE_URL to say which it is"
      ])
      assert.deepStrictEqual((yield* load({ ...both, STORE_URL: "memory:" })).store, { _tag: "Memory" })
    }))

  it("is shown as it is written, without what may be secret", () => {
    for (const text of ["memory:", "sqlite:data/taskforge.db", "redis://h", "postgres://h:5433/db"]) {
      assert.strictEqual(StoreUrl.format(StoreUrl.parse(text)!), text)
    }
    const url = "postgres://user:secret@h/db?password=secret"
    assert.strictEqual(StoreUrl.format(StoreUrl.parse(url)!), "postgres://***@h/db?***")
  })
})
