/**
 * The SQLite store as layers.
 *
 * One process writes at a time and two or more may share the file: what one of them stores, the others find when
 * they poll. The notifier reaches this process only.
 */
import { Clock, Config, Context, Effect, Layer, type Scope } from "effect"
import type * as Bounds from "../../domain/Bounds.ts"
import type { StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import {
  demandSettings,
  type ServerServices,
  settingNames,
  type StoreServices,
  type StoreSettings,
  withoutTransactions
} from "../Driver.ts"
import { EventLog } from "../EventLog.ts"
import { InstanceStore } from "../InstanceStore.ts"
import { coverageOf } from "../Lanes.ts"
import { Notifier, work } from "../Notifier.ts"
import * as RateLimits from "../RateLimits.ts"
import { RecordStore } from "../RecordStore.ts"
import { promotion, TaskStore } from "../TaskStore.ts"
import { Refusals } from "../WriteHealth.ts"
import * as Archive from "./Archive.ts"
import * as Attempt from "./Attempt.ts"
import * as Claim from "./Claim.ts"
import { counting } from "./CountedLanes.ts"
import * as Database from "./Database.ts"
import { Dependencies } from "./Dependencies.ts"
import * as Disk from "./Disk.ts"
import * as Enqueue from "./Enqueue.ts"
import * as Events from "./Events.ts"
import * as Failure from "./Failure.ts"
import * as Instances from "./Instances.ts"
import { Lanes } from "./Lanes.ts"
import * as Operate from "./Operate.ts"
import * as Read from "./Read.ts"
import * as Records from "./Records.ts"
import { Tally } from "./Tally.ts"
import * as Task from "./Task.ts"
import * as WriteAheadLog from "./WriteAheadLog.ts"
import * as Writer from "./Writer.ts"

/** Where the file is, and how the store behaves. */
export interface Options extends StoreSettings {
  /** The file; its folder is created. `":memory:"` keeps tasks as long as the layer's scope. */
  readonly path: string
  /** `full`, the default, survives a power failure; `normal` is faster and survives the death of the process. */
  readonly synchronous?: "full" | "normal" | undefined
}

const names: Bounds.Names<Options> = { ...settingNames, path: 1, synchronous: 1 }

/**
 * A durable store in one file, with the services that belong to a store.
 *
 * @example
 * ```ts
 * import { SqliteStore } from "taskforge/sqlite"
 *
 * const StoreLive = SqliteStore.layer({ path: "data/tasks.db" })
 * ```
 */
export const layer = (options: Options): Layer.Layer<ServerServices, StoreError | StoreIncompatible> =>
  Layer.provideMerge(Layer.effectContext(make(options)), Layer.merge(Notifier.layerMemory, RateLimits.layer))

/** The same with options from configuration. */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<ServerServices, StoreError | StoreIncompatible | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<
  Context.Context<Exclude<StoreServices, Notifier>>,
  StoreError | StoreIncompatible,
  Scope.Scope | Notifier
> {
  const { capacity, headStartMs, maxCrashes } = demandSettings(options, names)
  const notifier = yield* Notifier
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const { path, readOnly = false } = options
  const clock = yield* Clock.Clock
  const reserve = yield* Disk.makeReserve(path === Database.inMemory || readOnly ? undefined : path)
  const database = yield* Database.open(path, headStartMs, { reserve, readOnly })
  const log = path === Database.inMemory || readOnly || options.synchronous === "normal"
    ? WriteAheadLog.unsynced
    : yield* WriteAheadLog.open(path, clock)
  const checkpointer = path === Database.inMemory || readOnly
    ? WriteAheadLog.noCheckpoints
    : yield* WriteAheadLog.makeCheckpointer(database, path)
  const findMissing = path === Database.inMemory ? Disk.noIdentity : Disk.identityOfOpen(path)
  const refusals = new Refusals(clock)
  if (reserve.isSpent) refusals.note(Failure.full("open", path))

  const tally = new Tally(database)
  const lanes = new Lanes(database, headStartMs)
  const dependencies = new Dependencies(database)
  const writer = yield* Writer.make(
    database,
    path,
    clock,
    tally,
    lanes,
    log,
    checkpointer,
    reserve,
    refusals,
    findMissing,
    dependencies
  )
  const { read, write, writeShared, writeVolatile } = writer
  const tasks = Task.make(database, headStartMs, dependencies)
  const { decideGroup, enqueue } = Enqueue.make(database, tasks, dependencies, capacity, options.maxBytes, headStartMs)
  const claim = Claim.make(database, tasks, dependencies)
  const attempt = Attempt.make(database, tasks, dependencies, maxCrashes)
  const operate = Operate.make(database, tasks, dependencies)
  const queries = Read.make(database, tasks, dependencies)
  const laneCounts = counting(database)

  // before it is on disk: it is as much there for this process's pool as for those of another
  const announce = () => run(notifier.publish(work))
  const results = (ids: ReadonlyArray<string>, maxBytes?: number) =>
    read("read results", () => queries.results(ids, maxBytes))
  /** What an operation ends it tells in the same transaction, as much as one write does. */
  const telling =
    <Inputs extends ReadonlyArray<unknown>, A>(operation: (transaction: Writer.Transaction, ...inputs: Inputs) => A) =>
    (transaction: Writer.Transaction, ...inputs: Inputs): A => {
      const answer = operation(transaction, ...inputs)
      dependencies.tell(transaction, tasks)
      return answer
    }
  const enqueueAndTell = telling(enqueue)
  const tell = telling(() => {})
  const taskStore = TaskStore.of({
    ...withoutTransactions,
    enqueue: (groups) => writeShared("enqueue", enqueueAndTell, groups, "takes", announce),
    claim: (request) => writeVolatile("claim", telling((transaction) => claim(transaction, request))),
    extend: (refs, leaseForMs) =>
      writeVolatile("extend", (transaction) => attempt.extend(transaction, refs, leaseForMs)),
    settle: (settlements) => write("settle", telling((transaction) => attempt.settle(transaction, settlements))),
    report: (reports) => writeVolatile("report", (transaction) => attempt.report(transaction, reports)),
    passes: (passes) => read("read passes", () => passes.map((pass) => lanes.passState(pass))),
    charge: (charges) =>
      write("charge", (transaction) => {
        for (const one of charges) lanes.charge(one, transaction.now)
      }),
    letGo: (passes) =>
      write("let go", () => {
        for (const pass of passes) lanes.letGo(pass)
      }),
    rescue: (request) => write("rescue", telling((transaction) => attempt.rescue(transaction, request))),
    expire: (limit) => writeVolatile("expire", telling((transaction) => operate.expire(transaction, limit)), "frees"),
    cancel: (ids) => write("cancel", telling((transaction) => operate.cancel(transaction, ids)), "frees"),
    rerun: (ids) => write("rerun", (transaction) => operate.rerun(transaction, ids)),
    reopen: (ids, options) => write("rerun", (transaction) => operate.reopen(transaction, ids, options)),
    reschedule: (requests) => write("reschedule", (transaction) => operate.reschedule(transaction, requests)),
    remove: (ids) => write("remove", (transaction) => operate.remove(transaction, ids), "frees"),
    prune: (retention, limit) =>
      writeVolatile("prune", (transaction) => operate.prune(transaction, retention, limit), "frees"),
    get: (id) => read("get", () => queries.get(id)),
    results,
    // What ends in this process is told to it anyway, and nothing carries hints to another
    awaitResults: results,
    edges: (id) => read("read dependencies", () => queries.edges(id)),
    links: (request) => read("read dependencies", () => queries.links(request)),
    tell: writeVolatile("tell of ends", (transaction) => {
      tell(transaction)
      return dependencies.hasMore(transaction)
    }),
    consequences: () => dependencies.aftermath.take(),
    list: (request) => read("list", () => queries.list(request)),
    stranded: (runnable, limit) =>
      writeVolatile("find stranded tasks", (transaction) => {
        claim(transaction, promotion)
        return lanes.stranded(coverageOf(runnable), limit, transaction.version)
      }),
    archive: Archive.make(database, writer, tasks, dependencies, readOnly),
    writeHealth: writer.health,
    counts: read("count", () => {
      tally.load()
      return tally.counts(capacity)
    }),
    laneCounts: (range) => read("count by queue and type", (now) => laneCounts(range, now))
  })
  return Context.make(TaskStore, taskStore).pipe(
    Context.add(InstanceStore, Instances.make(database, writer)),
    Context.add(RecordStore, Records.make(database, writer, { tasks, decideGroup, tell })),
    Context.add(EventLog, yield* Events.make(database, writer))
  )
})
