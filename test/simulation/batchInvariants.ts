/** What must hold of batches: of their records, by the ends of their members, and of what they start. */
import { isDeepStrictEqual } from "node:util"
import { type Callback, callbackId, callbacks } from "./Batches.ts"
import type { Event, Stored } from "./History.ts"
import type { Invariant, Violated } from "./invariants.ts"
import { isFinished, type Known } from "./Known.ts"
import type { Ledger } from "./Ledger.ts"

interface Ends {
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  readonly expired: number
}

/** What is stored of a batch, as far as it is looked at. */
interface Document {
  readonly parts: number
  readonly openParts: number
  readonly members: number
  readonly ends: Ends
  readonly isSealed: boolean
  readonly isCancelled: boolean
  readonly isFinished: boolean
  readonly callbacks: Readonly<Record<Callback, string | null>>
}

interface Part {
  readonly members: number
  readonly isCounted?: true
}

const states = ["completed", "failed", "cancelled", "expired"] as const

const sumOf = (ends: Ends): number => states.reduce((sum, state) => sum + ends[state], 0)

const hasFailed = ({ ends }: Known): boolean => ends.failed + ends.cancelled + ends.expired > 0

const batchOf = (id: string): string => id.split("/", 1)[0]!

const parse = <A>(document: string | null | undefined): A | undefined =>
  document === null || document === undefined ? undefined : JSON.parse(document) as A

/** What is known of the parts of all batches. */
class Parts {
  /** Their tasks, also those that are gone. */
  private readonly tasks = new Map<string, Known>()
  private readonly claimedAt = new Map<string, number>()
  private readonly rerunAt = new Map<Known, number>()
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  /** Takes an event into account, before the ledger does. */
  on(event: Event): void {
    if (event._tag !== "Stored") return
    if (event.op === "claim") {
      for (const { id, type } of event.answer.tasks) {
        if (type === "taskforge.batch" && !this.claimedAt.has(id)) this.claimedAt.set(id, event.at)
      }
    } else if (event.op === "rerun") {
      for (const [index, id] of event.ids.entries()) {
        const known = this.ledger.tasks.get(id)
        if (known !== undefined && event.answers[index]!._tag === "rerun") this.rerunAt.set(known, event.at)
      }
    } else if (event.op === "put records") {
      for (const { document, id, kind } of event.changes) {
        const known = kind === "batch-part" && document !== null ? this.ledger.tasks.get(id) : undefined
        if (known !== undefined) this.tasks.set(id, known)
      }
    }
  }

  /** The members of a part. */
  membersOf(part: string): ReadonlyArray<Known> {
    return this.tasks.get(part)?.after ?? []
  }

  /** Those of all parts of a batch so far. */
  allOf(batch: string): ReadonlySet<Known> {
    return new Set([...this.tasks.keys()].filter((id) => batchOf(id) === batch).flatMap((id) => this.membersOf(id)))
  }

  /** Whether a task was run again after another one had been claimed for the first time. */
  isRunAgain(known: Known, since: string): boolean {
    return (this.rerunAt.get(known) ?? -1) >= (this.claimedAt.get(since) ?? Infinity)
  }
}

/** The batches that a write changes: what was stored of each, and what is. */
const changedBy = (
  ledger: Ledger,
  event: Stored & { readonly op: "put records" }
): ReadonlyArray<{ readonly id: string; readonly before: Document | undefined; readonly after: Document }> =>
  ledger.records.doneBefore(event.nonce) !== undefined
    ? []
    : event.changes.flatMap(({ document, id, kind }) => {
      const after = kind === "batch" ? parse<Document>(document) : undefined
      const before = parse<Document>(ledger.records.find("batch", id)?.document)
      return after === undefined ? [] : [{ id, before, after }]
    })

/** The parts that a write counts, and the members of those that it makes. */
const partsIn = (ledger: Ledger, event: Stored & { readonly op: "put records" }) => {
  const counted: Array<{ readonly id: string; readonly members: number }> = []
  const begun: Array<string> = []
  let made = 0
  for (const { document, id, kind } of event.changes) {
    if (kind !== "batch-part") continue
    const before = parse<Part>(ledger.records.find(kind, id)?.document)
    const after = parse<Part>(document)
    if (before === undefined) {
      made += after?.members ?? 0
      begun.push(id)
    } else if (before.isCounted !== true) counted.push({ id, members: before.members })
  }
  return { counted, made, begun }
}

const checkCount = (
  parts: Parts,
  { after, before, id }: { readonly id: string; readonly before: Document; readonly after: Document },
  { begun, counted, made }: ReturnType<typeof partsIn>,
  violated: Violated
): void => {
  if (counted.length === 0) {
    if (!isDeepStrictEqual(before.ends, after.ends)) violated(`${id} counts ends, and no part of it has ended`)
    return
  }
  const members = counted.flatMap((part) => parts.membersOf(part.id))
  const told = Object.fromEntries(
    states.map((state) => [state, after.ends[state] - before.ends[state]])
  ) as unknown as Ends
  const total = before.members - counted.reduce((sum, part) => sum + part.members, 0) + members.length
  if (after.members !== total) violated(`${id} has ${after.members} members, and should have ${total}`)
  if (sumOf(told) + made !== members.length) {
    violated(`${id} counts ${sumOf(told)} ends and leaves ${made} members, of ${members.length}`)
  }
  // what is run again while they are counted may have been seen before or after that
  if (counted.some((part) => members.some((known) => parts.isRunAgain(known, part.id)))) return
  // those that had not ended when they were looked at are left to another part, also where they have ended since
  const left = new Set(begun.flatMap((part) => parts.membersOf(part)))
  const are = Object.fromEntries(
    states.map((state) => [state, members.filter((known) => known.state === state && !left.has(known)).length])
  ) as unknown as Ends
  if (!isDeepStrictEqual(told, are)) {
    violated(`${id} counts ${JSON.stringify(told)}, and its members are ${JSON.stringify(are)}`)
  }
}

