/**
 * Keeps what handlers log with their attempts: a logger collects the lines in memory, and a loop writes them, those of all attempts
 * together. A handler never waits for that, and no task ends differently because its lines could not be written.
 *
 * A pool whose handlers log nothing does nothing here: the logger finds the attempt in the fiber that logs.
 */
import { Cause, Context, Duration, Effect, Latch, Logger } from "effect"
import type { InvalidOption, RecordConflict, StoreError } from "../domain/Errors.ts"
import * as LogLevels from "../domain/LogLevels.ts"
import { LogBuffer } from "../logs/LogBuffer.ts"
import * as LogLine from "../logs/LogLine.ts"
import * as TaskLogs from "../logs/TaskLogs.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import { absent, RecordStore } from "../store/RecordStore.ts"
import { Attempt } from "./Attempt.ts"
import type { Attempts } from "./Attempts.ts"
import { TaskContext } from "./TaskContext.ts"

/** How long lines wait for others before they are written. */
const interval = "250 millis"

/** Bytes of lines that wait to be written at most: while the store is slow, more are only counted. */
const maxWaitingBytes = 32 * 1024 * 1024

/** When it is first looked whether a task is still there, unless its lines are kept for less. */
const firstCheckMs = 60 * 60 * 1000

/** The lines of an attempt, and what is known of its record. */
class AttemptLines {
  readonly attempt: Attempt
  readonly buffer = new LogBuffer()
  /** The version that the next write replaces; `undefined` where it has to read the record first. */
  version: number | undefined
  /** Bytes that it has among those that wait. */
  waiting = 0

  constructor(attempt: Attempt) {
    this.attempt = attempt
    // Only a removed task with the same id can have left something behind
    this.version = attempt.attempt === 1 ? absent : undefined
  }

  toPart(): TaskLogs.Part {
    const { attempt, buffer, version } = this
    const { id, claim } = attempt
    const entry = TaskLogs.entryOf(attempt, buffer.logged, buffer.toJson())
    return { id, claim, attempt: attempt.attempt, entry, version }
  }
}

/** The part of the flush period of a shutdown that is for what handlers have logged. */
export const shareOfFlush = 0.1

/**
 * Starts the keeper, and answers the logger that handlers need; none where lines are kept for no time. Closing the scope writes what
 * waits, for `flushForMs` at most.
 */
export const start = Effect.fnUntraced(function*(options: {
  readonly records: RecordStore["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly attempts: Attempts
  /** How long lines are kept. */
  readonly keepLogs: Duration.Input
  readonly flushForMs: number
}) {
  const { attempts, records, supervisor } = options
  const keepForMs = Duration.toMillis(options.keepLogs)
  if (keepForMs === 0) return undefined
  const dueInMs = Math.min(firstCheckMs, Math.ceil(keepForMs))
  const levels = yield* LogLevels.Current
  const lines = new WeakMap<Attempt, AttemptLines>()
  const waiting = new Set<AttemptLines>()
  let waitingBytes = 0
  const some = Latch.makeUnsafe(false)

  const wait = (one: AttemptLines): void => {
    waitingBytes += one.buffer.bytes - one.waiting
    one.waiting = one.buffer.bytes
    waiting.add(one)
    some.openUnsafe()
  }

  const logger = Logger.make<unknown, void>((line) => {
    const attempt = Context.getOrUndefined(line.fiber.context, TaskContext)
    // A handler may run an engine of its own, whose attempts inherit this logger
    if (!(attempt instanceof Attempt) || attempt.ended || !attempts.has(attempt)) return
    if (levels?.passes(line) === false) return
    let one = lines.get(attempt)
    if (one === undefined) lines.set(attempt, one = new AttemptLines(attempt))
    if (waitingBytes > maxWaitingBytes) one.buffer.skip()
    else one.buffer.add((n) => LogLine.encode(n, line, attempt.annotations))
    wait(one)
  })

  const write = (sent: ReadonlyArray<AttemptLines>) =>
    TaskLogs.write(sent.map((one) => one.toPart()), dueInMs).pipe(
      Effect.provideService(RecordStore, records),
      Effect.map((versions) => {
        for (const one of sent) one.version = versions.get(one.attempt.id)
      })
    )

  /** Lines that the store refuses for what is in them are given up: they would hold up those of all others. */
  const writeOrGiveUp = (sent: ReadonlyArray<AttemptLines>): ReturnType<typeof write> =>
    Effect.catchIf(write(sent), isRefusal, (error) =>
      sent.length === 1
        ? Effect.logWarning(`the store keeps no log of task ${sent[0]!.attempt.id}: ${error.message}`)
        : Effect.forEach(sent, (one) => writeOrGiveUp([one]), { discard: true }))

  const flush = Effect.suspend(() => {
    const sent = [...waiting]
    waiting.clear()
    waitingBytes = 0
    for (const one of sent) one.waiting = 0
    if (sent.length === 0) return Effect.void
    return Effect.onError(writeOrGiveUp(sent), () =>
      Effect.sync(() => {
        for (const one of sent) {
          one.version = undefined
          wait(one)
        }
      }))
  })

  yield* Effect.addFinalizer(() =>
    Effect.sandbox(flush).pipe(
      Effect.catch((cause) =>
        Effect.logWarning("what tasks have logged last could not be written", Cause.squash(cause))
      ),
      Effect.timeoutOrElse({
        duration: options.flushForMs,
        orElse: () => Effect.logWarning("what tasks have logged last could not be written before shutdown")
      }),
      Effect.interruptible
    )
  )
  yield* supervisor.loop(
    "logs",
    Effect.gen(function*() {
      some.closeUnsafe()
      yield* flush
    }),
    { when: Effect.andThen(some.await, Effect.sleep(interval)) }
  )
  return logger
})

/** Whether the store cannot keep what it was given, in contrast to one that does not answer. */
const isRefusal = (error: InvalidOption | RecordConflict | StoreError): boolean =>
  error._tag === "InvalidOption" || error._tag === "StoreError" && error.refused === true
