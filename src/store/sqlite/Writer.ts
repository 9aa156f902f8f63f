/**
 * Group commit. Operations wait in a list; one fiber runs all that wait in one transaction, syncs the log, and answers
 * each of them. Fifty callers pay for one sync of the disk, and no caller is told of something that a crash could undo.
 *
 * Operations that promise nothing to the outside (claims, heartbeats) do not wait for the disk: after a power failure
 * the tasks they touched are where they were before, and run again. The death of the process undoes nothing, and the
 * next sync puts them on disk too.
 *
 * Nothing here waits for a lock inside SQLite, uses a timer or a promise: a busy file is retried by a `Schedule`, so
 * the driver runs in a simulated scheduler with a simulated clock.
 */
import { type Clock, Effect, Exit, type Scope } from "effect"
import type { DatabaseSync } from "node:sqlite"
import { StoreError } from "../../domain/Errors.ts"
import * as Coalescer from "../Coalescer.ts"
import type { TaskStore } from "../TaskStore.ts"
import { Refusals, type WriteHealth } from "../WriteHealth.ts"
import { prepare } from "./Database.ts"
import { type FileIdentity, type Missing, noIdentity, Reserve } from "./Disk.ts"
import * as Failure from "./Failure.ts"
import type { Lanes } from "./Lanes.ts"
import type { Tally } from "./Tally.ts"
import type { Checkpointer, WriteAheadLog } from "./WriteAheadLog.ts"

/** Turns of the scheduler that a transaction waits for more operations at most: worth 5 % over HTTP. */
const maxGatherTurns = 8

/** What an operation works with while its transaction is open. */
export interface Transaction {
  /** The store's clock when the transaction began. */
  readonly now: number
  readonly tally: Tally
  readonly lanes: Lanes
  /** Of the file: another number after each commit of another connection. */
  readonly version: number
}

/** A synchronous part of a transaction. It decides before it writes, so that it fails without a trace or not at all. */
export type Operation<A> = (transaction: Transaction) => A

/** Operations of a store as what they do in a transaction. */
export type Operations<Name extends keyof TaskStore["Service"]> = {
  readonly [Each in Name]: TaskStore["Service"][Each] extends
    (...inputs: infer Inputs) => Effect.Effect<infer A, StoreError> ? (transaction: Transaction, ...inputs: Inputs) => A
    : never
}

/** An operation on any number of inputs with one answer for each: callers that wait side by side share one run of it. */
export type SharedOperation<I, A> = (transaction: Transaction, inputs: ReadonlyArray<I>) => ReadonlyArray<A>

/**
 * What an operation does to the room on the disk: it takes some, so it is refused while the reserve is in use; it frees
 * some, so it may use the reserve; or neither matters.
 */
export type Room = "takes" | "frees" | "neither"

/** Runs operations in shared transactions, and reads between them. */
export interface Writer {
  /** Answers once it is committed and on disk. Interrupting it takes the operation back unless it has been committed. */
  readonly write: <A>(name: string, operation: Operation<A>, room?: Room) => Effect.Effect<A, StoreError>
  /** The same for an operation that callers share: the inputs of all that wait side by side are its inputs once. */
  readonly writeShared: <I, A>(
    name: string,
    operation: SharedOperation<I, A>,
    inputs: ReadonlyArray<I>,
    room: Room,
    onCommit?: () => void
  ) => Effect.Effect<ReadonlyArray<A>, StoreError>
  /** The same, without waiting for the disk: a power failure may undo it. */
  readonly writeVolatile: <A>(name: string, operation: Operation<A>, room?: Room) => Effect.Effect<A, StoreError>
  /** A read outside of any transaction: it sees what has been committed, and the store's clock. */
  readonly read: <A>(name: string, query: (now: number) => A) => Effect.Effect<A, StoreError>
  /** Whether the file takes writes: it is where it was, its tables are there, and there is room on its disk. */
  readonly health: WriteHealth
}

interface Waiting {
  readonly name: string
  readonly operation: SharedOperation<unknown, unknown>
  /** What the caller adds to a shared operation; `undefined` when it shares nothing. */
  readonly inputs: ReadonlyArray<unknown> | undefined
  readonly durable: boolean
  readonly room: Room
  /** Called once it is committed, before the disk is waited for. */
  readonly onCommit: (() => void) | undefined
  readonly resume: (answer: Exit.Exit<unknown, StoreError>) => void
  /** Its caller was interrupted. */
  withdrawn: boolean
  /** It was in a transaction that failed, so it runs in one of its own. */
  alone: boolean
}

/** A committed operation whose caller waits for the disk. */
interface Committed {
  readonly entry: Waiting
  readonly answer: unknown
}

