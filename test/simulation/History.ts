/**
 * What was seen of a run from outside the engine: every operation in the order in which the store applied it, every
 * step of a handler, everything that clients were told, and everything that was done to the machines.
 */
import type { SettleAnswer, Settlement } from "../../src/domain/Settlement.ts"
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import type { TaskState } from "../../src/domain/TaskState.ts"
import type { Change, Due, Written } from "../../src/store/RecordStore.ts"
import type { RescheduleAnswer, RescheduleRequest } from "../../src/store/Reschedule.ts"
import type {
  CancelAnswer,
  ClaimAnswer,
  ClaimRef,
  ClaimRequest,
  EnqueueAnswer,
  Expired,
  ExtendAnswer,
  ProgressReport,
  RemoveAnswer,
  RerunAnswer,
  Rescued,
  RescueRequest,
  Retention
} from "../../src/store/TaskStore.ts"
import type { Behaviour } from "./Scenario.ts"

/** An operation that changed the store, or could have, with what the store answered. */
export type Operation =
  | {
    readonly op: "enqueue"
    readonly groups: ReadonlyArray<ReadonlyArray<NewTask>>
    readonly answers: ReadonlyArray<EnqueueAnswer>
  }
  | { readonly op: "claim"; readonly request: ClaimRequest; readonly answer: ClaimAnswer }
  | {
    readonly op: "extend"
    readonly refs: ReadonlyArray<ClaimRef>
    readonly leaseForMs: number
    readonly answers: ReadonlyArray<ExtendAnswer>
  }
  | {
    readonly op: "settle"
    readonly settlements: ReadonlyArray<Settlement>
    readonly answers: ReadonlyArray<SettleAnswer>
  }
  | { readonly op: "report"; readonly reports: ReadonlyArray<ProgressReport> }
  | { readonly op: "rescue"; readonly request: RescueRequest; readonly rescued: ReadonlyArray<Rescued> }
  | { readonly op: "expire"; readonly limit: number; readonly expired: ReadonlyArray<Expired> }
  | { readonly op: "cancel"; readonly ids: ReadonlyArray<string>; readonly answers: ReadonlyArray<CancelAnswer> }
  | { readonly op: "rerun"; readonly ids: ReadonlyArray<string>; readonly answers: ReadonlyArray<RerunAnswer> }
  | {
    readonly op: "reschedule"
    readonly requests: ReadonlyArray<RescheduleRequest>
    readonly answers: ReadonlyArray<RescheduleAnswer>
  }
  | { readonly op: "remove"; readonly ids: ReadonlyArray<string>; readonly answers: ReadonlyArray<RemoveAnswer> }
  /** Whether the instance has the lease of the chore now. */
  | {
    readonly op: "lead"
    readonly chore: string
    readonly id: string
    readonly forMs: number
    readonly leads: boolean
  }
  | { readonly op: "leave"; readonly id: string }
  /** A put that was done, or had been done before. */
  | {
    readonly op: "put records"
    readonly changes: ReadonlyArray<Change>
    readonly nonce: string | undefined
    readonly version: number
  }
  /**
   * Parts that were written together before. What is written for the first time is seen as what it does: it settles, it enqueues,
   * it puts.
   */
  | {
    readonly op: "write together again"
    readonly nonce: string
    readonly before: Written
    /** What was answered now: the same, or why it was refused. */
    readonly answer: Written | string
  }
  | { readonly op: "take records"; readonly kind: string; readonly leaseForMs: number; readonly answer: Due }
  /** `gone` are the tasks that it removed. */
  | { readonly op: "prune"; readonly retention: Retention; readonly gone: ReadonlyArray<string> }

/** An operation as it was applied. Every event bears the world's time in milliseconds. */
export type Stored = Operation & {
  readonly _tag: "Stored"
  readonly at: number
  /** The store's wall clock, in milliseconds since the epoch. */
  readonly now: number
  /** The clock by which the store measures leads. */
  readonly measured: number
  /** The process that sent it, such as `i1.0`: instance 1, started for the first time. */
  readonly from: string
}

