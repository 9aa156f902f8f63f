/**
 * Every setting of the server, in one table: documentation and tests read it too.
 * Durations read `250ms`, `5m`, `1h30m` and `"5 minutes"`. An empty variable counts as not set.
 */
import { Duration, Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as LogLevelText from "../domain/LogLevelText.ts"
import { handlerSettings } from "./HandlerSettings.ts"
import { httpSettings } from "./HttpSettings.ts"
import { problemOf as problemOfLogLevels, schema as logLevels } from "./LogLevelsSetting.ts"
import * as QueueSettings from "./QueueSettings.ts"
import { optional, setting } from "./Setting.ts"
import { duration, flag, integer, list, logLevel, word } from "./SettingSchemas.ts"
import { StoreUrl } from "./StoreUrl.ts"

/** The settings by name. */
export const table = {
  ...httpSettings,
  workers: optional({
    names: ["WORKER_NUM_WORKERS", "WORKER_COUNT"],
    about: "Tasks run at the same time: 10, or WORKER_MAX_CONCURRENCY if that is less",
    schema: integer(1, 10_000)
  }),
  minConcurrency: optional({
    names: ["WORKER_MIN_CONCURRENCY"],
    about:
      "Minimum number of slots of a process that sizes itself, up to WORKER_MAX_CONCURRENCY, by its load; without it, the " +
      "number stays",
    schema: integer(1, 10_000)
  }),
  maxConcurrency: setting({
    names: ["WORKER_MAX_CONCURRENCY"],
    fallback: "100",
    about: "Maximum number of slots, also by hand",
    schema: integer(1, 10_000)
  }),
  jobTimeout: setting({
    names: ["WORKER_JOB_TIMEOUT"],
    fallback: "5m",
    about: "Time limit of an attempt whose task has none",
    expected: "a duration of at least 1ms such as 30s, 5m or 1h30m, or infinity",
    schema: duration("1 millis", Duration.infinity)
  }),
  retryAttempts: setting({
    names: ["WORKER_RETRY_ATTEMPTS"],
    fallback: "3",
    about: "Retries of tasks that set none; -1 is unlimited",
    expected: "a whole number, or -1 for unlimited retries",
    schema: integer(Bounds.unlimitedRetries, Bounds.maxRetryCount)
  }),
  queues: optional({
    names: ["TASKFORGE_QUEUES"],
    about: "Queues that this process takes tasks from, separated by commas; all by default",
    expected: "names of queues, separated by commas",
    schema: list(Schema.NonEmptyString)
  }),
  shares: optional({
    names: ["TASKFORGE_QUEUE_SHARES"],
    about: "How this process shares its slots among queues; * is for all that are not named",
    schema: QueueSettings.shares
  }),
  limitsOfQueues: optional({
    names: ["TASKFORGE_QUEUE_LIMITS"],
    about: "Tasks of a queue that run at a time, and that start in a time, over all processes; say it to all alike",
    schema: QueueSettings.limits
  }),
  queueSize: optional({
    names: ["QUEUE_SIZE"],
    about: "Maximum number of unfinished tasks: 1000 in memory, 100000 elsewhere",
    schema: integer(1)
  }),
  queueMaxSize: optional({
    names: ["TASKFORGE_QUEUE_MAX_SIZE"],
    about: "Maximum size of the tasks in the store, finished ones too, in MiB: 256 in memory, unlimited elsewhere",
    schema: integer(1, 1_000_000_000)
  }),
  store: optional({
    names: ["STORE_URL"],
    secret: "url",
    about: "Where tasks are stored: memory:, sqlite:PATH, postgres://… or redis://…; default sqlite:data/taskforge.db",
    expected: "memory:, sqlite:PATH, postgres://… or redis://…",
    schema: StoreUrl
  }),
  databaseUrl: optional({
    names: ["DATABASE_URL"],
    secret: "url",
    about: "Short for STORE_URL=postgres://…, if that is not set",
    expected: "postgres://user:password@host:5432/database",
    schema: Schema.String
  }),
  redisUrl: optional({
    names: ["REDIS_URL"],
    secret: "url",
    about: "Short for STORE_URL=redis://…, if that is not set",
    expected: "redis://user:password@host:6379/0, or rediss://",
    schema: Schema.String
  }),
  namespace: setting({
    names: ["TASKFORGE_NAMESPACE"],
    fallback: "taskforge",
    about: "Separates queues on one database server: the schema in PostgreSQL, the key prefix in Redis",
    expected: "up to 63 letters, digits, - and _",
    schema: Schema.String.check(Schema.isPattern(/^[\w-]{1,63}$/))
  }),
  postgresConnections: setting({
    names: ["TASKFORGE_POSTGRES_CONNECTIONS"],
    fallback: "10",
    about: "Maximum number of connections to PostgreSQL per process",
    schema: integer(3, 1000)
  }),
  postgresPrepare: setting({
    names: ["TASKFORGE_POSTGRES_PREPARE"],
    fallback: "auto",
    about: "Prepared statements in PostgreSQL: auto means on, but off behind a pooler in transaction mode",
    schema: word("auto", "on", "off")
  }),
  sqliteSync: setting({
    names: ["TASKFORGE_SQLITE_SYNC"],
    fallback: "full",
    about: "What a commit survives: full means a power failure, normal the death of the process",
    schema: word("full", "normal")
  }),
  logLevel: setting({
    names: ["LOG_LEVEL"],
    fallback: "info",
    about: "Lowest level that is logged",
    schema: logLevel
  }),
  logLevels: optional({
    names: ["LOG_LEVELS"],
    about:
      "Levels of single modules, such as claimer=debug, http=warn, handlers:email=trace; all others have that of LOG_LEVEL",
    expected: LogLevelText.expected,
    schema: logLevels,
    problemOf: problemOfLogLevels
  }),
  logFormat: setting({
    names: ["LOG_FORMAT"],
    fallback: "auto",
    about: "json writes an object per line, pretty is for people; auto means pretty on a terminal, else json",
    schema: word("auto", "pretty", "json")
  }),
  lease: setting({
    names: ["TASKFORGE_LEASE"],
    fallback: "15s",
    about: "How long a claim holds without a heartbeat; all processes on a store need the same value",
    schema: duration("1 second", "1 hour")
  }),
  pollInterval: setting({
    names: ["TASKFORGE_POLL_INTERVAL"],
    fallback: "1s",
    about: "How often an idle process looks for tasks that another process accepted",
    schema: duration("10 millis", "1 minute")
  }),
  shutdown: setting({
    names: ["TASKFORGE_SHUTDOWN"],
    fallback: "30s",
    about: "Deadline of a shutdown: tasks that still run near its end are released",
    schema: duration("1 second", "1 hour")
  }),
  headStart: setting({
    names: ["TASKFORGE_HEAD_START"],
    fallback: "5m",
    about: "How much earlier a task runs per priority level; infinity makes priorities strict. Stored with the queue",
    expected: "a duration such as 5m, or infinity",
    schema: duration(0, Duration.infinity)
  }),
  maxCrashes: setting({
    names: ["TASKFORGE_MAX_CRASHES"],
    fallback: "5",
    about: "Crashes of its process after which a task is quarantined; -1 is unlimited",
    expected: "a whole number, or -1 for no limit",
    schema: integer(Bounds.unlimitedRetries, Bounds.maxRetryCount)
  }),
  keepFinished: setting({
    names: ["TASKFORGE_KEEP_FINISHED"],
    fallback: "1d",
    about: "How long completed, cancelled and expired tasks are kept",
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
  keepCancelled: optional({
    names: ["TASKFORGE_KEEP_CANCELLED"],
    about: "How long cancelled tasks are kept; as long as completed ones by default",
    expected: "a duration such as 12h or 7d, or infinity",
    schema: duration(0, Duration.infinity)
  }),
  keepExpired: optional({
    names: ["TASKFORGE_KEEP_EXPIRED"],
    about: "How long expired tasks are kept; as long as completed ones by default",
    expected: "a duration such as 12h or 7d, or infinity",
    schema: duration(0, Duration.infinity)
  }),
  keepLogs: setting({
    names: ["TASKFORGE_KEEP_LOGS"],
    fallback: "14d",
    about: "How long what tasks log is kept, at most as long as the task; 0s keeps none",
    expected: "a duration such as 12h or 14d, or infinity",
    schema: duration(0, Duration.infinity)
  }),
  maxFinished: setting({
    names: ["TASKFORGE_MAX_FINISHED"],
    fallback: "100000",
    about: "Maximum number of tasks of each final state; tasks with a key younger than a day are kept beyond it",
    schema: integer(0)
  }),
  maxFailed: optional({
    names: ["TASKFORGE_MAX_FAILED"],
    about: "Maximum number of failed tasks; that of TASKFORGE_MAX_FINISHED by default",
    schema: integer(0)
  }),
  maxCancelled: optional({
    names: ["TASKFORGE_MAX_CANCELLED"],
    about: "Maximum number of cancelled tasks; that of TASKFORGE_MAX_FINISHED by default",
    schema: integer(0)
  }),
  maxExpired: optional({
    names: ["TASKFORGE_MAX_EXPIRED"],
    about: "Maximum number of expired tasks; that of TASKFORGE_MAX_FINISHED by default",
    schema: integer(0)
  }),
  maxKeyedFinished: setting({
    names: ["TASKFORGE_MAX_KEYED_FINISHED"],
    fallback: "1000000",
    about: "Maximum number of tasks of each final state, with or without a key",
    schema: integer(0)
  }),
  statistics: setting({
    names: ["TASKFORGE_STATISTICS"],
    fallback: "1",
    about: "What the dashboard shows of the last 31 days; 0 counts nothing in this process",
    schema: flag
  }),
  ...handlerSettings
} as const
