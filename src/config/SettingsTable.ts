/**
 * Every setting of the server, in one table: documentation and tests read it too.
 * Durations read `250ms`, `5m`, `1h30m` and `"5 minutes"`. An empty variable counts as not set.
 */
import { Duration, Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { isEntry } from "../outbound/AddressPolicy.ts"
import { optional, setting } from "./Setting.ts"
import { duration, flag, integer, list, logLevel, network, origin, rate, word } from "./SettingSchemas.ts"
import { StoreUrl } from "./StoreUrl.ts"

/** The settings by name. */
export const table = {
  port: setting({
    names: ["SERVER_PORT", "PORT"],
    fallback: "8080",
    about: "Port of the HTTP server; 0 takes any free one",
    expected: "a port from 0 to 65535",
    schema: integer(0, 65535)
  }),
  host: optional({
    names: ["SERVER_HOST"],
    about:
      "Address to listen on: 0.0.0.0 with TASKFORGE_ADMIN_KEY, TASKFORGE_REQUIRE_KEYS or TASKFORGE_INSECURE, else " +
      "127.0.0.1. Any other than loopback needs one of these, or API keys in the store",
    expected: "an address or a host name",
    schema: Schema.String.check(Schema.isPattern(/^[\w.:-]+$/))
  }),
  adminKey: optional({
    names: ["TASKFORGE_ADMIN_KEY"],
    secret: "value",
    about: "A first API key of the role admin, beside those in the store; with it, every caller needs a key",
    expected: "a text of 32 to 200 letters, digits, - and _",
    schema: Schema.RedactedFromValue(Schema.String.check(Schema.isPattern(/^[\w-]{32,200}$/)))
  }),
  requireKeys: setting({
    names: ["TASKFORGE_REQUIRE_KEYS"],
    fallback: "0",
    about: "Every caller needs an API key, also while the store has none",
    expected: "1 or 0",
    schema: flag
  }),
  insecure: setting({
    names: ["TASKFORGE_INSECURE"],
    fallback: "0",
    about: "Lets other machines use the server although it has no API keys and asks no caller for one",
    expected: "1 or 0",
    schema: flag
  }),
  allowedHosts: optional({
    names: ["TASKFORGE_ALLOWED_HOSTS"],
    about:
      "Names of the server, with commas between them: without API keys it answers to these, to localhost, to the " +
      "machine's own name and to addresses only",
    expected: "host names such as tasks.example.com, with commas between them",
    schema: list(Schema.String.check(Schema.isPattern(/^[\w.-]+$/)))
  }),
  ratePerAddress: optional({
    names: ["TASKFORGE_RATE_PER_ADDRESS"],
    about: "Requests from one address, such as 100/1s; any number when not set",
    expected: "a number and a window from 1s to 1d such as 100/1s or 6000/1m",
    schema: rate
  }),
  ratePerKey: optional({
    names: ["TASKFORGE_RATE_PER_KEY"],
    about: "Requests with one API key, such as 1000/1s; any number when not set",
    expected: "a number and a window from 1s to 1d such as 100/1s or 6000/1m",
    schema: rate
  }),
  allowedOrigins: optional({
    names: ["TASKFORGE_ALLOWED_ORIGINS"],
    about: "Pages that may call the API from a browser, by their origins with commas between them",
    expected: "origins such as https://app.example.com, with commas between them",
    schema: list(origin)
  }),
  trustedProxies: optional({
    names: ["TASKFORGE_TRUSTED_PROXIES"],
    about: "Proxies whose X-Forwarded-For is believed: addresses and networks with commas between them",
    expected: "addresses or networks such as 10.0.0.0/8, with commas between them",
    schema: list(network)
  }),
  maxConnections: setting({
    names: ["TASKFORGE_MAX_CONNECTIONS"],
    fallback: "10000",
    about: "Open connections at most, event streams among them",
    expected: "a whole number of at least 1",
    schema: integer(1)
  }),
  requestLog: setting({
    names: ["TASKFORGE_REQUEST_LOG"],
    fallback: "1",
    about: "A line of the log for each request, at level info",
    expected: "1 or 0",
    schema: flag
  }),
  workers: optional({
    names: ["WORKER_NUM_WORKERS", "WORKER_COUNT"],
    about: "Tasks run at the same time: 10, or WORKER_MAX_CONCURRENCY where that is less",
    expected: "a whole number from 1 to 10000",
    schema: integer(1, 10_000)
  }),
  maxConcurrency: setting({
    names: ["WORKER_MAX_CONCURRENCY"],
    fallback: "100",
    about: "Ceiling for the number of workers",
    expected: "a whole number from 1 to 10000",
    schema: integer(1, 10_000)
  }),
  jobTimeout: setting({
    names: ["WORKER_JOB_TIMEOUT"],
    fallback: "5m",
    about: "Time limit of one attempt of tasks that have none of their own",
    expected: "a duration of at least 1ms such as 30s, 5m or 1h30m, or infinity",
    schema: duration("1 millis", Duration.infinity)
  }),
  retryAttempts: setting({
    names: ["WORKER_RETRY_ATTEMPTS"],
    fallback: "3",
    about: "Retries of tasks that say nothing else; -1 is unlimited",
    expected: "a whole number, or -1 for unlimited retries",
    schema: integer(Bounds.unlimitedRetries, Bounds.maxRetryCount)
  }),
  queues: optional({
    names: ["TASKFORGE_QUEUES"],
    about: "Queues that this process works on, with commas between; all unless it is set",
    expected: "names of queues, with commas between",
    schema: list(Schema.NonEmptyString)
  }),
  queueSize: optional({
    names: ["QUEUE_SIZE"],
    about: "Unfinished tasks accepted at most: 1000 in memory, 100000 elsewhere",
    expected: "a whole number of at least 1",
    schema: integer(1)
  }),
  store: optional({
    names: ["STORE_URL"],
    secret: "url",
    about: "Where tasks are kept: memory:, sqlite:PATH, postgres://… or redis://…; sqlite:data/taskforge.db",
    expected: "memory:, sqlite:PATH, postgres://… or redis://…",
    schema: StoreUrl
  }),
  databaseUrl: optional({
    names: ["DATABASE_URL"],
    secret: "url",
    about: "Short for STORE_URL=postgres://…, where that is not set",
    expected: "postgres://user:password@host:5432/database",
    schema: Schema.String
  }),
  redisUrl: optional({
    names: ["REDIS_URL"],
    secret: "url",
    about: "Short for STORE_URL=redis://…, where that is not set",
    expected: "redis://user:password@host:6379/0, or rediss://",
    schema: Schema.String
  }),
  namespace: setting({
    names: ["TASKFORGE_NAMESPACE"],
    fallback: "taskforge",
    about: "Which queue of the server is meant: the schema in PostgreSQL, the key prefix in Redis",
    expected: "up to 63 letters, digits, - and _",
    schema: Schema.String.check(Schema.isPattern(/^[\w-]{1,63}$/))
  }),
  postgresConnections: setting({
    names: ["TASKFORGE_POSTGRES_CONNECTIONS"],
    fallback: "10",
    about: "Connections to PostgreSQL that one process opens at most",
    expected: "a whole number from 3 to 1000",
    schema: integer(3, 1000)
  }),
  postgresPrepare: setting({
    names: ["TASKFORGE_POSTGRES_PREPARE"],
    fallback: "auto",
    about:
      "Prepared statements in PostgreSQL: auto means on, but off behind a pooler that shares sessions by transaction",
    expected: "auto, on or off",
    schema: word("auto", "on", "off")
  }),
  sqliteSync: setting({
    names: ["TASKFORGE_SQLITE_SYNC"],
    fallback: "full",
    about: "What a commit survives: full a power failure, normal the death of the process",
    expected: "full or normal",
    schema: word("full", "normal")
  }),
  logLevel: setting({
    names: ["LOG_LEVEL"],
    fallback: "info",
    about: "How much is logged",
    expected: "trace, debug, info, warn, error, fatal or none",
    schema: logLevel
  }),
  logFormat: setting({
    names: ["LOG_FORMAT"],
    fallback: "auto",
    about: "json writes an object per line, pretty is for people; auto is pretty on a terminal, else json",
    expected: "auto, pretty or json",
    schema: word("auto", "pretty", "json")
  }),
  lease: setting({
    names: ["TASKFORGE_LEASE"],
    fallback: "15s",
    about: "How long a task stays with a process that gives no sign of life; all processes on a store need the same",
    expected: "a duration from 1s to 1h",
    schema: duration("1 second", "1 hour")
  }),
  pollInterval: setting({
    names: ["TASKFORGE_POLL_INTERVAL"],
    fallback: "1s",
    about: "How often an idle process looks for tasks that another one accepted",
    expected: "a duration from 10ms to 1m",
    schema: duration("10 millis", "1 minute")
  }),
  shutdown: setting({
    names: ["TASKFORGE_SHUTDOWN"],
    fallback: "30s",
    about: "Time for a shutdown: tasks that still run near its end are released for another process",
    expected: "a duration from 1s to 1h",
    schema: duration("1 second", "1 hour")
  }),
  headStart: setting({
    names: ["TASKFORGE_HEAD_START"],
    fallback: "5m",
    about: "How much earlier a task runs per priority level; infinity makes priorities strict. Belongs to the store",
    expected: "a duration such as 5m, or infinity",
    schema: duration(0, Duration.infinity)
  }),
  maxCrashes: setting({
    names: ["TASKFORGE_MAX_CRASHES"],
    fallback: "5",
    about: "Processes that a task may take down with it before it is quarantined; -1 is unlimited",
    expected: "a whole number, or -1 for no limit",
    schema: integer(Bounds.unlimitedRetries, Bounds.maxRetryCount)
  }),
  keepFinished: setting({
    names: ["TASKFORGE_KEEP_FINISHED"],
    fallback: "1d",
    about: "How long completed and cancelled tasks are kept",
    expected: "a duration such as 12h or 7d, or infinity",
    schema: duration(0, Duration.infinity)
  }),
  keepFailed: setting({
    names: ["TASKFORGE_KEEP_FAILED"],
    fallback: "14d",
    about: "How long failed tasks are kept",
    expected: "a duration such as 12h or 14d, or infinity",
    schema: duration(0, Duration.infinity)
  }),
  maxFinished: setting({
    names: ["TASKFORGE_MAX_FINISHED"],
    fallback: "100000",
    about: "Finished tasks kept at most",
    expected: "a whole number",
    schema: integer(0)
  }),
  threads: optional({
    names: ["TASKFORGE_THREADS"],
    about: "Threads for tasks that compute, started when needed: as many as there are processors",
    expected: "a whole number from 1 to 256",
    schema: integer(1, 256)
  }),
  threadMemory: setting({
    names: ["TASKFORGE_THREAD_MEMORY"],
    fallback: "512",
    about: "Heap of one thread at most, in MiB; a task that needs more fails alone",
    expected: "a whole number from 64 to 65536",
    schema: integer(64, 65_536)
  }),
  folders: setting({
    names: ["TASKFORGE_FOLDERS"],
    fallback: "data/files",
    about: "Folders that tasks may read and write, with commas between; paths in payloads start at the first",
    expected: "folders, with commas between",
    schema: list(Schema.NonEmptyString)
  }),
  outboundAllow: optional({
    names: ["TASKFORGE_OUTBOUND_ALLOW"],
    about:
      "What tasks may connect to beside the public Internet: addresses, ranges, hosts, *.domains, with commas between",
    expected: "addresses, ranges such as 10.0.0.0/8, hosts or *.domains, with commas between",
    schema: list(Schema.String.check(Schema.makeFilter(isEntry)))
  }),
  outboundTimeout: setting({
    names: ["TASKFORGE_OUTBOUND_TIMEOUT"],
    fallback: "30s",
    about: "Time limit of one request of a task, with its redirects",
    expected: "a duration from 1ms to 1h",
    schema: duration("1 millis", "1 hour")
  }),
  outboundMaxSize: setting({
    names: ["TASKFORGE_OUTBOUND_MAX_SIZE"],
    fallback: "10",
    about: "Size of an answer to a task's request at most, in MiB",
    expected: "a whole number from 1 to 1024",
    schema: integer(1, 1024)
  }),
  outboundRedirects: setting({
    names: ["TASKFORGE_OUTBOUND_REDIRECTS"],
    fallback: "5",
    about: "Redirects that a task's request follows at most",
    expected: "a whole number from 0 to 20",
    schema: integer(0, 20)
  }),
  webhookSecret: optional({
    names: ["TASKFORGE_WEBHOOK_SECRET"],
    secret: "value",
    about: "Secret that webhooks are signed with, as text or after whsec_ as base64",
    expected: "a text",
    schema: Schema.RedactedFromValue(Schema.String)
  }),
  smtpUrl: optional({
    names: ["TASKFORGE_SMTP_URL"],
    secret: "url",
    about:
      "Mail server: smtp://user:password@host:587, or smtps:// for TLS from the start; without, mail goes to a folder",
    expected: "smtp://… or smtps://…",
    schema: Schema.RedactedFromValue(
      Schema.String.check(Schema.makeFilter((text: string) => /^smtps?:\/\/[^/]/.test(text) && URL.canParse(text)))
    )
  }),
  smtpTls: setting({
    names: ["TASKFORGE_SMTP_TLS"],
    fallback: "offered",
    about: "Whether smtp:// turns to TLS where that is offered, or sends nothing without: required",
    expected: "offered or required",
    schema: word("offered", "required")
  }),
  mailFrom: setting({
    names: ["TASKFORGE_MAIL_FROM"],
    fallback: "taskforge@localhost",
    about: "Sender of mail that names none",
    expected: "a mail address",
    schema: Schema.String.check(Schema.isPattern(/^[^\r\n]*[^\s@]+@[^\s@]+$/))
  }),
  outbox: setting({
    names: ["TASKFORGE_OUTBOX"],
    fallback: "data/outbox",
    about: "Folder for mail that is not sent",
    expected: "a folder",
    schema: Schema.NonEmptyString
  }),
  imageMaxPixels: setting({
    names: ["TASKFORGE_IMAGE_MAX_PIXELS"],
    fallback: "100000000",
    about: "Pixels of an image at most, width times height",
    expected: "a whole number of at least 1",
    schema: integer(1)
  }),
  imageMaxSize: setting({
    names: ["TASKFORGE_IMAGE_MAX_SIZE"],
    fallback: "50",
    about: "Size of an image file at most, in MiB",
    expected: "a whole number from 1 to 1024",
    schema: integer(1, 1024)
  })
} as const