/** Starts the writer fiber. Closing the scope commits what still waits. */
export const make = Effect.fnUntraced(function*(
  database: DatabaseSync,
  path: string,
  clock: Clock.Clock,
  tally: Tally,
  lanes: Lanes,
  log: WriteAheadLog,
  checkpointer: Checkpointer,
  reserve: Reserve = new Reserve(),
  refusals: Refusals = new Refusals(clock),
  findMissing: FileIdentity = noIdentity,
  dependencies: { readonly forget: () => void } = { forget: () => {} }
): Effect.fn.Return<Writer, never, Scope.Scope> {
  const begin = prepare(database, "BEGIN IMMEDIATE")
  const commit = prepare(database, "COMMIT")
  const dataVersion = prepare<[version: number]>(database, "PRAGMA data_version")
  const size = prepare<[pages: number, pageSize: number]>(
    database,
    "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
  )
  let waiting: Array<Waiting> = []
  let committed: Array<Committed> = []
  let closed = false
  let damaged = false
  let missing: Missing | undefined
  /** A listener was told of a commit. */
  let told = false

  /**
   * A sync that failed leaves a gap in the log, at which reading it would end after a crash. So nothing more is
   * committed behind it until SQLite has brought the database itself up to date, with syncs of its own.
   */
  const mend = (): void => {
    const row = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()
    if (row?.["busy"] !== 0) throw new Error("the disk failed to sync, and another process keeps it from being mended")
    damaged = false
  }

  /** One transaction; throws when nothing of it was committed. */
  const transact = (batch: ReadonlyArray<Waiting>): ReadonlyArray<unknown> => {
    if (damaged) mend()
    begin.run()
    try {
      const [version] = dataVersion.get()!
      tally.load(version)
      const transaction: Transaction = { now: clock.currentTimeMillisUnsafe(), tally, lanes, version }
      const answers = runAll(transaction, batch)
      tally.save()
      commit.run()
      checkpointer.committed()
      return answers
    } catch (cause) {
      tally.forget()
      lanes.forget()
      dependencies.forget()
      // some errors, a full disk for one, have rolled back already
      if (database.isTransaction) database.exec("ROLLBACK")
      throw cause
    }
  }

  /** Tells health of it. */
  const failed = (error: StoreError): Exit.Exit<never, StoreError> => {
    refusals.note(error)
    return Exit.fail(error)
  }

  /**
   * Brings the log into the database, with the reserve as the room for that, and gives the room of the log back. So the
   * next write that frees something finds as much room as this one. Answers whether the reserve is whole.
   */
  const makeRoom = (): boolean => {
    try {
      const [pages, pageSize] = size.get()!
      // half a log would take the room away and give none
      if (reserve.fits(pages * pageSize)) database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      return reserve.restore()
    } catch {
      // another process is at it; the next try may find some room
      return false
    }
  }

  /** What the next transaction runs: everything that waits, or a single operation whose fate must be its own. */
  const nextBatch = (): ReadonlyArray<Waiting> => {
    waiting = waiting.filter(({ withdrawn }) => !withdrawn)
    if (waiting[0]?.alone === true) return [waiting[0]]
    const end = waiting.findIndex(({ alone }) => alone)
    return end === -1 ? waiting : waiting.slice(0, end)
  }

  /** Commits what waits now. Throws only when the file is locked, with everything unanswered still waiting. */
  const flush = (): void => {
    for (let batch = nextBatch(); batch.length > 0; batch = nextBatch()) {
      let answers: ReadonlyArray<unknown>
      try {
        answers = transact(batch)
      } catch (cause) {
        if (Failure.is(cause, "busy")) throw cause
        const first = batch[0]!
        if (batch.length > 1) {
          for (const entry of batch) entry.alone = true
        } else if (!(first.room === "frees" && Failure.isFull(cause) && reserve.giveUp())) {
          waiting = waiting.slice(1)
          first.resume(failed(Failure.storeError(first.name, path, cause)))
        }
        continue
      }
      if (reserve.isSpent) makeRoom()
      const rest = waiting.slice(batch.length)
      waiting = rest
      // a resumed caller runs at once and may add its next operation, which is for the next turn
      for (let i = 0; i < batch.length; i++) {
        const entry = batch[i]!
        if (entry.onCommit !== undefined) {
          entry.onCommit()
          told = true
        }
        if (entry.durable) committed.push({ entry, answer: answers[i] })
        else entry.resume(Exit.succeed(answers[i]))
      }
      if (rest.length === 0) return
    }
  }

  const flushed = Effect.try({ try: flush, catch: (cause) => Failure.storeError("commit", path, cause) }).pipe(
    Effect.retry(Failure.whileLocked),
    Effect.catch(({ cause }) =>
      Effect.sync(() => {
        const unanswered = waiting
        waiting = []
        for (const { name, resume } of unanswered) resume(failed(Failure.storeError(name, path, cause)))
      })
    )
  )

  /** Answers those who wait for the disk. */
  const synced = Effect.suspend(() => {
    if (committed.length === 0) return Effect.void
    const batch = committed
    committed = []
    return Effect.matchEager(log.sync, {
      onSuccess: () => {
        for (const { answer, entry } of batch) entry.resume(Exit.succeed(answer))
      },
      onFailure: ({ cause }) => {
        damaged = true
        for (const { entry } of batch) entry.resume(failed(Failure.storeError(entry.name, path, cause)))
      }
    })
  })

  /** Who heard of a commit may have an operation of its own, a pool its claim, which need not wait for the disk. */
  const answered = Effect.suspend(() => {
    if (!told) return Effect.void
    told = false
    return Effect.andThen(Effect.yieldNow, flushed)
  })

  const committing = flushed.pipe(Effect.andThen(answered), Effect.andThen(Effect.uninterruptible(synced)))

  const wake = yield* Coalescer.inOneFiber(() => waiting.length, maxGatherTurns, committing)
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      return committing
    })
  )

  const add = <A>(
    name: string,
    operation: SharedOperation<never, unknown>,
    durable: boolean,
    room: Room,
    inputs?: ReadonlyArray<unknown>,
    onCommit?: () => void
  ): Effect.Effect<A, StoreError> =>
    Effect.callback<A, StoreError>((resume) => {
      if (closed) return resume(Exit.fail(refusal(name)))
      if (missing !== undefined) return resume(failed(Failure.moved(name, missing)))
      if (room === "takes" && reserve.isSpent) return resume(failed(Failure.full(name, path)))
      const entry: Waiting = {
        name,
        operation: operation as Waiting["operation"],
        inputs,
        durable,
        room,
        onCommit,
        resume: resume as Waiting["resume"],
        withdrawn: false,
        alone: false
      }
      waiting.push(entry)
      wake()
      return Effect.sync(() => {
        entry.withdrawn = true
      })
    })

  const refusal = (operation: string) => new StoreError({ operation, reason: `${path}: the store is closed` })

  const write: Writer["write"] = (name, operation, room = "neither") =>
    add(name, (transaction) => [operation(transaction)], true, room)

  const look = Effect.sync(() => {
    missing = findMissing()
    if (missing === undefined) return undefined
    const error = Failure.moved("write", missing)
    if (refusals.current === undefined) refusals.note(error)
    return error
  })

  const tables = prepare<[name: string]>(
    database,
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
  ).all().map(([name]) => name)

  /** Prepared when needed: where a table is gone, that is what fails. */
  const touch = () => {
    database.exec(`SELECT 1 FROM ${tables.join(", ")} WHERE false`)
    database.exec("UPDATE setting SET value = value")
  }

  const probe = Effect.gen(function*() {
    const moved = yield* look
    if (moved !== undefined) return yield* moved
    if (refusals.current === undefined) {
      if (reserve.isSpent) makeRoom()
      else reserve.restore()
      return
    }
    if (!(makeRoom() && reserve.hasSpare())) return yield* Failure.full("write", path)
    yield* write("write", touch)
    refusals.end()
  })

  return {
    write,
    writeVolatile: (name, operation, room = "neither") =>
      add(name, (transaction) => [operation(transaction)], false, room),
    writeShared: (name, operation, inputs, room, onCommit) => add(name, operation, true, room, inputs, onCommit),
    health: { refusal: Effect.map(look, () => refusals.current), probe, room: () => reserve.room() },
    read: <A>(name: string, query: (now: number) => A) =>
      Effect.suspend(() =>
        closed
          ? Effect.fail(refusal(name))
          : Effect.try({
            try: () => query(clock.currentTimeMillisUnsafe()),
            catch: (cause) => Failure.storeError(name, path, cause)
          })
      ).pipe(Effect.retry(Failure.whileLocked))
  }
})

/** Runs each operation, and a shared one once for all that wait side by side. */
const runAll = (transaction: Transaction, batch: ReadonlyArray<Waiting>): ReadonlyArray<unknown> => {
  const answers: Array<unknown> = []
  for (let start = 0; start < batch.length;) {
    const { inputs, operation } = batch[start]!
    let end = start + 1
    if (inputs === undefined) {
      answers.push(operation(transaction, [])[0])
    } else {
      const all: Array<unknown> = [...inputs]
      for (; end < batch.length && batch[end]!.operation === operation; end++) all.push(...batch[end]!.inputs ?? [])
      const shared = operation(transaction, all)
      let from = 0
      for (let i = start; i < end; i++) answers.push(shared.slice(from, from += batch[i]!.inputs?.length ?? 0))
    }
    start = end
  }
  return answers
}