/** How an attempt left its handler. */
export type Ending = "succeeded" | "failed" | "died" | "snoozed" | "interrupted"

/** Everything that can be seen. */
export type Event =
  | Stored
  /** The answer to a claim or a heartbeat has reached a process that waits for it. */
  | {
    readonly _tag: "Told"
    readonly at: number
    readonly process: string
    readonly refs: ReadonlyArray<ClaimRef>
    readonly news: "claimed" | "lost" | "cancel"
  }
  /** After a claim that gave less than it was asked for: the codes of what keeps the tasks from starting that it left. */
  | {
    readonly _tag: "Explained"
    readonly at: number
    readonly now: number
    readonly tasks: ReadonlyArray<{ readonly id: string; readonly codes: ReadonlyArray<string> }>
  }
  /** A process has sent a claim for so many tasks. */
  | { readonly _tag: "Claimed"; readonly at: number; readonly process: string; readonly limit: number }
  | {
    readonly _tag: "Began"
    readonly at: number
    readonly process: string
    readonly id: string
    readonly claim: number
    readonly behaviour: Behaviour
  }
  | {
    readonly _tag: "Ended"
    readonly at: number
    readonly process: string
    readonly id: string
    readonly claim: number
    readonly how: Ending
    readonly result: string | undefined
  }
  /** The effect of a step begins to run. */
  | {
    readonly _tag: "Effect"
    readonly at: number
    readonly process: string
    readonly id: string
    readonly claim: number
    readonly step: string
  }
  /** A step has given its handler a value, as JSON text. */
  | {
    readonly _tag: "Given"
    readonly at: number
    /** The store's wall clock. */
    readonly now: number
    readonly process: string
    readonly id: string
    readonly claim: number
    readonly step: string
    readonly value: string
  }
  /** An activity of an execution begins to run, and is to give this value. */
  | {
    readonly _tag: "Acted"
    readonly at: number
    readonly process: string
    readonly id: string
    readonly claim: number
    readonly step: string
    readonly value: number
  }
  /** An attempt has read how the tasks ended that its own depends on. */
  | {
    readonly _tag: "Read"
    readonly at: number
    readonly process: string
    readonly id: string
    readonly claim: number
    readonly ends: ReadonlyArray<{ readonly id: string; readonly state: string }>
  }
  /** After a write that was news for tasks that depend on others: what the store says of them now. */
  | {
    readonly _tag: "Told on"
    readonly at: number
    readonly tasks: ReadonlyArray<{ readonly id: string; readonly state: TaskState; readonly waitsFor: number }>
  }
  /** A client's call has returned. */
  | { readonly _tag: "Answered"; readonly at: number; readonly process: string; readonly call: Call }
  | {
    readonly _tag: "Process"
    readonly at: number
    readonly process: string
    readonly what: "started" | "ready" | "closing" | "closed" | "died" | "froze" | "thawed"
  }
  /** The store's wall clock was moved: what it showed before. */
  | { readonly _tag: "Stepped"; readonly at: number; readonly byMs: number; readonly before: number }
  /** From here on everything works. */
  | { readonly _tag: "Healed"; readonly at: number }

/** What a client was told. */
export type Call =
  /** The names that are in these logs now, and the reminders that will be. */
  | { readonly do: "append" | "remind"; readonly name: string; readonly logs: ReadonlyArray<string> }
  | { readonly do: "enqueue"; readonly ids: ReadonlyArray<string> }
  /** The end that a signal has, as the client knows it, or why the client was refused. */
  | { readonly do: "signal"; readonly token: string; readonly by: number; readonly outcome: string }
  /** It has ended with a defect. */
  | { readonly do: "die"; readonly name: string; readonly of: string }
  | { readonly do: "result"; readonly id: string; readonly outcome: string; readonly of: string | undefined }

