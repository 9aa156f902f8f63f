/**
 * What must hold in every run, whatever goes wrong. Each invariant is a sentence and a check of it, fed with what was
 * seen from outside: every event, before the ledger takes it into account, and how all stands at the end.
 */
import { isDeepStrictEqual } from "node:util"
import type { Settlement } from "../../src/domain/Settlement.ts"
import type { TaskRecord } from "../../src/domain/TaskRecord.ts"
import { isFinished as isEnd } from "../../src/domain/TaskState.ts"
import type { Counts } from "../../src/store/Counts.ts"
import type { LaneCounts } from "../../src/store/Lanes.ts"
import { absent, type StoredRecord } from "../../src/store/RecordStore.ts"
import type { Expired } from "../../src/store/TaskStore.ts"
import { batchInvariants } from "./batchInvariants.ts"
import { dependencyInvariants } from "./dependencyInvariants.ts"
import { executionInvariants } from "./executionInvariants.ts"
import { flowInvariants } from "./flowInvariants.ts"
import { passesOf } from "./GateLedger.ts"
import type { Call, Event, Operation, Stored } from "./History.ts"
import { keyInvariants } from "./keyInvariants.ts"
import { isOver, type Known } from "./Known.ts"
import type { Attempt, Ledger } from "./Ledger.ts"
import { chainLog, nameOf, namesIn } from "./Records.ts"
import { calmAt, isUnstorable, leaseMs, pollMs, type Scenario, settlesItself } from "./Scenario.ts"
import { scheduleInvariants } from "./scheduleInvariants.ts"

/** Reports that an invariant does not hold. */
export type Violated = (how: string) => void

/** How all stands when a run has ended: the store's own view, and what the processes have left behind. */
export interface Final {
  readonly records: ReadonlyArray<TaskRecord>
  readonly documents: ReadonlyArray<StoredRecord & { readonly kind: string }>
  readonly counts: Counts
  readonly lanes: ReadonlyArray<LaneCounts>
  /** What was not finished within the bound. */
  readonly unfinished: ReadonlyArray<string>
  /** Of processes that were shut down in order. */
  readonly left: ReadonlyArray<{
    readonly process: string
    readonly fibers: number
    readonly timers: number
    readonly active: number
  }>
}

/** Something that must hold. */
export interface Invariant {
  readonly name: string
  /** The claim, as a sentence. */
  readonly says: string
  readonly watch: (ledger: Ledger, scenario: Scenario) => {
    readonly on?: (event: Event, violated: Violated) => void
    readonly atEnd?: (final: Final, violated: Violated) => void
  }
}

/** When everything works again, everything has to finish within this time. */
export const boundMs = 120_000

/** The time within which a process that has been told something acts on it. */
const promptMs = 50

/** The time after the healing within which every process has renewed its leases: a call in vain and the next one. */
const renewedMs = leaseMs * 2 / 3 + 200

/**
 * How much too early a lease may be taken back when a clock has moved: one that has just begun to look at the store does not
 * know, and waits half a lease.
 */
const earlyMs = leaseMs * 0.55

/** How long it may take to take a lease back: a full lease of waiting, one in which the clock may have moved, and the looks. */
const orphanedMs = leaseMs * 2 + pollMs * 3

/** How long it may take to end what has expired: until a leader is found, and it looks. */
const sweptMs = leaseMs + pollMs * 3

const invariant = (name: string, says: string, watch: Invariant["watch"]): Invariant => ({ name, says, watch })

/** Whether an attempt may go on after its end: it resists interruption, or it completed its task before. */
const outlasts = ({ began }: Attempt): boolean =>
  began?.behaviour === "resist" || began?.behaviour === "early" || began?.behaviour === "workflow"

/** The same of what has to be stopped, and may have settled its task before. */
const mayEndLater = (attempt: Attempt): boolean => outlasts(attempt) || settlesItself(attempt.began?.behaviour)

/** A task, and those that had its id before it. */
const livesOf = (known: Known): ReadonlyArray<Known> =>
  known.before === undefined ? [known] : [known, ...livesOf(known.before)]

/** Looks at operations of one kind. */
const at = <Op extends Operation["op"]>(
  op: Op,
  check: (event: Extract<Stored, { readonly op: Op }>, violated: Violated) => void
) =>
(event: Event, violated: Violated): void => {
  if (event._tag === "Stored" && event.op === op) check(event as Extract<Stored, { readonly op: Op }>, violated)
}

