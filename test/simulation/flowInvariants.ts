/** What must hold of steps, sleeps and signals: worked out from what is stored, and from what handlers and clients were told. */
import { isDeepStrictEqual } from "node:util"
import type { Document, End, Kept, Life, SignalDocument } from "./FlowLedger.ts"
import { steps } from "./Flows.ts"
import type { Event } from "./History.ts"
import type { Invariant } from "./invariants.ts"
import { isFinished } from "./Known.ts"
import { calmAt, leaseMs, pollMs, type Scenario } from "./Scenario.ts"

/**
 * How long a task may sleep on once its signal is completed and it sleeps: one that was about to sleep is looked at again after five
 * seconds, by a leader that has to be found first.
 */
const wokenMs = 5000 + leaseMs * 2 + pollMs * 5

/** What a handler is given of an end that is kept. */
const shown = (end: End): string => {
  switch (end._tag) {
    case "Value":
      return `by ${(end.value as { readonly by: number }).by}`
    case "Error":
      return `denied by ${(end.error as { readonly by: number }).by}`
    default:
      return "timed out"
  }
}

/** Whether an end is what it was: waits come to an end, and sleeps are over at some time. */
const isSame = (before: End, after: End): boolean =>
  before._tag === "Wait" || isDeepStrictEqual(before, after) ||
  (before._tag === "Sleep" && before.over !== true && isDeepStrictEqual({ ...before, over: true }, after))

/** Whether the store's clock is left alone. */
const isEven = ({ faults }: Scenario): boolean => faults.every((fault) => fault.do !== "store clock")

/** An end by which a client has completed a signal. */
const endOf = (by: number): string => by < 0 ? `denied by ${by}` : `by ${by}`

const nameOf = (event: { readonly id: string; readonly claim: number }, step: string): string =>
  `${step} of ${event.id}#${event.claim}`

/** A time that an end of a step has to be near to: so long after its attempt asked the store. */
const timeOf = (life: Life, end: End): readonly [until: number | null, ms: number | null] | undefined =>
  end._tag === "Sleep"
    ? [end.until, life.restMs]
    : end._tag === "Wait"
    ? [end.until, life.patienceMs]
    : undefined