/** A line for people. */
export const describe = (event: Event): string => {
  switch (event._tag) {
    case "Stored":
      return `${event.from} ${describeOperation(event)}`
    case "Told":
      return `${event.process} is told: ${event.news} ${event.refs.map(name).join(" ")}`
    case "Claimed":
      return `${event.process} has asked for ${event.limit}`
    case "Began":
      return `${event.process} begins ${name(event)} ${event.behaviour}`
    case "Ended":
      return `${event.process} ends ${name(event)} ${event.how}`
    case "Effect":
      return `${event.process} runs ${event.step} of ${name(event)}`
    case "Given":
      return `${event.process} is given ${event.value} by ${event.step} of ${name(event)}`
    case "Acted":
      return `${event.process} runs ${event.step} of ${name(event)} for ${event.value}`
    case "Read":
      return `${event.process} reads ${event.ends.map(({ id, state }) => `${id} ${state}`).join(", ")} for ${
        name(event)
      }`
    case "Told on":
      return event.tasks.map(({ id, state, waitsFor }) => `${id} is ${state} and waits for ${waitsFor}`).join("; ")
    case "Stepped":
      return `the store's clock steps by ${event.byMs} ms`
    case "Answered":
      return `${event.process} answers ${JSON.stringify(event.call)}`
    case "Process":
      return `${event.process} ${event.what}`
    case "Explained":
      return event.tasks.map(({ codes, id }) => `${id} waits: ${codes.join(" ")}`).join("; ")
    case "Healed":
      return "everything works again"
  }
}

const name = ({ claim, id }: ClaimRef): string => `${id}#${claim}`

const describeOperation = (operation: Operation): string => {
  switch (operation.op) {
    case "enqueue":
      return operation.groups.map((group, index) => {
        const answer = operation.answers[index]!
        return `enqueue ${group.map(({ id }) => id).join(" ")} → ${
          answer._tag === "Accepted"
            ? answer.tasks.map(({ duplicate, id, merge }) => duplicate ? `(${id}${merge ? ` ${merge}` : ""})` : id)
              .join(" ")
            : answer._tag === "Conflict"
            ? `Conflict with ${answer.id}`
            : answer._tag
        }`
      }).join("; ")
    case "claim": {
      const { answer: { expired = [], tasks }, request } = operation
      const ended = expired.length === 0 ? "" : `, too late for ${expired.map(({ id }) => id).join(" ")}`
      return `claim ${request.limit} (${request.nonce % 10_000}) → ${tasks.map(name).join(" ")}${ended}`
    }
    case "extend":
      return `extend → ${operation.refs.map((ref, index) => `${name(ref)} ${operation.answers[index]}`).join(" ")}`
    case "settle":
      return `settle ${
        operation.settlements.map((settlement, index) =>
          `${settlement._tag} ${name(settlement)} → ${operation.answers[index]}`
        ).join("; ")
      }`
    case "report":
      return `report ${operation.reports.map((report) => `${name(report)} ${report.progress}`).join(" ")}`
    case "rescue":
      return `rescue → ${operation.rescued.map(({ id, state }) => `${id} ${state}`).join(" ")}`
    case "expire":
      return `expire → ${operation.expired.map(({ id }) => id).join(" ")}`
    case "cancel":
    case "remove":
      return `${operation.op} ${operation.ids.map((id, index) => `${id} → ${operation.answers[index]}`).join(" ")}`
    case "rerun":
      return `retry ${operation.ids.map((id, index) => `${id} → ${operation.answers[index]!._tag}`).join(" ")}`
    case "reschedule":
      return `reschedule ${
        operation.requests.map(({ delayMs, id, payload, priority }, index) =>
          `${id} ${JSON.stringify({ payload, priority, delayMs })} → ${operation.answers[index]!._tag}`
        ).join("; ")
      }`
    case "lead":
      return `lead ${operation.chore} → ${operation.leads}`
    case "leave":
      return "leave"
    case "put records":
      return `put ${
        operation.changes.map(({ document, id, kind }) => `${kind} ${id} ${document}`).join(", ")
      } (${operation.nonce}) → ${operation.version}`
    case "write together again":
      return `write together again (${operation.nonce}) → ${JSON.stringify(operation.answer)}`
    case "take records":
      return `take ${
        operation.answer.records.map(({ id, version }) => `${operation.kind} ${id} → ${version}`).join(", ")
      }`
    case "prune":
      return `prune → ${operation.gone.join(" ")}`
  }
}
