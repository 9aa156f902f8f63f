/**
 * What must hold after any fault, judged from outside of the engine: from the ids that servers said they accepted, from
 * the ledger that the attempts wrote, and from the tasks as the API shows them.
 */
import type { Line } from "./Ledger.ts"

/** A stored task, as far as it is judged. */
export interface StoredTask {
  readonly id: string
  readonly status: string
  /** The number of the claim that settled it: the handler's result. */
  readonly result: { readonly claim: number } | null
  readonly attempts: number
  readonly crashes: number
  readonly failures: number
  readonly completed_at: string | null
  readonly history: ReadonlyArray<{ readonly claim: number; readonly outcome: string }>
}

/** What is known when everything has come to rest. */
export interface Evidence {
  /** Every id that was answered with 201 or 200. */
  readonly accepted: ReadonlySet<string>
  readonly ledger: ReadonlyArray<Line>
  readonly tasks: ReadonlyArray<StoredTask>
  /** The finished tasks of an earlier look. */
  readonly before: ReadonlyArray<StoredTask>
}

/** Everything that must never be and was, as sentences. */
export const flawsOf = (evidence: Evidence): ReadonlyArray<string> => [
  ...lostTasks(evidence),
  ...staleSettlements(evidence),
  ...claimsThatDoNotGrow(evidence),
  ...endsThatChanged(evidence),
  ...miscounts(evidence)
]

/** Every accepted task is stored and completed. */
const lostTasks = ({ accepted, tasks }: Evidence): ReadonlyArray<string> => {
  const stored = new Map(tasks.map((task) => [task.id, task]))
  return [...accepted].flatMap((id) => {
    const task = stored.get(id)
    if (task === undefined) return [`${id} was accepted and is gone`]
    return task.status === "completed" ? [] : [`${id} was accepted and is ${task.status}`]
  })
}

/** Only the latest claim of a task settles it, and it did run. */
const staleSettlements = ({ ledger, tasks }: Evidence): ReadonlyArray<string> => {
  const latest = new Map<string, number>()
  const ended = new Set<string>()
  for (const { claim, event, id } of ledger) {
    latest.set(id, Math.max(latest.get(id) ?? 0, claim))
    if (event === "end") ended.add(`${id} ${claim}`)
  }
  return tasks.filter(({ status }) => status === "completed").flatMap(({ history, id, result }) => {
    const claim = result?.claim ?? -1
    const last = Math.max(latest.get(id) ?? 0, ...history.map((attempt) => attempt.claim))
    if (claim < last) return [`${id} was settled by claim ${claim} after claim ${last} was given`]
    return ended.has(`${id} ${claim}`) ? [] : [`${id} was settled by claim ${claim}, whose handler never ended`]
  })
}

/** A claim number is given once, and within a task they grow. */
const claimsThatDoNotGrow = ({ ledger, tasks }: Evidence): ReadonlyArray<string> => {
  const holders = new Map<number, string>()
  const flaws: Array<string> = []
  for (const { claim, event, id } of ledger) {
    if (event !== "start") continue
    const holder = holders.get(claim)
    if (holder !== undefined) flaws.push(`claim ${claim} was given for ${holder} and for ${id}`)
    holders.set(claim, id)
  }
  for (const { history, id, result } of tasks) {
    const claims = [...history.map(({ claim }) => claim), ...(result === null ? [] : [result.claim])]
    const grow = claims.every((claim, index) => index === 0 || claim > claims[index - 1]!)
    if (!grow) flaws.push(`the claims of ${id} do not grow: ${claims.join(", ")}`)
  }
  return flaws
}

/** A finished task stays as it is. */
const endsThatChanged = ({ before, tasks }: Evidence): ReadonlyArray<string> => {
  const stored = new Map(tasks.map((task) => [task.id, task]))
  return before.filter((task) => task.completed_at !== null).flatMap((task) => {
    const now = stored.get(task.id)
    if (now === undefined) return [`${task.id} had ended and is gone`]
    return now.completed_at === task.completed_at && now.result?.claim === task.result?.claim
      ? []
      : [`${task.id} had ended and ended again`]
  })
}

/** What a fault did to an attempt is never counted as the task's own failure. */
const miscounts = ({ tasks }: Evidence): ReadonlyArray<string> =>
  tasks.flatMap(({ attempts, crashes, failures, history, id }) => {
    const flaws: Array<string> = []
    if (failures !== 0) flaws.push(`${id} counts ${failures} failures, and its handler never fails`)
    const crashed = history.filter(({ outcome }) => outcome === "crashed").length
    if (crashed !== Math.min(crashes, 20)) flaws.push(`${id} counts ${crashes} crashes, its history shows ${crashed}`)
    const released = history.length - crashed
    if (attempts !== crashes + released + 1) {
      flaws.push(`${id} was claimed ${attempts} times: ${crashes} crashes, ${released} others, and its end`)
    }
    return flaws
  })