export const batchInvariants: ReadonlyArray<Invariant> = [
  {
    name: "batches",
    says: "the end of each member is counted once, as it is, and a batch finishes once: sealed, and after all of them",
    watch: (ledger) => {
      const parts = new Parts(ledger)
      return {
        on: (event, violated) => {
          parts.on(event)
          if (event._tag !== "Stored" || event.op !== "put records") return
          for (const { after, before, id } of changedBy(ledger, event)) {
            if (before === undefined) continue
            if (before.isFinished && !isDeepStrictEqual(before, after)) violated(`${id} is changed and had finished`)
            if (before.isSealed && !after.isSealed) violated(`${id} was sealed, and is open`)
            checkCount(parts, { id, before, after }, partsIn(ledger, event), violated)
            if (!after.isFinished || before.isFinished) continue
            if (!after.isSealed) violated(`${id} has finished and is open`)
            for (const known of parts.allOf(id)) {
              if (sumOf(known.ends) === 0) violated(`${id} has finished, and ${known.task.id} never ended`)
            }
            if (sumOf(after.ends) !== after.members) {
              violated(`${id} has finished with ${sumOf(after.ends)} ends of ${after.members} members`)
            }
          }
        }
      }
    }
  },
  {
    name: "callbacks",
    says: "what a batch starts begins once it may, and what it does not start is cancelled",
    watch: (ledger) => {
      const parts = new Parts(ledger)
      const roles = new Map<string, { readonly batch: string; readonly callback: Callback }>()
      const started = new Set<string>()
      /** Those that an operator has ended, brought back or removed. */
      const touched = new Set<string>()
      return {
        on: (event, violated) => {
          parts.on(event)
          if (event._tag !== "Stored") return
          if (event.op === "put records") {
            for (const { before, id } of changedBy(ledger, event)) {
              if (before !== undefined) continue
              for (const callback of callbacks) roles.set(callbackId(id, callback), { batch: id, callback })
            }
          } else if (event.op === "cancel" || event.op === "rerun" || event.op === "remove") {
            for (const id of event.ids) touched.add(id)
          } else if (event.op === "claim" && ledger.repeated(event.request) === undefined) {
            for (const { id } of event.answer.tasks) {
              const role = roles.get(id)
              if (role === undefined) continue
              started.add(id)
              if (touched.has(id)) continue
              const batch = parse<Document>(ledger.records.find("batch", role.batch)?.document)!
              const mayStart = role.callback === "onFailure"
                ? [...parts.allOf(role.batch)].some(hasFailed)
                : batch.isFinished && (role.callback === "onFinished" || batch.ends.completed === batch.members)
              if (!mayStart) violated(`${id} begins, and the batch is ${JSON.stringify(batch)}`)
            }
          }
        },
        atEnd: (_, violated) => {
          for (const { document, id } of ledger.records.of("batch")) {
            const batch = JSON.parse(document) as Document
            const isComplete = batch.ends.completed === batch.members
            for (const callback of callbacks) {
              const task = callbackId(id, callback)
              if (batch.callbacks[callback] === null || touched.has(task)) continue
              const should = callback === "onFinished" || (callback === "onSuccess") === isComplete
              // a member that has failed may have been run again before it was counted
              const may = callback === "onFailure" && [...parts.allOf(id)].some(hasFailed)
              const isCut = callback === "onSuccess" && batch.isCancelled
              if (started.has(task) ? !should && !may : should && !isCut) {
                violated(`${task} has ${started.has(task) ? "" : "not "}begun, and it is ${document}`)
              }
            }
          }
        }
      }
    }
  },
  {
    name: "cancelled batches",
    says: "the cancel of a batch cancels all members that have not ended",
    watch: (ledger) => {
      const parts = new Parts(ledger)
      /** By batch, the parts that were open when it was cancelled. */
      const open = new Map<string, ReadonlyArray<string>>()
      return {
        on: (event, violated) => {
          parts.on(event)
          if (event._tag !== "Stored") return
          if (event.op === "put records") {
            for (const { after, before, id } of changedBy(ledger, event)) {
              if (before?.isCancelled !== false || !after.isCancelled) continue
              open.set(
                id,
                ledger.records.of("batch-part").flatMap((record) =>
                  batchOf(record.id) === id && (JSON.parse(record.document) as Part).isCounted !== true
                    ? [record.id]
                    : []
                )
              )
            }
          } else if (event.op === "settle") {
            for (const [index, { _tag, id }] of event.settlements.entries()) {
              if (_tag !== "Complete" || event.answers[index] !== "applied" || !id.endsWith("/cancel")) continue
              const members = (open.get(batchOf(id)) ?? []).flatMap((part) => parts.membersOf(part))
              for (const known of members) {
                if (isFinished(known) || known.cancelRequested || parts.isRunAgain(known, id)) continue
                violated(`${known.task.id} is ${known.state}, and the members of ${batchOf(id)} have been cancelled`)
              }
            }
          }
        }
      }
    }
  }
]
