/** What must hold of keys and of tasks that are changed while they wait. */
import { isDeepStrictEqual } from "node:util"
import type { Invariant } from "./invariants.ts"
import { type Expected, holdsKey } from "./KeyLedger.ts"
import type { Known } from "./Known.ts"
import { nowOf } from "./Ledger.ts"

/** What a task is, besides its state, in the words of violations. */
const describe = (
  { costs, gate, payload, priority }: Pick<Known["task"], "payload" | "priority" | "gate" | "costs">
): string => `${payload} of priority ${priority}, ${gate} ${costs}`

const show = (answer: unknown): string => JSON.stringify(answer)

export const keyInvariants: ReadonlyArray<Invariant> = [
  {
    name: "keys",
    says: "as long as a task holds its key, an enqueue with the key is answered with it, refused, or changes it",
    watch: (ledger) => ({
      on: (event, violated) => {
        if (event._tag !== "Stored" || event.op !== "enqueue") return
        const { answers, groups, now } = event
        const { expected } = ledger.keys.plan(groups, answers, ledger.tasks, nowOf(answers, now))
        for (const [index, answer] of answers.entries()) {
          const should = expected[index]!
          const isNew = should._tag === "Accepted" && should.tasks.some(({ duplicate }) => !duplicate)
          // whether it is full is another question, which needs room for something
          if (answer._tag === "Full" && isNew) continue
          const is = answer._tag === "Accepted" ? { _tag: answer._tag, tasks: answer.tasks } satisfies Expected : answer
          if (!isDeepStrictEqual(is, should)) violated(`${show(answer)}, and should be ${show(should)}`)
        }
      }
    })
  },
  {
    name: "one",
    says: "no two tasks hold one key at a time",
    watch: (ledger) => {
      const check = (tasks: Iterable<Known>, now: number, violated: (how: string) => void) => {
        const holders = new Map<string, Known>()
        for (const known of tasks) {
          const { key, type, unique } = known.task
          // a clock that is set back makes time come twice: also for a task that was too old when another one got its key
          const isTimed = ledger.disturbedAt > 0 && (typeof unique?.window === "number" || known.expiresAt < Infinity)
          if (key === null || isTimed || !holdsKey(known, now)) continue
          const other = holders.get(`${type} ${key}`)
          if (other !== undefined) violated(`${known.task.id} and ${other.task.id} both hold ${key}`)
          holders.set(`${type} ${key}`, known)
        }
      }
      return {
        on: (event, violated) => {
          if (event._tag === "Stored" && event.op === "claim") check(ledger.tasks.values(), event.now, violated)
        },
        atEnd: ({ records }, violated) =>
          check(records.flatMap(({ id }) => ledger.tasks.get(id) ?? []), Infinity, violated)
      }
    }
  },
  {
    name: "superseded",
    says: "a task is run again unless a later one has got the key that it would hold",
    watch: (ledger) => ({
      on: (event, violated) => {
        if (event._tag !== "Stored" || event.op !== "rerun") return
        for (const [index, id] of event.ids.entries()) {
          const known = ledger.tasks.get(id)
          if (known === undefined) continue
          const isRefused = event.answers[index]!._tag === "superseded"
          if (isRefused !== ledger.keys.isSuperseded(known)) {
            violated(`the rerun of ${id}: ${show(event.answers[index])}`)
          }
        }
      }
    })
  },
  {
    name: "rescheduled",
    says: "a task is changed while it waits, and never once it has started",
    watch: (ledger) => ({
      on: (event, violated) => {
        if (event._tag !== "Stored" || event.op !== "reschedule") return
        for (const [index, request] of event.requests.entries()) {
          const [should] = ledger.keys.rescheduled(ledger.tasks.get(request.id), request, event.now)
          const is = event.answers[index]
          if (!isDeepStrictEqual(is, should)) violated(`${request.id}: ${show(is)}, and should be ${show(should)}`)
        }
      }
    })
  },
  {
    name: "revised",
    says: "an attempt gets what was last accepted for its task, and so it is stored",
    watch: (ledger) => ({
      on: (event, violated) => {
        if (event._tag !== "Stored" || event.op !== "claim") return
        for (const claimed of event.answer.tasks) {
          const known = ledger.tasks.get(claimed.id)
          if (known === undefined) continue
          const [is, should] = [describe(claimed), describe(known.task)]
          if (is !== should) violated(`${claimed.id} is claimed with ${is}, and should be ${should}`)
        }
      },
      atEnd: ({ records }, violated) => {
        for (const record of records) {
          const known = ledger.tasks.get(record.id)
          if (known === undefined) continue
          const is = `${describe(record)}, due at ${record.dueAt}, too old at ${record.expiresAt ?? Infinity}`
          const should = `${describe(known.task)}, due at ${known.dueAt}, too old at ${known.expiresAt}`
          if (is !== should) violated(`${record.id} is ${is}, and should be ${should}`)
        }
      }
    })
  }
]
