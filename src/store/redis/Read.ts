/**
 * Reads for people and for those who wait for results.
 */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { all, type TaskState } from "../../domain/TaskState.ts"
import * as Coverage from "../Coverage.ts"
import type { Counts, Listed, ListRequest, Outcome, Runnable, Stranded } from "../TaskStore.ts"
import { type Runner, script } from "./Runner.ts"
import * as Scripts from "./scripts/Read.ts"
import { elementsOf, failureOf, namesOf, recordOf, type Shown, shownSize, stateNames } from "./Text.ts"

const runGet = script<Shown>(Scripts.get)
const runMemory = script<number>(Scripts.memory)
const runResults = script<ReadonlyArray<string | null>>(Scripts.results)
const runList = script<readonly [next: string, ...shown: Shown]>(Scripts.list)
const runStranded = script<ReadonlyArray<string>>(Scripts.stranded)
const runCounts = script<ReadonlyArray<number>>(Scripts.counts)

/** How long the end of a task is announced after a process has asked for its result. */
const awaitedForMs = 10 * 60 * 1000

/** The first sequence number, which has 12 digits like all others. */
const firstSeq = 100_000_000_000

const letters = Object.fromEntries(Object.entries(stateNames).map(([letter, state]) => [state, letter])) as Record<
  TaskState,
  string
>

/** The reads of one deployment. */
export const make = (runner: Runner, capacity: number) => ({
  get: (id: string): Effect.Effect<TaskRecord | undefined, StoreError> =>
    Effect.map(runner("get", runGet, [id]), (texts) => texts.length === 0 ? undefined : recordOf(texts, 0)),

  results: (
    ids: ReadonlyArray<string>,
    maxBytes?: number
  ): Effect.Effect<ReadonlyArray<Outcome | undefined | null>, StoreError> =>
    maxBytes === undefined ? allResults(runner, ids) : resultsOf(runner, ids, maxBytes),

  list: (request: ListRequest): Effect.Effect<Listed, StoreError> =>
    request.before !== undefined && request.before <= firstSeq
      ? Effect.succeed({ tasks: [], next: undefined })
      : Effect.map(
        runner("list", runList, [
          request.before === undefined || request.before >= 10 * firstSeq ? "" : String(request.before),
          String(request.limit),
          String(request.maxBytes ?? Bounds.maxAnswerBytes),
          [...new Set(request.states ?? all)].map((state) => letters[state]).join(""),
          ...filterOf(request.types),
          ...filterOf(request.queues)
        ]),
        ([next, ...texts]) => ({
          tasks: Array.from({ length: texts.length / shownSize }, (_, index) => recordOf(texts, index * shownSize)),
          next: next === "" ? undefined : Number(next)
        })
      ),

  stranded: (
    runnable: ReadonlyArray<Runnable>,
    limit: number
  ): Effect.Effect<ReadonlyArray<Stranded>, StoreError> =>
    Effect.map(
      runner("find stranded tasks", runStranded, [
        String(limit),
        ...[...Coverage.of(runnable)].flatMap(([type, queues]) => [
          JSON.stringify(type),
          queues === "all" ? "" : elementsOf([...queues])
        ])
      ]),
      (texts) =>
        Array.from({ length: texts.length / 2 }, (_, index) => {
          const [queue, type] = namesOf(texts[index * 2]!)
          return { queue, type, since: Number(texts[index * 2 + 1]) }
        })
    ),

  /** Bytes of the server's memory that tasks take, about. */
  memory: Effect.suspend(() => runner("measure", runMemory, [])),

  counts: Effect.map(
    Effect.suspend(() => runner("count", runCounts, [])),
    (numbers): Counts => {
      const [scheduled = 0, running = 0, completed = 0, failed = 0, cancelled = 0, stored = 0, ...totals] = numbers
      return {
        scheduled,
        pending: stored - scheduled - running - completed - failed - cancelled,
        running,
        completed,
        failed,
        cancelled,
        capacity,
        totals: {
          created: totals[0]!,
          completed: totals[1]!,
          failed: totals[2]!,
          cancelled: totals[3]!,
          retried: totals[4]!,
          crashed: totals[5]!
        }
      }
    }
  )
})

/** The outcomes of the first ids, as far as they fit. */
const resultsOf = (
  runner: Runner,
  ids: ReadonlyArray<string>,
  maxBytes: number
): Effect.Effect<ReadonlyArray<Outcome | undefined | null>, StoreError> =>
  Effect.map(
    runner("read results", runResults, [String(awaitedForMs), String(maxBytes), ...ids]),
    (texts) => ids.slice(0, texts.length / 3).map((id, index) => outcomeOf(id, texts, index * 3))
  )

/** Large results come in several answers: a script blocks the server. */
const allResults = Effect.fnUntraced(function*(runner: Runner, ids: ReadonlyArray<string>) {
  let found = yield* resultsOf(runner, ids, Bounds.maxAnswerBytes)
  while (found.length < ids.length) {
    found = [...found, ...yield* resultsOf(runner, ids.slice(found.length), Bounds.maxAnswerBytes)]
  }
  return found
})

/** Names as JSON texts, which is how they stand in lanes. */
const filterOf = (names: ReadonlyArray<string> | undefined): readonly [enabled: string, json: string] =>
  names === undefined ? ["0", ""] : ["1", JSON.stringify(names.map((name) => JSON.stringify(name)))]

const outcomeOf = (
  id: string,
  texts: ReadonlyArray<string | null>,
  at: number
): Outcome | undefined | null => {
  const letter = texts[at]
  if (letter === "W") return undefined
  if (letter === "" || typeof letter !== "string") return null
  return { id, state: stateNames[letter]!, result: texts[at + 1] ?? null, failure: failureOf(texts[at + 2]) }
}
