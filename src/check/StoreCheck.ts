/**
 * Reads all that a store keeps for later with the code at hand: payloads of unfinished tasks and of schedules, and the records of
 * steps and signals. Nothing is changed by it, and it costs a page of memory however much is stored.
 */
import { Effect, Exit, type Schema } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { shortened } from "../domain/Quoting.ts"
import { StepsUnreadable } from "../domain/StepErrors.ts"
import * as StoredType from "../domain/StoredType.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { isFinished } from "../domain/TaskState.ts"
import * as SignalRecords from "../flow/SignalRecords.ts"
import * as StepRecords from "../flow/StepRecords.ts"
import * as StoredSchedule from "../schedule/StoredSchedule.ts"
import { RecordStore, type StoredRecord } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import type { Definitions } from "./DefinitionModules.ts"

/** What was read. */
export type Kind = "task" | "schedule" | "step" | "signal"

/** What cannot be read for one reason. */
export interface Fault {
  readonly kind: Kind
  /** The task type; `null` for what has none. */
  readonly type: string | null
  readonly version: number | null
  readonly reason: string
  readonly count: number
  /** Some of them: ids of tasks, of those whose steps it is, names of schedules, signals. */
  readonly ids: ReadonlyArray<string>
}

/** What was found. */
export interface Report {
  /** How many of each kind were read. */
  readonly checked: Readonly<Record<Kind, number>>
  /** The most frequent first. */
  readonly faults: ReadonlyArray<Fault>
  /** What is of a type that no module has. */
  readonly unknown: ReadonlyArray<Fault>
}

/** Reasons that are told apart; what has yet another one is counted together. */
const maxFaults = 100

/** Ids that are kept of each. */
const maxIds = 5

/** Tasks on a page, and bytes of them. */
const pageSize = 1000
const pageBytes = 8 * 1024 * 1024

/** Steps that are read at the same time. */
const concurrency = 16

/** Characters of a reason. */
const maxReason = 300

class Findings {
  readonly checked: Record<Kind, number> = { task: 0, schedule: 0, step: 0, signal: 0 }
  private readonly faults = new Map<string, Fault>()
  private readonly unknown = new Map<string, Fault>()

  fault(fault: Omit<Fault, "count" | "ids">, id: string): void {
    add(this.faults, fault, id)
  }

  stranger(kind: Kind, stored: string, id: string): void {
    const type = StoredType.typeOf(stored)
    const version = StoredType.versionOf(stored)
    add(this.unknown, { kind, type, version, reason: "no module has this type" }, id)
  }

  get report(): Report {
    return { checked: this.checked, faults: sorted(this.faults), unknown: sorted(this.unknown) }
  }
}

const sorted = (faults: ReadonlyMap<string, Fault>): ReadonlyArray<Fault> =>
  [...faults.values()].toSorted((a, b) => b.count - a.count)

const add = (faults: Map<string, Fault>, fault: Omit<Fault, "count" | "ids">, id: string): void => {
  const own = JSON.stringify([fault.kind, fault.type, fault.version, fault.reason])
  const isNew = !faults.has(own)
  const other = isNew && faults.size >= maxFaults
  const key = other ? "other" : own
  const before = faults.get(key) ??
    (other
      ? { ...fault, type: null, version: null, reason: "other reasons", count: 0, ids: [] }
      : { ...fault, count: 0, ids: [] })
  const ids = before.ids.length < maxIds ? [...before.ids, id] : before.ids
  faults.set(key, { ...before, count: before.count + 1, ids })
}

/** Reads all of it. */
export const run = (definitions: Definitions): Effect.Effect<Report, StoreError, TaskStore | RecordStore> =>
  Effect.gen(function*() {
    const findings = new Findings()
    yield* checkTasks(definitions, findings)
    yield* checkSchedules(definitions, findings)
    yield* checkSteps(findings)
    yield* checkSignals(findings)
    return findings.report
  })

const checkTasks = Effect.fnUntraced(function*(definitions: Definitions, findings: Findings) {
  const store = yield* TaskStore
  let before: number | undefined
  for (let more = true; more;) {
    // Of all states: a store finds waiting tasks by their turns, and would look through all of them for each page
    const page = yield* store.list({ before, limit: pageSize, maxBytes: pageBytes })
    for (const { id, payload, state, type } of page.tasks) {
      if (!isFinished(state)) read(definitions, findings, "task", type, payload, id)
    }
    before = page.next
    more = before !== undefined
    yield* Effect.yieldNow
  }
})

