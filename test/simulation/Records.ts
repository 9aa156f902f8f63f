/**
 * What clients keep in records, and what each process does about those that are due: both append a name to logs, which
 * several want at the same time. A name has to be in each of its logs once, or in none.
 */
import { Effect, Layer, Schedule } from "effect"
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import { absent, type Change, RecordStore, type StoredRecord, type Together } from "../../src/store/RecordStore.ts"
import type { ClaimRef } from "../../src/store/TaskStore.ts"

/** The log of the reminders that have been done. */
export const doneLog = "done"

/** The log of the attempts that have ended together with the start of the next task. */
export const chainLog = "chained"

/** How often a process looks for what is due, and for how long it takes it. */
const lookMs = 700
const leaseMs = 1500

/** A store error is tried again, as the same put. */
export const untilTheStoreAnswers = {
  while: (error: { readonly _tag: string }) => error._tag === "StoreError",
  schedule: Schedule.spaced("300 millis")
}

/** The names in a log. */
export const namesIn = (log: Pick<StoredRecord, "document"> | undefined): ReadonlyArray<string> =>
  log === undefined ? [] : JSON.parse(log.document) as ReadonlyArray<string>

/**
 * Appends a name to logs, together with another change. Answers whether that was possible: another process may have made
 * that change. `caller` is unique.
 */
export const append = Effect.fnUntraced(function*(
  caller: string,
  name: string,
  logs: ReadonlyArray<string>,
  also: ReadonlyArray<Change> = []
) {
  const records = yield* RecordStore
  for (let attempt = 0;; attempt++) {
    const found = yield* Effect.retry(records.get("log", logs), untilTheStoreAnswers)
    const changes = logs.map((id, index): Change => ({
      kind: "log",
      id,
      expects: found[index]?.version ?? absent,
      document: JSON.stringify([...namesIn(found[index]), name])
    }))
    const put = Effect.retry(records.put([...changes, ...also], `${caller} ${attempt}`), untilTheStoreAnswers)
    const conflict = yield* Effect.match(put, {
      onSuccess: () => undefined,
      onFailure: (error) => error._tag === "RecordConflict" ? error.index : Infinity
    })
    if (conflict === undefined) return true
    if (conflict >= logs.length) return false
  }
})

/** An attempt as one name. */
export const nameOf = ({ claim, id }: ClaimRef): string => `${id}#${claim}`

/** The task that follows an attempt. */
const nextOf = (attempt: ClaimRef): NewTask => ({
  id: `next of ${nameOf(attempt)}`,
  type: "next",
  queue: "default",
  payload: JSON.stringify({ of: nameOf(attempt) }),
  priority: 1,
  key: null,
  maxRetries: 3,
  timeoutMs: null,
  gate: null,
  costs: null,
  delayMs: 0,
  runAt: null,
  expiresInMs: null,
  startWithinMs: null
})

/**
 * Ends an attempt, notes that in a log and starts the next task, in one write. Answers whether that was possible. `caller` is
 * unique.
 */
export const chain = Effect.fnUntraced(function*(caller: string, attempt: ClaimRef, result: string) {
  const records = yield* RecordStore
  const name = nameOf(attempt)
  for (let tried = 0;; tried++) {
    const [found] = yield* Effect.retry(records.get("log", [chainLog]), untilTheStoreAnswers)
    const parts: Together = {
      changes: [{
        kind: "log",
        id: chainLog,
        expects: found?.version ?? absent,
        document: JSON.stringify([...namesIn(found), name])
      }],
      tasks: [nextOf(attempt)],
      settlements: [{ _tag: "Complete", ...attempt, result }]
    }
    const written = Effect.retry(records.atomically(`${caller} ${tried}`, parts), untilTheStoreAnswers)
    const refusal = yield* Effect.match(written, { onSuccess: () => undefined, onFailure: ({ _tag }) => _tag })
    if (refusal === undefined) return true
    if (refusal !== "RecordConflict") return false
  }
})

/** Makes a reminder, unless there is one of that id. Answers whether it was made. */
export const remind = (caller: string, name: string, id: string, dueInMs: number) =>
  RecordStore.use((records) =>
    records.put([{ kind: "reminder", id, expects: absent, document: JSON.stringify(name), dueInMs }], caller)
  ).pipe(Effect.retry(untilTheStoreAnswers), Effect.isSuccess)

/** Does what is due until the scope closes: a reminder is removed in the put that notes it as done. */
export const layer = (process: string): Layer.Layer<never, never, RecordStore> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const records = yield* RecordStore
    let looks = 0
    const look = Effect.gen(function*() {
      const { records: due } = yield* records.take("reminder", 2, leaseMs)
      for (const { document, id, version } of due) {
        const done = { kind: "reminder", id, expects: version, document: null }
        yield* append(`${process} ${++looks}`, JSON.parse(document) as string, [doneLog], [done])
      }
    })
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.ignore(look), Effect.sleep(lookMs))))
  }))