export const invariants: ReadonlyArray<Invariant> = [
  invariant("kept", "no accepted task is lost, and none comes from nowhere", (ledger) => {
    const stored = new Set<string>()
    return {
      on: (event, violated) => {
        if (event._tag === "Stored" && event.op === "enqueue") {
          for (const answer of event.answers) {
            if (answer._tag === "Accepted") answer.tasks.forEach(({ id }) => stored.add(id))
          }
        } else if (event._tag === "Answered" && event.call.do === "enqueue") {
          for (const id of event.call.ids) if (!stored.has(id)) violated(`${id} was accepted and never stored`)
        }
      },
      atEnd: ({ records }, violated) => {
        const ids = new Set(records.map(({ id }) => id))
        for (const id of ledger.tasks.keys()) if (!ids.has(id)) violated(`${id} is gone`)
        for (const id of ids) if (!ledger.tasks.has(id)) violated(`${id} is stored and should not be`)
      }
    }
  }),

  ...scheduleInvariants,
  ...flowInvariants,
  ...keyInvariants,
  ...dependencyInvariants,
  ...batchInvariants,
  ...executionInvariants,

  invariant("whole", "a batch is stored entirely or not at all, and a known id changes nothing", (ledger) => ({
    on: at("enqueue", ({ answers, groups }, violated) =>
      groups.forEach((group, index) => {
        const answer = answers[index]!
        if (answer._tag !== "Accepted") return
        if (answer.tasks.length !== group.length) violated(`${answer.tasks.length} of ${group.length} were accepted`)
        group.forEach(({ id }, place) => {
          if (ledger.tasks.has(id) && !answer.tasks[place]!.duplicate) violated(`${id} was known and is called new`)
        })
      }))
  })),

  invariant(
    "capacity",
    "a store never holds more unfinished tasks than it may, and refuses none that fits",
    (ledger) => ({
      on: at("enqueue", ({ answers, groups }, violated) => {
        const { capacity } = ledger.rules
        let unfinished = ledger.unfinished
        for (const [index, group] of groups.entries()) {
          const answer = answers[index]!
          if (answer._tag === "Accepted") unfinished += answer.tasks.filter(({ duplicate }) => !duplicate).length
          if (answer._tag === "Accepted" && unfinished > capacity && answer.tasks.some((task) => !task.duplicate)) {
            violated(`${unfinished} unfinished tasks, ${capacity} are allowed`)
          }
          if (answer._tag === "Full" && unfinished + group.length <= capacity) violated(`${group.length} were refused`)
        }
      })
    })
  ),

  invariant("final", "a finished task never changes unless an operator says so", (ledger) => ({
    atEnd: ({ records }, violated) => {
      for (const record of records) {
        const known = ledger.tasks.get(record.id)
        if (known === undefined) continue
        const is = `${record.state} #${record.claim} failures ${record.failures} crashes ${record.crashes} ` +
          `claims ${record.claims} result ${known.state === "completed" ? record.result : "-"}`
        const should = `${known.state} #${known.claim} failures ${known.failures} crashes ${known.crashes} ` +
          `claims ${known.claims} result ${known.state === "completed" ? known.result : "-"}`
        if (is !== should) violated(`${record.id} is ${is}, and should be ${should}`)
      }
    }
  })),

  invariant("fenced", "only the current claim settles a task, and only once", (ledger) => ({
    on: at("settle", ({ answers, settlements }, violated) =>
      settlements.forEach(({ _tag, claim, id }, index) => {
        const known = ledger.tasks.get(id)
        // an end of the same task in the same write comes first
        const before = settlements.findLast((one, place) =>
          place < index && one.id === id && answers[place] === "applied"
        )
        const should = (before?.claim ?? known?.settledClaim) === claim
          ? "already"
          : before === undefined && ledger.held(claim)?.task.id === id
          ? "applied"
          : "stale"
        if (answers[index] !== should) violated(`${_tag} of ${id}#${claim} was ${answers[index]}, not ${should}`)
      }))
  })),

  invariant(
    "leases",
    "a lease is held by the current claim alone, and is taken back only when it has run out",
    (ledger) => ({
      on: (event, violated) => {
        at("extend", ({ answers, refs }) =>
          refs.forEach(({ claim, id }, index) => {
            const held = ledger.held(claim)
            const should = held === undefined ? "lost" : held.cancelRequested ? "cancel" : "held"
            if (answers[index] !== should) violated(`${id}#${claim} was ${answers[index]}, not ${should}`)
          }))(event, violated)
        at("rescue", ({ at, rescued }) => {
          for (const { id } of rescued) {
            const known = ledger.tasks.get(id)
            if (known?.state !== "running") violated(`${id} was rescued and did not run`)
            else if (known.lapsesAt > at + earlyMs) {
              violated(`${id}#${known.claim} was rescued ${known.lapsesAt - at} ms early`)
            }
          }
        })(event, violated)
      }
    })
  ),

  invariant("alive", "a process that works and reaches the store never loses a task", (ledger, scenario) => ({
    on: at("rescue", ({ rescued }, violated) => {
      for (const { id } of rescued) {
        const known = ledger.tasks.get(id)
        const attempt = ledger.attempts.get(known?.claim ?? 0)
        if (known === undefined || attempt?.toldAt === undefined) continue
        const process = ledger.processes.get(attempt.process)
        const worked = process?.state === "ready" || process!.closingAt > calmAt(scenario)
        if (known.lapsesAt > ledger.healedAt + renewedMs && process!.state !== "died" && worked) {
          violated(`${id}#${known.claim} was taken from ${attempt.process}, which is ${process!.state}`)
        }
      }
    })
  })),

  invariant(
    "orphans",
    "what a dead process held is taken back soon, whatever the clocks show",
    (ledger, scenario) => {
      const check = (known: Known, now: number, violated: Violated) => {
        const since = Math.max(known.lapsesAt, calmAt(scenario), ledger.disturbedAt)
        if (now > since + orphanedMs) violated(`${known.task.id}#${known.claim} waits ${now - since} ms for its rescue`)
      }
      return {
        on: (event, violated) => {
          at("rescue", ({ at, rescued }) => {
            for (const { id } of rescued) {
              const known = ledger.tasks.get(id)
              if (known !== undefined) check(known, at, violated)
            }
          })(event, violated)
          // From here on it counts anew.
          if (event._tag !== "Stepped") return
          for (const known of ledger.tasks.values()) {
            const process = ledger.processes.get(ledger.attempts.get(known.claim)?.process ?? "")
            if (known.state === "running" && process?.state === "died") check(known, event.at, violated)
          }
        }
      }
    }
  ),

  invariant("claims", "claim numbers only grow; a repeated claim gives the same tasks", (ledger) => ({
    on: at("claim", ({ answer, request }, violated) => {
      const given = answer.tasks.map(({ claim }) => claim)
      const repeated = ledger.repeated(request)
      if (repeated !== undefined) {
        const held = repeated.filter((claim) => ledger.held(claim) !== undefined)
        if (given.join() !== held.join()) {
          violated(`a repeated claim gave #${given.join(" #")}, not #${held.join(" #")}`)
        }
        return
      }
      let highest = ledger.lastClaim
      for (const claim of given) {
        if (claim <= highest) violated(`claim ${claim} follows ${highest}`)
        highest = Math.max(highest, claim)
      }
    })
  })),

  invariant(
    "order",
    "tasks that wait together and may start are claimed by rank, and nothing else is claimed",
    (ledger) => ({
      on: at("claim", ({ answer, now, request }, violated) => {
        if (ledger.repeated(request) !== undefined) return
        const waiting = ledger.due(request.queues, request.types, now)
        const expected = ledger.gates.expected(waiting, ledger.tasks.values(), request.limit, answer.now)
        const due = expected.map(({ task }) => task.id)
        const given = answer.tasks.map(({ id }) => id)
        if (given.join() !== due.join()) {
          violated(`claimed ${given.join() || "nothing"}, not ${due.join() || "nothing"}`)
        }
      })
    })
  ),

  invariant(
    "explained",
    "a due task that a claim leaves although a slot is free waits for a reason, and an explanation names it and no other",
    (ledger) => {
      let isRepeated = false
      return {
        on: (event, violated) => {
          if (event._tag === "Stored" && event.op === "claim") isRepeated = ledger.repeated(event.request) !== undefined
          if (event._tag !== "Explained" || isRepeated) return
          const waiting = [...ledger.tasks.values()].filter(({ state }) => state === "pending")
            .sort((a, b) => ledger.gates.rankOf(a) - ledger.gates.rankOf(b) || a.seq - b.seq)
          for (const { codes, id } of event.tasks) {
            const known = ledger.tasks.get(id)!
            const expected = ledger.gates.codesOf(known, ledger.tasks.values(), event.now)
            if (codes.join() !== expected.join()) {
              violated(
                `${id} is said to wait for ${codes.join() || "nothing"}, not for ${expected.join() || "nothing"}`
              )
            } else if (codes.length === 0 && ledger.gates.isFirst(known, waiting)) {
              violated(`${id} waits for nothing, and no claim has taken it`)
            }
          }
        }
      }
    }
  ),

  invariant(
    "expiry",
    "no task starts once it has expired, none ends before, and one that waits for longer ends soon",
    (ledger, scenario) => {
      const checkEnds = (expired: ReadonlyArray<Expired>, now: number, violated: Violated) => {
        for (const { id } of expired) {
          const known = ledger.tasks.get(id)
          if (known === undefined || !isOver(known, now)) {
            violated(
              `${id} ended as expired; it was ${known?.state}, and would expire in ${known && known.expiresAt - now} ms`
            )
          }
        }
      }
      return {
        on: (event, violated) => {
          at("claim", ({ answer, now, request }) => {
            checkEnds(answer.expired ?? [], now, violated)
            if (ledger.repeated(request) !== undefined) return
            for (const { id } of answer.tasks) {
              const { expiresAt = Infinity } = ledger.tasks.get(id) ?? {}
              if (expiresAt <= now) violated(`${id} was claimed ${now - expiresAt} ms after it had expired`)
            }
          })(event, violated)
          at("expire", ({ expired, now }) => checkEnds(expired, now, violated))(event, violated)
          if (event._tag !== "Stored") return
          const since = Math.max(calmAt(scenario), ledger.disturbedAt)
          if (event.at < since + sweptMs) return
          for (const { expiresAt, task } of ledger.overdue(event.now - sweptMs)) {
            violated(`${task.id} still waits ${event.now - expiresAt} ms after it has expired`)
          }
        }
      }
    }
  ),

  invariant("deadlines", "a claim tells until when a first start is in time, and of no other start", (ledger) => ({
    on: at("claim", ({ answer, request }, violated) => {
      if (ledger.repeated(request) !== undefined) return
      for (const { id, startBy } of answer.tasks) {
        const expected = ledger.tasks.get(id)?.startBy ?? null
        if (startBy !== expected) violated(`${id} is claimed and should have started by ${expected}, not ${startBy}`)
      }
    })
  })),

  invariant("paused", "a paused queue, type or key starts nothing", (ledger) => ({
    on: at("claim", ({ answer, request }, violated) => {
      if (ledger.repeated(request) !== undefined) return
      for (const { gate, id, queue, type } of answer.tasks) {
        if (ledger.paused.has(queue)) violated(`${id} of ${queue} is claimed`)
        if (ledger.gates.pausedTypes.has(type)) violated(`${id} of the type ${type} is claimed`)
        for (const pass of JSON.parse(gate ?? "[]") as ReadonlyArray<string>) {
          if (ledger.gates.pausedKeys.has(pass)) violated(`${id} is claimed, and ${pass} is paused`)
        }
      }
    })
  })),

  invariant("limits", "no claim lets more tasks of a pass run than its limit says", (ledger) => ({
    on: at("claim", ({ answer, request }, violated) => {
      if (ledger.repeated(request) !== undefined) return
      for (const pass of new Set(answer.tasks.flatMap(({ gate }) => JSON.parse(gate ?? "[]") as Array<string>))) {
        const limit = ledger.gates.limitOf(pass)
        if (limit === undefined || !("max" in limit)) continue
        if (limit.notBefore !== undefined && answer.now < limit.notBefore) {
          violated(`tasks with ${pass} are claimed, and none may start before ${limit.notBefore}`)
        }
        const given = answer.tasks.filter(({ gate }) => (JSON.parse(gate ?? "[]") as Array<string>).includes(pass))
        const running = [...ledger.tasks.values()].filter((known) =>
          known.state === "running" && passesOf(known).includes(pass)
        )
        const amount = given.length + running.length
        if (amount > limit.max) violated(`${amount} tasks run with ${pass}, and ${limit.max} may`)
      }
    })
  })),

  invariant("once", "each claim is executed once, by its process, and soon", (ledger) => ({
    on: (event, violated) => {
      if (event._tag !== "Began") return
      const attempt = ledger.attempts.get(event.claim)
      const name = `${event.id}#${event.claim}`
      if (attempt === undefined || attempt.id !== event.id) return violated(`${name} was never claimed`)
      if (attempt.process !== event.process) {
        violated(`${name} belongs to ${attempt.process} and runs on ${event.process}`)
      }
      if (attempt.began !== undefined) violated(`${name} begins again`)
      if (attempt.toldAt === undefined) violated(`${name} begins before its process was told`)
    }
  })),

  invariant("cancelled", "a task whose cancel was answered `cancelled` never starts", (ledger) => {
    const cancelledAt = new Map<string, number>()
    return {
      on: (event, violated) => {
        if (event._tag === "Stored") {
          if (event.op === "cancel") {
            event.ids.forEach((id, index) => event.answers[index] === "cancelled" && cancelledAt.set(id, event.at))
          } else if (event.op === "rerun") {
            event.ids.forEach((id, index) => event.answers[index]!._tag === "rerun" && cancelledAt.delete(id))
          } else if (event.op === "enqueue") {
            // A task that was removed may come again.
            event.groups.flat().forEach(({ id }) => ledger.tasks.has(id) || cancelledAt.delete(id))
          } else if (event.op === "claim" && ledger.repeated(event.request) === undefined) {
            for (const { id } of event.answer.tasks) if (cancelledAt.has(id)) violated(`${id} is claimed`)
          }
        } else if (event._tag === "Began") {
          // Whoever was told before could not know.
          const toldAt = ledger.attempts.get(event.claim)?.toldAt ?? Infinity
          if ((cancelledAt.get(event.id) ?? Infinity) < toldAt) violated(`${event.id}#${event.claim} begins`)
        }
      }
    }
  }),

  invariant(
    "stopped",
    "a running task is interrupted within a heartbeat of its cancel, and as soon as its lease is lost",
    (ledger, scenario) => {
      const due = new Map<Attempt, { readonly since: number; readonly by: number; readonly why: string }>()
      const stop = (claim: number, since: number, withinMs: number, why: string) => {
        const attempt = ledger.attempts.get(claim)
        if (attempt === undefined || attempt.ended !== undefined || attempt.began === undefined) return
        if (!outlasts(attempt) && !due.has(attempt)) {
          // The end of a step is kept first: two reads and two puts at most, each as long as its answer takes
          const keepingMs = ledger.flows.ofClaim.has(claim) ? 4 * scenario.network.patienceMs : 0
          due.set(attempt, { since, by: since + withinMs + keepingMs, why })
        }
      }
      return {
        on: (event, violated) => {
          if (due.size > 0) {
            for (const [attempt, { by, since, why }] of due) {
              const process = ledger.processes.get(attempt.process)
              const worked = process?.state !== "died" && !process?.frozen && process!.thawedAt <= since
              if (attempt.ended !== undefined || !worked) due.delete(attempt)
              else if (event.at > by) {
                violated(`${attempt.id}#${attempt.claim} still runs ${event.at - by} ms after it had to stop: ${why}`)
                due.delete(attempt)
              }
            }
          }
          if (event._tag === "Told" && event.news !== "claimed") {
            for (const { claim } of event.refs) stop(claim, event.at, promptMs, `it was told: ${event.news}`)
          }
          at("cancel", ({ answers, at, ids }) =>
            ids.forEach((id, index) => {
              if (answers[index] !== "requested" || at < calmAt(scenario)) return
              stop(ledger.tasks.get(id)!.claim, at, leaseMs / 3 * 1.05 + promptMs, `cancel was requested at ${at}`)
            }))(event, violated)
        }
      }
    }
  ),

  invariant("budget", "retries never exceed the budget", (ledger) => ({
    on: at("settle", ({ answers, settlements }, violated) =>
      settlements.forEach(({ _tag, id }, index) => {
        const known = ledger.tasks.get(id)
        if (known === undefined || _tag !== "Retry" || answers[index] !== "applied") return
        const { maxRetries } = known.task
        if (maxRetries >= 0 && known.failures >= maxRetries) {
          violated(`${id} has failed ${known.failures + 1} times, may be retried ${maxRetries} times, and is`)
        }
      }))
  })),

  invariant("told truly", "an attempt is settled as its handler ended, or as it was interrupted", (ledger) => {
    const fits = (settlement: Settlement, attempt: Attempt): boolean => {
      // an execution is told by its activities: see there
      if (attempt.began?.behaviour === "workflow") return true
      const how = attempt.ended?.how
      switch (settlement._tag) {
        case "Complete":
          return settlesItself(attempt.began?.behaviour)
            ? settlement.result === JSON.stringify({ id: attempt.id, claim: attempt.claim })
            : how === "succeeded" && settlement.result === attempt.ended?.result
        case "Snooze":
          return how === "snoozed"
        case "Retry":
        case "Fail":
          if (settlement.failure.kind === "invalid") {
            return how === "succeeded" && isUnstorable(attempt.began?.behaviour)
          }
          return how === "failed" || how === "died" || settlement.failure.kind === "timeout"
        case "Cancel":
          return attempt.cancelRequested
        case "Release":
          return attempt.began === undefined || ledger.processes.get(attempt.process)!.closingAt < Infinity
      }
    }
    // A process that closes does not wait for ever until the end of a step is kept
    const mayBeLeft = ({ claim, process }: Attempt): boolean =>
      ledger.flows.ofClaim.has(claim) && ledger.processes.get(process)!.closingAt < Infinity
    return {
      on: at("settle", ({ settlements }, violated) => {
        for (const settlement of settlements) {
          const attempt = ledger.attempts.get(settlement.claim)
          const name = `${settlement._tag} of ${settlement.id}#${settlement.claim}`
          if (attempt === undefined) violated(`${name}, which was never claimed`)
          else if (
            attempt.began !== undefined && attempt.ended === undefined && !mayEndLater(attempt) && !mayBeLeft(attempt)
          ) {
            violated(`${name}, which has not ended`)
          } else if (!fits(settlement, attempt)) violated(`${name}, which ${attempt.ended?.how ?? "never began"}`)
        }
      })
    }
  }),

  invariant("unstorable", "an end that cannot be stored fails its own task with the reason", (ledger) => ({
    on: at("settle", ({ settlements }, violated) => {
      for (const settlement of settlements) {
        const attempt = ledger.attempts.get(settlement.claim)
        if (attempt?.ended?.how !== "succeeded" || !isUnstorable(attempt.began?.behaviour)) continue
        const isReasoned = settlement._tag === "Fail" && settlement.failure.message.length > 0
        // It ended in time for neither: what came of it does not matter any more
        const wasStopped = settlement._tag === "Cancel" || settlement._tag === "Release" ||
          (settlement._tag === "Retry" && settlement.failure.kind === "timeout")
        if (!isReasoned && !wasStopped) violated(`${settlement._tag} of ${settlement.id}#${settlement.claim}`)
      }
    })
  })),

  invariant("parallel", "a process runs no more tasks at a time than it has workers", (ledger, scenario) => ({
    on: (event, violated) => {
      if (event._tag !== "Began") return
      const { concurrency, drift } = scenario.instances[Number(event.process[1])]!
      const running = [...ledger.processes.get(event.process)!.running]
      // Those that did not stop for five seconds of the process's own clock were given up.
      const counted = running.filter(({ began }) =>
        began!.behaviour !== "resist" || event.at - began!.at < 5000 / drift
      )
      if (counted.length >= concurrency) violated(`${event.id} is number ${counted.length + 1} of ${concurrency}`)
    }
  })),

  invariant("answers", "no call of a client dies", () => ({
    on: (event, violated) => {
      if (event._tag === "Answered" && event.call.do === "die") violated(`${event.call.name}: ${event.call.of}`)
    }
  })),

  invariant("results", "whoever awaits a task is told how it ended", (ledger) => ({
    on: (event, violated) => {
      if (event._tag !== "Answered" || event.call.do !== "result") return
      const { id, of, outcome } = event.call
      const known = ledger.tasks.get(id)
      if (known === undefined || outcome === "TaskNotFound") return
      const lives = livesOf(known)
      if (outcome === "completed" && known.state === "completed" && lives.every(({ result }) => result !== of)) {
        violated(`${id} gave ${of}, and ${known.result} is stored`)
      }
      if (outcome === "completed" && lives.every(({ ends }) => ends.completed === 0)) {
        violated(`${id} has never completed`)
      }
      if (outcome === "TaskCancelled" && lives.every(({ ends }) => ends.cancelled === 0)) {
        violated(`${id} was never cancelled`)
      }
      if (outcome === "TaskExpired" && lives.every(({ ends }) => ends.expired === 0)) violated(`${id} never expired`)
    }
  })),

  invariant("retention", "only finished tasks that retention does not keep are pruned", (ledger) => {
    // they would have gone, but others waited for them: they go once that is so, whatever the clock shows then
    const spared = new Set<Known>()
    return {
      on: at("prune", ({ gone, now, retention }, violated) => {
        const finished = { completed: 0, failed: 0, cancelled: 0, expired: 0 }
        for (const { state } of ledger.tasks.values()) if (isEnd(state)) finished[state]++
        const ageOf = ({ finishedAt }: Known) => now - finishedAt
        // The oldest go first. When the clock was set back, the ages do not say which were.
        const isAged = (known: Known) => ageOf(known) >= (isEnd(known.state) ? retention.forMs[known.state] : Infinity)
        const order = ledger.disturbedAt > 0
          ? (a: Known, b: Known) => Number(isAged(a)) - Number(isAged(b))
          : (a: Known, b: Known) => ageOf(b) - ageOf(a)
        for (const known of gone.map((id) => ledger.tasks.get(id)!).toSorted(order)) {
          const { state, task: { id, key } } = known
          if (!isEnd(state)) {
            violated(`${id} was ${state}`)
            continue
          }
          const max = Math.max(retention.max[state], key === null ? 0 : retention.maxKeyed)
          if (!isAged(known) && finished[state] <= max && !spared.delete(known)) {
            violated(`${id} was pruned ${ageOf(known)} ms after its end`)
          }
          finished[state]--
        }
        for (const known of ledger.tasks.values()) {
          const { state } = known
          if (!isEnd(state)) spared.delete(known)
          else if (isAged(known) || finished[state] > retention.max[state]) {
            if (ledger.dependencies.isAwaited(known)) spared.add(known)
          }
        }
      })
    }
  }),

  invariant("leader", "chores have one leader at a time", (ledger) => ({
    on: at("lead", ({ id, leads, measured }, violated) => {
      const { lead } = ledger
      const isTaken = lead !== undefined && lead.until > measured && lead.id !== id
      if (leads && isTaken) violated(`${id} leads, and ${lead.id} does so for ${lead.until - measured} ms more`)
      if (!leads && !isTaken) violated(`${id} may not lead, and nobody does`)
    })
  })),

  invariant("counts", "counts and totals add up", (ledger) => ({
    atEnd: ({ counts, lanes, records }, violated) => {
      const stored = { scheduled: 0, pending: 0, running: 0, completed: 0, failed: 0, cancelled: 0, expired: 0 }
      for (const { state } of records) stored[state]++
      for (const [state, count] of Object.entries(stored)) {
        const counted = counts[state as keyof typeof stored]
        if (counted !== count) violated(`${counted} are counted as ${state}, ${count} are`)
      }
      for (const state of ["scheduled", "pending", "running"] as const) {
        const counted = lanes.reduce((sum, lane) => sum + lane[state], 0)
        if (counted !== stored[state]) violated(`${counted} are counted as ${state} by queue, ${stored[state]} are`)
      }
      const listed = lanes.map(({ queue, type }) => `${queue} ${type}`).toSorted()
      const known = [...new Set(records.map(({ queue, type }) => `${queue} ${type}`))].toSorted()
      if (listed.join() !== known.join()) violated(`the queues and types are ${known.join()}, listed ${listed.join()}`)
      for (const [total, count] of Object.entries(ledger.totals)) {
        const counted = counts.totals[total as keyof Ledger["totals"]]
        if (counted !== count) violated(`the total of ${total} is ${counted}, and should be ${count}`)
      }
    }
  })),

  invariant("versions", "a put replaces the versions that it expects, and gives none a second time", ({ records }) => ({
    on: at("put records", ({ changes, nonce, version }, violated) => {
      const before = records.doneBefore(nonce)
      if (before !== undefined) {
        if (version !== before) violated(`the put ${nonce} is answered ${version}, and was ${before}`)
        return
      }
      for (const { expects, id, kind } of changes) {
        const found = records.find(kind, id)?.version ?? absent
        if (found !== expects) violated(`${kind} ${id} has the version ${found}, and ${expects} was replaced`)
        const last = records.lastVersionOf(kind, id)
        if (version <= last) violated(`${kind} ${id} got the version ${version} after ${last}`)
      }
    })
  })),

  invariant(
    "taken",
    "a record is taken when it is due, by one at a time, and its version says who has it",
    ({ records }) => ({
      on: at(
        "take records",
        ({ answer, kind }, violated) =>
          answer.records.forEach(({ document, dueAt, id, version }) => {
            const known = records.find(kind, id)
            if (known === undefined) return violated(`${kind} ${id} was taken and is not there`)
            if (known.wakeAt === null || known.wakeAt > answer.now) violated(`${kind} ${id} was taken before its time`)
            if (version <= known.version) violated(`${kind} ${id} was taken and has the version ${version} as before`)
            if (document !== known.document || dueAt !== known.dueAt) {
              violated(`${kind} ${id} was changed by being taken`)
            }
          })
      )
    })
  ),

  invariant("once", "what a client puts is there once, entirely or not at all", ({ records }) => {
    const told: Array<Extract<Call, { readonly logs: ReadonlyArray<string> }>> = []
    return {
      on: (event) => {
        if (event._tag === "Answered" && "logs" in event.call) told.push(event.call)
      },
      atEnd: ({ documents }, violated) => {
        const logOf = (id: string) =>
          namesIn(documents.find((document) => document.kind === "log" && document.id === id))
        for (const { logs, name } of told) {
          for (const id of logs) if (!logOf(id).includes(name)) violated(`${name} is not in the log ${id}`)
        }
        for (const { document, id, kind } of documents) {
          const known = records.find(kind, id)
          if (known?.document !== document) violated(`${kind} ${id} is ${document}, and should be ${known?.document}`)
          const names = kind === "log" ? namesIn({ document }) : []
          if (new Set(names).size < names.length) violated(`something is twice in ${document}`)
        }
        for (const { id, kind } of records.of("log")) {
          if (!documents.some((document) => document.kind === kind && document.id === id)) violated(`${id} is gone`)
        }
      }
    }
  }),

  invariant("together", "what is written together happens once, entirely or not at all", ({ tasks }) => {
    const completed = new Set<string>()
    const begun = new Set<string>()
    return {
      on: (event, violated) => {
        if (event._tag !== "Stored") return
        if (event.op === "settle") {
          for (const [index, settlement] of event.settlements.entries()) {
            if (settlement._tag === "Complete" && event.answers[index] === "applied") completed.add(nameOf(settlement))
          }
        } else if (event.op === "enqueue") {
          for (const { id, payload, type } of event.groups.flat()) {
            if (type === "next" && !tasks.has(id)) begun.add((JSON.parse(payload) as { readonly of: string }).of)
          }
        } else if (event.op === "write together again" && !isDeepStrictEqual(event.answer, event.before)) {
          violated(`${event.nonce} is answered ${JSON.stringify(event.answer)}, not ${JSON.stringify(event.before)}`)
        }
      },
      atEnd: ({ documents, records }, violated) => {
        const noted = new Set(namesIn(documents.find(({ id, kind }) => kind === "log" && id === chainLog)))
        for (const name of new Set([...noted, ...begun])) {
          const missing = [
            ...completed.has(name) ? [] : ["completed"],
            ...noted.has(name) ? [] : ["noted"],
            ...begun.has(name) ? [] : ["followed by another"]
          ]
          if (missing.length > 0) violated(`${name} is not ${missing.join(" and not ")}`)
        }
        for (const { payload, type } of records) {
          if (type !== "next") continue
          const { of } = JSON.parse(payload) as { readonly of: string }
          if (!noted.has(of)) violated(`${of} is followed by another, and that is not noted`)
        }
      }
    }
  }),

  invariant("ends", "once faults stop, everything finishes within a bound", () => ({
    atEnd: ({ unfinished }, violated) => unfinished.forEach((what) => violated(what))
  })),

  invariant("leaks", "no fiber, permit or timer is left", (ledger, scenario) => ({
    atEnd: ({ left }, violated) => {
      for (const { active, fibers, process, timers } of left) {
        if (fibers + timers + active > 0) {
          violated(`${process} has left ${fibers} fibers, ${timers} timers and ${active} running attempts`)
        }
        const { concurrency } = scenario.instances[Number(process[1])]!
        // A pool whose claims failed asks for fewer, and for more from claim to claim when they succeed again
        const [before, last] = ledger.processes.get(process)?.limits.slice(-2) ?? []
        if (last !== undefined && last === before && last !== concurrency) {
          violated(`${process} is idle and asks for ${last} tasks twice in a row, having ${concurrency} slots`)
        }
      }
    }
  }))
]
