/** Batches: few of them, so that many add to the same at the same time, seal it and cancel it. */
import type { SeededRandom } from "../../src/testing/Simulation.ts"
import type { Action, Behaviour, Step, Submission } from "./Scenario.ts"

/** What a batch may start. */
export const callbacks = ["onSuccess", "onFailure", "onFinished"] as const

/** See {@link callbacks}. */
export type Callback = typeof callbacks[number]

/** The id of the task that a batch starts. */
export const callbackId = (batch: string, callback: Callback): string => `${callback} of ${batch}`

/** Makes a batch, adds members, lets it finish, or cancels it. */
export type BatchStep =
  | { readonly do: "batch"; readonly id: string; readonly callbacks: ReadonlyArray<Callback> }
  | {
    readonly do: "add"
    readonly batch: string
    /** The name of the addition. */
    readonly addition: string | undefined
    /** Those whose id is empty are called by the batch. */
    readonly members: ReadonlyArray<Submission>
    readonly whenFull: "fail" | "wait"
  }
  | { readonly do: "seal" | "cancel batch"; readonly batch: string }

const drawMember = (random: SeededRandom, id: string): Submission => ({
  id,
  type: random.pick(["work", "work", "mail"] as const),
  script: [
    ...Array.from(
      { length: random.pick([0, 0, 0, 1, 2]) },
      () => random.pick<Behaviour>(["fail", "die", "kill", "fatal", "snooze", "early", "grow"])
    ),
    random.pick<Behaviour>(["ok", "ok", "ok", "grow", "early", "fatal"])
  ],
  ms: random.pick([0, 5, 100, 600]),
  key: undefined,
  priority: random.pick([0, 1, 2]),
  delayMs: random.pick([0, 0, 300, 2000]),
  maxRetries: random.pick([0, 3, -1]),
  expiresInMs: random.pick([undefined, undefined, undefined, 400]),
  startWithinMs: undefined,
  passes: []
})

/** In some of the seeds: batches, and what clients and operators do to them and to their members. */
export const drawBatches = (
  random: SeededRandom,
  [probability, counts]: readonly [probability: number, counts: ReadonlyArray<number>],
  healsAt: number
): ReadonlyArray<Step> => {
  if (!random.chance(probability)) return []
  const begun: Array<string> = []
  const memberOf = (batch: string) =>
    random.chance(0.4) ? `m${random.int(4)}` : `${batch}/=a${random.int(2)}/m${random.int(2)}`
  const action = (): Action => {
    const what = begun.length === 0
      ? "batch"
      : random.pick(["batch", "add", "add", "add", "add", "seal", "seal", "cancel", "operate", "operate"] as const)
    if (what === "batch") {
      const id = `b${begun.length % 2}`
      begun.push(id)
      return { do: "batch", id, callbacks: callbacks.filter(() => random.chance(0.7)) }
    }
    const batch = random.pick(begun)
    switch (what) {
      case "add": {
        // an addition is repeated as it was
        const isNamed = random.chance(0.5)
        const addition = isNamed ? `a${random.int(2)}` : undefined
        const members = Array.from(
          { length: random.pick([1, 2, 3]) },
          () => drawMember(random, isNamed ? "" : `m${random.int(4)}`)
        )
        return { do: "add", batch, addition, members, whenFull: random.pick(["fail", "wait"]) }
      }
      case "seal":
        return { do: "seal", batch }
      case "cancel":
        return random.chance(0.4) ? { do: "cancel batch", batch } : { do: "seal", batch }
      case "operate": {
        const id = random.chance(0.9) ? memberOf(batch) : callbackId(batch, random.pick(callbacks))
        return { do: random.pick(["cancel", "rerun", "rerun", "remove"]), id }
      }
    }
  }
  return Array.from({ length: random.pick(counts) }, () => random.int(healsAt + 1000))
    .sort((a, b) => a - b)
    .map((at): Step => ({ at, instance: random.int(3), action: action() }))
}