/** Decodes a payload as the handler would be given it. */
const read = (
  definitions: Definitions,
  findings: Findings,
  kind: Kind,
  stored: string,
  payload: string,
  id: string
): void => {
  findings.checked[kind]++
  const type = StoredType.typeOf(stored)
  const definition = definitions.get(type)
  if (definition === undefined) return findings.stranger(kind, stored, id)
  const version = StoredType.versionOf(stored)
  const reason = reasonOf(definition, payload, version)
  if (reason !== undefined) findings.fault({ kind, type, version, reason }, id)
}

const reasonOf = ({ codec }: AnyTaskDefinition, payload: string, version: number): string | undefined => {
  let exit: Exit.Exit<unknown, Schema.SchemaError>
  try {
    exit = codec.decodePayload(payload, version)
  } catch {
    return "decoding it throws"
  }
  if (Exit.isSuccess(exit)) return undefined
  const reason = exit.cause.reasons[0]
  return reason?._tag === "Fail" ? told(reason.error.message) : "decoding it throws"
}

/** What was found may be secret, and would make of each task a reason of its own. */
const told = (message: string): string => {
  const lines = message.split("\n").map((line) =>
    line.replace(/, got (?!version \d).*$/s, "").replace(/^(Expected a JSON text): .*$/s, "$1").trim()
  )
  return shortened(lines.filter((line) => line !== "").join(" "), maxReason)
}

/** Each record of a kind. */
const eachOf = Effect.fnUntraced(function*<E, R>(
  kind: string,
  see: (records: ReadonlyArray<StoredRecord>) => Effect.Effect<void, E, R>
) {
  const store = yield* RecordStore
  let after: string | undefined
  for (let more = true; more;) {
    const page = yield* Effect.catchTag(store.list(kind, { after }), "InvalidOption", Effect.die)
    yield* see(page.records)
    after = page.records.at(-1)?.id
    more = page.more && after !== undefined
    yield* Effect.yieldNow
  }
})

const checkSchedules = (definitions: Definitions, findings: Findings) =>
  eachOf(StoredSchedule.kind, (records) =>
    Effect.sync(() => {
      for (const record of records) {
        const schedule = StoredSchedule.read(record)
        if (schedule === undefined) {
          findings.checked.schedule++
          const reason = "its record cannot be read, or this runtime has no such time zone"
          findings.fault({ kind: "schedule", type: null, version: null, reason }, record.id)
          continue
        }
        const { payload, type, version } = schedule.task
        read(definitions, findings, "schedule", StoredType.storedTypeOf(type, version), payload, record.id)
      }
    }))

/** Steps of tasks that have not finished. What steps gave is decoded in their handlers, by schemas that no definition has. */
const checkSteps = (findings: Findings) =>
  eachOf(
    StepRecords.kind,
    Effect.fnUntraced(function*(records) {
      const store = yield* TaskStore
      let left = records.map(({ id }) => id)
      while (left.length > 0) {
        const outcomes = yield* store.results(left, pageBytes)
        const open = left.filter((_, index) => index < outcomes.length && outcomes[index] === undefined)
        yield* Effect.forEach(open, (id) => checkStep(findings, id), { concurrency, discard: true })
        left = left.slice(outcomes.length)
      }
    })
  )

const checkStep = (findings: Findings, id: string) =>
  Effect.catchDefect(
    Effect.map(StepRecords.read(id), () => {
      findings.checked.step++
    }),
    (defect) => {
      if (!(defect instanceof StepsUnreadable)) return Effect.die(defect)
      findings.checked.step++
      findings.fault({ kind: "step", type: null, version: null, reason: told(defect.issue) }, id)
      return Effect.void
    }
  )

const checkSignals = (findings: Findings) =>
  eachOf(SignalRecords.kind, (records) =>
    Effect.sync(() => {
      for (const record of records) {
        findings.checked.signal++
        if (SignalRecords.documentOf(record) !== undefined) continue
        const reason = "its record cannot be read"
        // Who has the token of a task may complete its signal
        findings.fault({ kind: "signal", type: null, version: null, reason }, SignalRecords.shownOf(record.id))
      }
    }))
