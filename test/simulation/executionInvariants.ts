/** What must hold of executions of workflows: of their activities, their ends, and their compensations. */
import { isDeepStrictEqual } from "node:util"
import { childOf } from "./Executions.ts"
import type { Document, End } from "./FlowLedger.ts"
import type { Stored } from "./History.ts"
import type { Invariant, Violated } from "./invariants.ts"
import type { Ledger } from "./Ledger.ts"

/** An execution, from its enqueue on. */
interface Life {
  readonly id: string
  readonly plan: { readonly hasChild?: boolean; readonly waits?: boolean }
  /** Ends that are kept, in the order in which they came, and the latest claim then. */
  readonly kept: Map<string, { readonly end: End; readonly during: number }>
  claim: number
  /** The latest attempt that has kept something or begun an activity. */
  owner: number
  /** Its result, as JSON. */
  result: string | undefined
}

const isExecution = (type: string): boolean => type.startsWith("workflow:")

const valueOf = (life: Life, step: string): unknown => {
  const end = life.kept.get(step)?.end
  return end?._tag === "Value" ? end.value : undefined
}

/** All executions, from the operations alone. */
class Lives {
  readonly byId = new Map<string, Life>()
  readonly ofClaim = new Map<number, Life>()
  private readonly ledger: Ledger

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  /** Takes an operation into account, after it was looked at. */
  apply(event: Stored): void {
    if (event.op === "enqueue") {
      for (const { id, payload, type } of event.groups.flat()) {
        if (!isExecution(type) || this.ledger.tasks.has(id)) continue
        const { payload: plan } = JSON.parse(payload) as { readonly payload: Life["plan"] }
        this.byId.set(id, { id, plan, kept: new Map(), claim: 0, owner: 0, result: undefined })
      }
    } else if (event.op === "claim") {
      for (const { claim, id, type } of event.answer.tasks) {
        const life = isExecution(type) ? this.byId.get(id) : undefined
        if (life === undefined) continue
        this.ofClaim.set(claim, life)
        life.claim = Math.max(life.claim, claim)
      }
    } else if (event.op === "put records") {
      for (const { document, kind } of event.changes) {
        if (kind !== "step" || document === null) continue
        const { claim, steps } = JSON.parse(document) as Document
        const life = this.ofClaim.get(claim)
        if (life === undefined) continue
        life.owner = Math.max(life.owner, claim)
        for (const { end, name } of steps) {
          if (!life.kept.has(name)) life.kept.set(name, { end, during: life.claim })
        }
      }
    } else if (event.op === "settle") {
      for (const settlement of event.settlements) {
        const life = this.ofClaim.get(settlement.claim)
        if (life !== undefined && settlement._tag === "Complete") life.result ??= settlement.result
      }
    }
  }
}

const checkKept = (life: Life, { claim, steps }: Document, violated: Violated): void => {
  if (claim < life.owner) violated(`#${claim} keeps ends of ${life.id}, which #${life.owner} has taken over`)
  const now = new Map(steps.map(({ end, name }) => [name, end]))
  for (const [name, { end }] of life.kept) {
    const is = now.get(name)
    // a sleep is marked as over
    if (is === undefined || (end._tag !== "Sleep" && !isDeepStrictEqual(end, is))) {
      violated(`${name} of ${life.id} was ${JSON.stringify(end)}, and is ${JSON.stringify(is)}`)
    }
  }
}

/** What a completed execution has to give, by what is kept. */
const resultOf = (ledger: Ledger, lives: Lives, life: Life): unknown => {
  if (life.id.endsWith(".part")) return valueOf(life, "c/1")
  const approval = ledger.records.find("workflow-deferred", `${life.id}/approval`)
  const by = approval === undefined ? undefined : (JSON.parse(approval.document) as { readonly value: unknown }).value
  const child = lives.byId.get(childOf(life.id))?.result
  return {
    a: valueOf(life, "a/1"),
    b: valueOf(life, "b/1"),
    c: life.plan.hasChild === true ? JSON.parse(child ?? "null") : null,
    by: life.plan.waits === true ? by : null
  }
}

export const executionInvariants: ReadonlyArray<Invariant> = [
  {
    name: "activities",
    says: "an activity whose end is kept is not run again, and its end stays as it is",
    watch: (ledger) => {
      const lives = new Lives(ledger)
      return {
        on: (event, violated) => {
          if (event._tag === "Acted") {
            const life = lives.ofClaim.get(event.claim)
            const kept = life?.kept.get(event.step)
            // an attempt that does not know that it lost its task may run what the later one has ended meanwhile
            const isOutdated = kept !== undefined && event.claim < life!.claim && event.claim <= kept.during
            if (kept !== undefined && !isOutdated) {
              violated(`${event.step} of ${event.id}#${event.claim} runs, and its end was kept before`)
            }
            if (life !== undefined) life.owner = Math.max(life.owner, event.claim)
          }
          if (event._tag !== "Stored") return
          if (event.op === "put records" && ledger.records.doneBefore(event.nonce) === undefined) {
            for (const { document, kind } of event.changes) {
              const steps = kind === "step" && document !== null ? JSON.parse(document) as Document : undefined
              const life = steps === undefined ? undefined : lives.ofClaim.get(steps.claim)
              if (life !== undefined) checkKept(life, steps!, violated)
            }
          }
          lives.apply(event)
        }
      }
    }
  },
  {
    name: "executions",
    says:
      "an execution ends once, with what its activities, its child and its deferred gave, or compensated in reverse order",
    watch: (ledger) => {
      const lives = new Lives(ledger)
      return {
        on: (event, violated) => {
          if (event._tag !== "Stored") return
          lives.apply(event)
          if (event.op !== "settle") return
          for (const [index, settlement] of event.settlements.entries()) {
            const life = lives.ofClaim.get(settlement.claim)
            if (life === undefined || event.answers[index] !== "applied") continue
            const undone = [...life.kept.keys()].filter((name) => name.startsWith("undo"))
            if (settlement._tag === "Complete") {
              const should = resultOf(ledger, lives, life)
              const is: unknown = JSON.parse(settlement.result)
              if (!isDeepStrictEqual(is, should)) {
                violated(`${life.id} gives ${settlement.result}, and should give ${JSON.stringify(should)}`)
              }
              if (undone.length > 0) violated(`${life.id} has completed, and did ${undone.join()}`)
            } else if (settlement._tag === "Fail" && settlement.failure.tag === "Refused") {
              const should = ["undo b/1", "undo a/1"]
              if (!isDeepStrictEqual(undone, should)) {
                violated(`${life.id} has failed, and did ${undone.join() || "nothing"}, not ${should.join()}`)
              }
            }
          }
        }
      }
    }
  }
]