export const flowInvariants: ReadonlyArray<Invariant> = [
  {
    name: "steps",
    says: "a step whose end is kept is not run again, and gives the same in all attempts",
    watch: ({ flows }) => ({
      on: (event, violated) => {
        if (event._tag !== "Effect" && event._tag !== "Given") return
        const { claim, step } = event
        const life = flows.ofClaim.get(claim)
        const kept = life?.kept.get(step)
        if (event._tag === "Effect") {
          // An attempt that does not know that it lost its task may run what the later one has ended meanwhile
          const isOutdated = kept !== undefined && claim < life!.claim && claim <= kept.during
          if (kept !== undefined && !isOutdated) violated(`${nameOf(event, step)} runs, and its end was kept before`)
          return
        }
        if (kept === undefined) return violated(`${nameOf(event, step)} gives ${event.value} before that is kept`)
        checkGiven(event, life!, kept, Math.max(flows.maxNow, event.now), violated)
      }
    })
  },
  {
    name: "kept steps",
    says: "only the latest attempt that began a step keeps ends, and no end is changed or lost",
    watch: ({ attempts, flows }, scenario) => ({
      on: (event, violated) => {
        if (event._tag !== "Stored" || event.op !== "put records") return
        const behaviourOf = (claim: number) => attempts.get(claim)?.began?.behaviour
        for (const { document, id, kind } of event.changes) {
          if (kind !== "step" || document === null) continue
          const { claim, steps: entries } = JSON.parse(document) as Document
          const life = flows.ofClaim.get(claim)
          if (life === undefined && behaviourOf(claim) === "workflow") continue
          if (life === undefined) {
            violated(`the steps of ${id} are written by #${claim}, which was never claimed`)
            continue
          }
          if (claim < life.owner) violated(`#${claim} keeps steps of ${id}, which #${life.owner} has taken over`)
          const now = new Map(entries.map(({ end, name }) => [name, end]))
          for (const [name, { end }] of life.kept) {
            if (!now.has(name)) violated(`the end of ${name} of ${id} is lost`)
            else if (!isSame(end, now.get(name)!)) {
              violated(
                `the end of ${name} of ${id} was ${JSON.stringify(end)}, and is ${JSON.stringify(now.get(name))}`
              )
            }
          }
          for (const [name, end] of now) {
            const time = life.kept.has(name) ? undefined : timeOf(life, end)
            if (time === undefined) continue
            const [until, ms] = time
            if (until === null || ms === null) {
              if (until !== ms) violated(`${name} of ${id} waits until ${until}, and should for ${ms} ms`)
              continue
            }
            const latest = Math.max(flows.maxNow, event.now) + ms
            if (until > latest) violated(`${name} of ${id} is to end ${until - latest} ms too late`)
            const earliest = isEven(scenario) ? life.claimedAt.get(claim)! + ms : 0
            if (until < earliest) violated(`${name} of ${id} is to end ${earliest - until} ms too early`)
          }
        }
      }
    })
  },
  {
    name: "sleeps",
    says: "a task sleeps as long as it said, and no longer",
    watch: ({ flows }, scenario) => ({
      on: (event, violated) => {
        if (event._tag !== "Stored" || event.op !== "settle") return
        for (const [index, settlement] of event.settlements.entries()) {
          const { claim, id } = settlement
          const life = flows.ofClaim.get(claim)
          if (life === undefined || settlement._tag !== "Snooze" || event.answers[index] !== "applied") continue
          const after = life.kept.get(steps.second)
          const isPassed = after !== undefined && after.during < claim
          if (isPassed && life.wait === undefined) violated(`${id}#${claim} sleeps once more, and has gone on before`)
          // Times of sleeps are of the store's clock, and move with it
          if (!isEven(scenario)) continue
          const { end } = life.kept.get(steps.answer) ?? life.kept.get(steps.rest) ?? {}
          const [until, ms] = (end === undefined ? undefined : timeOf(life, end)) ?? [0, 0]
          if (until === null || ms === null) continue
          if (settlement.delayMs > ms) violated(`${id}#${claim} sleeps for ${settlement.delayMs} ms, not ${ms}`)
          // The time until it sleeps is measured by its process, whose clock may be a little fast
          const early = until - (event.now + settlement.delayMs)
          const allowed = 0.05 * (event.now - life.claimedAt.get(claim)!) + 2
          if (early > allowed) violated(`${id}#${claim} is to go on ${early} ms too early`)
        }
      }
    })
  },
  {
    name: "signals",
    says: "a signal keeps the end that it was given first, and whoever completes it is told so",
    watch: ({ flows, tasks }) => ({
      on: (event, violated) => {
        if (event._tag === "Stored" && event.op === "put records") {
          for (const { document, id, kind } of event.changes) {
            const before = kind === "signal" && document !== null ? flows.signal(id)?.end ?? null : null
            const after = before === null ? null : (JSON.parse(document!) as SignalDocument).end
            if (before !== null && !isDeepStrictEqual(before, after)) {
              violated(`${id} ended with ${JSON.stringify(before)}, and now with ${JSON.stringify(after)}`)
            }
          }
        } else if (event._tag === "Answered" && event.call.do === "signal") {
          const { by, outcome, token } = event.call
          const signal = flows.signal(token)
          if (signal === undefined) return
          // A token ends with its task
          const { task = null } = signal
          const isAsleep = task === null || !isFinished(tasks.get(task) ?? { state: "cancelled" })
          if (outcome === "SignalNotFound" && !isAsleep) return
          const is = signal.end === null ? "open" : shown(signal.end)
          const isRight = outcome === "completed" ? is === endOf(by) : outcome === "SignalConflict" && is !== endOf(by)
          if (!isRight) violated(`${token} is ${is}; who completed it ${endOf(by)} was told: ${outcome}`)
        }
      }
    })
  },
  {
    name: "woken",
    says: "a task that sleeps until a signal comes is due soon after it has come",
    watch: (ledger, scenario) => ({
      on: (event, violated) => {
        const { flows } = ledger
        if (flows.lives.size === 0 || event._tag !== "Stored") return
        for (const { id, kept, snoozedAt } of flows.lives.values()) {
          const end = kept.get(steps.answer)?.end
          const known = ledger.tasks.get(id)
          if (end?._tag !== "Wait" || known?.state !== "scheduled" || known.dueAt <= event.now) continue
          const endedAt = flows.endedAt.get(end.token)
          if (endedAt === undefined) continue
          const since = Math.max(endedAt, snoozedAt, calmAt(scenario), ledger.disturbedAt)
          if (event.at > since + wokenMs) {
            violated(
              `${id} sleeps for ${known.dueAt - event.now} ms more, and ${end.token} came ${event.at - since} ms ago`
            )
          }
        }
      }
    })
  }
]

const checkGiven = (
  event: Extract<Event, { readonly _tag: "Given" }>,
  life: Life,
  { end }: Kept,
  now: number,
  violated: (how: string) => void
): void => {
  const name = nameOf(event, event.step)
  if (event.step === steps.rest) {
    if (end._tag !== "Sleep") violated(`${name} was no sleep`)
    else if (end.until > now) violated(`${name} ends ${end.until - now} ms too early`)
    return
  }
  const should = event.step !== steps.answer ? end._tag === "Value" ? end.value : end._tag : shown(end)
  if (event.value !== JSON.stringify(should)) {
    violated(`${name} gives ${event.value}, and ${JSON.stringify(should)} is kept`)
  }
  const until = life.wait?.until ?? Infinity
  if (end._tag === "TimedOut" && until > now) violated(`${name} timed out ${until - now} ms too early`)
}
