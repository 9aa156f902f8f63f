/** What must hold of tasks that depend on others. */
import { counts, endOf } from "./DependencyLedger.ts"
import type { Invariant } from "./invariants.ts"
import { isFinished, type Known } from "./Known.ts"

/** The ends that a task has had, and those of the tasks that had its id before. */
const hasEnded = ({ before, ends }: Known, state: string): boolean =>
  ends[state as keyof Known["ends"]] > 0 || (before !== undefined && hasEnded(before, state))

export const dependencyInvariants: ReadonlyArray<Invariant> = [
  {
    name: "dependencies",
    says: "a task starts after each one that it depends on has ended, and if one did not complete, only if it says so",
    watch: (ledger) => {
      /** Those that are run again: what had ended before counts, however it did. */
      const again = new Map<Known, ReadonlySet<Known>>()
      return {
        on: (event, violated) => {
          if (event._tag !== "Stored") return
          if (event.op === "rerun") {
            for (const [index, id] of event.ids.entries()) {
              const known = ledger.tasks.get(id)
              if (known === undefined || event.answers[index]!._tag !== "rerun") continue
              again.set(known, new Set(known.after.filter((other) => isFinished(other) || other.isGone)))
            }
          }
          if (event.op !== "claim" || ledger.repeated(event.request) !== undefined) return
          for (const { id } of event.answer.tasks) {
            const known = ledger.tasks.get(id)
            if (known === undefined || known.claims > 0) continue
            for (const other of known.after) {
              if (again.get(known)?.has(other) === true) continue
              const { ends } = other
              const hasCompleted = ends.completed > 0
              const hasFailed = ends.failed + ends.cancelled + ends.expired > 0
              if (!hasCompleted && !hasFailed) {
                violated(`${id} is claimed, and ${other.task.id} has never ended`)
              } else if (!hasCompleted && endOf(known) !== undefined) {
                violated(`${id} is claimed, and ${other.task.id} never completed`)
              }
            }
          }
        }
      }
    }
  },
  {
    name: "released",
    says: "the write that ends a task releases or ends those that waited for it alone, and no others",
    watch: (ledger) => ({
      on: (event, violated) => {
        if (event._tag !== "Told on") return
        for (const { id, state, waitsFor } of event.tasks) {
          const known = ledger.tasks.get(id)
          if (known === undefined) continue
          // a claim promotes what is due
          const isSame = state === known.state || (state === "scheduled" && known.state === "pending")
          if (!isSame || waitsFor !== known.open.size) {
            violated(
              `${id} is ${state} and waits for ${waitsFor}, and should be ${known.state} and for ${known.open.size}`
            )
          }
        }
      },
      atEnd: ({ records }, violated) => {
        for (const { id, state, waitsFor } of records) {
          const { after = [] } = ledger.tasks.get(id) ?? {}
          if (state === "scheduled" && waitsFor > 0 && after.every((other) => other.isGone || isFinished(other))) {
            violated(`${id} waits for ${waitsFor}, and all that it depends on have ended`)
          }
        }
      }
    })
  },
  {
    name: "reasons",
    says: "a task that ends because of another one says of which, and that one has ended so",
    watch: (ledger) => ({
      on: (event, violated) => {
        if (event._tag !== "Answered" || event.call.do !== "result" || event.call.outcome !== "DependencyFailed") return
        const known = ledger.tasks.get(event.call.id)
        if (known !== undefined && !hasEnded(known, "failed")) violated(`${event.call.id} has never failed`)
      },
      atEnd: ({ records }, violated) => {
        for (const { failure, id, state } of records) {
          const known = ledger.tasks.get(id)
          if (known === undefined || failure?.kind !== "dependency") continue
          const { dependency } = failure
          const other = known.after.find(({ task }) => task.id === dependency?.id)
          if (dependency === undefined || other === undefined || other.ends[dependency.state] === 0) {
            violated(
              `${id} is ${state} because of ${JSON.stringify(dependency)}, which it does not depend on or is not so`
            )
          } else if (counts(known, { ...other, state: dependency.state }) || endOf(known) !== state) {
            violated(`${id} is ${state} because ${dependency.id} is ${dependency.state}, and should not be`)
          }
        }
      }
    })
  },
  {
    name: "awaited",
    says: "a task is kept as long as one that has not ended depends on it",
    watch: (ledger) => ({
      on: (event, violated) => {
        if (event._tag !== "Stored") return
        if (event.op === "prune") {
          for (const id of event.gone) {
            const known = ledger.tasks.get(id)
            if (known !== undefined && ledger.dependencies.isAwaited(known)) violated(`${id} was pruned`)
          }
        } else if (event.op === "remove") {
          for (const [index, id] of event.ids.entries()) {
            const known = ledger.tasks.get(id)
            const should = known === undefined
              ? "unknown"
              : !isFinished(known)
              ? "unfinished"
              : ledger.dependencies.isAwaited(known)
              ? "awaited"
              : "removed"
            if (event.answers[index] !== should) {
              violated(`the removal of ${id}: ${event.answers[index]}, not ${should}`)
            }
          }
        }
      }
    })
  },
  {
    name: "earlier",
    says: "an attempt is told how all of those have ended that its task depends on, in their order",
    watch: (ledger) => {
      /** When they were run again last. */
      const rerunAt = new Map<Known, number>()
      /** Those that had not ended when an attempt began: it may have asked before they did. */
      const openAtStart = new Map<number, ReadonlySet<Known>>()
      return {
        on: (event, violated) => {
          if (event._tag === "Began") {
            const open = ledger.held(event.claim)?.after.filter((other) => !isFinished(other)) ?? []
            if (open.length > 0) openAtStart.set(event.claim, new Set(open))
          }
          if (event._tag === "Stored" && event.op === "rerun") {
            for (const [index, id] of event.ids.entries()) {
              const known = ledger.tasks.get(id)
              if (known !== undefined && event.answers[index]!._tag === "rerun") rerunAt.set(known, event.at)
            }
          }
          // one that has lost its task reads what has become of it since
          const known = event._tag === "Read" ? ledger.held(event.claim) : undefined
          if (event._tag !== "Read" || known === undefined) return
          const name = `${event.id}#${event.claim}`
          const began = ledger.attempts.get(event.claim)?.began?.at ?? 0
          const order = known.after.map(({ task }) => task.id)
          const places = event.ends.map(({ id }) => order.indexOf(id))
          if (places.some((place, index) => place < 0 || place <= (places[index - 1] ?? -1))) {
            violated(`${name} reads ${event.ends.map(({ id }) => id).join()}, and depends on ${order.join()}`)
          }
          for (const other of known.after) {
            const end = event.ends.find(({ id }) => id === other.task.id)
            if (end === undefined) {
              // removed before the task itself was run again
              if (other.isGone) continue
              const isRunAgain = !isFinished(other) || openAtStart.get(event.claim)?.has(other) === true ||
                (rerunAt.get(other) ?? -1) >= began
              if (!isRunAgain) violated(`${name} reads nothing of ${other.task.id}, which is ${other.state}`)
            } else if (!hasEnded(other, end.state)) {
              violated(`${name} reads that ${end.id} is ${end.state}, which it never was`)
            }
          }
        }
      }
    }
  }
]
