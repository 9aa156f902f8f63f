/** Tasks that depend on each other: written together, after tasks that are there, and what becomes of them while others wait. */
import type { SeededRandom } from "../../src/testing/Simulation.ts"
import type { Action, Behaviour, Step, Submission } from "./Scenario.ts"

/** Ids of such tasks. Few, so that they meet, are removed and come again. */
const idCount = 14

/** Tasks of one graph. */
const sizes = [1, 2, 3, 4, 6] as const

/** Which of the tasks before it in its graph one depends on. */
type Shape = (place: number, random: SeededRandom) => ReadonlyArray<number>

const shapes: ReadonlyArray<Shape> = [
  // one after another
  (place) => place === 0 ? [] : [place - 1],
  // all after the first
  (place) => place === 0 ? [] : [0],
  // each after all that came before: the last one waits for all
  (place) => Array.from({ length: place }, (_, other) => other),
  // whatever comes
  (place, random) => Array.from({ length: place }, (_, other) => other).filter(() => random.chance(0.5))
]

const drawScript = (random: SeededRandom): ReadonlyArray<Behaviour> => [
  ...Array.from(
    { length: random.pick([0, 0, 1, 2]) },
    () => random.pick<Behaviour>(["ok", "fail", "fail", "fatal", "die", "kill", "snooze", "early", "chain"])
  ),
  random.pick<Behaviour>(["ok", "read", "read", "read", "early", "chain", "fatal"])
]

const drawIds = (random: SeededRandom): ReadonlyArray<string> => {
  const first = random.int(idCount)
  return Array.from({ length: random.pick(sizes) }, (_, place) => `g${(first + place) % idCount}`)
}

/** One write: a graph, of which some may depend on tasks that are there, on some that are not, or on each other in a circle. */
const drawGraph = (random: SeededRandom, ids: ReadonlyArray<string>): Action => {
  const shape = random.pick(shapes)
  const onFailure = random.pick([undefined, "fail", "cancel", "run", "any"] as const)
  const isReversed = random.chance(0.3)
  const another = random.chance(0.35)
    ? {
      of: random.int(ids.length),
      id: random.pick([...ids, "g0", "g5", "g10", "g13", "t0", "t1", "u0", "f0", "nobody"])
    }
    : undefined
  const tasks = ids.map((id, place): Submission => ({
    id,
    type: random.pick(["work", "work", "work", "mail"] as const),
    script: drawScript(random),
    ms: random.pick([0, 5, 100, 600]),
    key: undefined,
    priority: random.pick([0, 1, 1, 2, 9]),
    delayMs: random.pick([0, 0, 0, 300, 2000]),
    maxRetries: random.pick([0, 1, 3]),
    expiresInMs: random.pick([undefined, undefined, undefined, undefined, 400, 1500, 5000]),
    startWithinMs: random.pick([undefined, undefined, undefined, 300, 2000]),
    passes: [],
    onFailure: onFailure === "any" ? random.pick([undefined, "fail", "cancel", "run"] as const) : onFailure,
    after: [
      ...new Set([
        ...shape(place, random).map((other) => ids[other]!),
        ...another?.of === place ? [another.id] : []
      ])
    ]
  }))
  return {
    do: "enqueue",
    tasks: isReversed ? tasks.toReversed() : tasks,
    whenFull: random.pick(["fail", "wait"]),
    awaits: random.chance(0.4)
  }
}

/** In a quarter of the seeds: graphs, and operators who cancel, run again, remove and change tasks of them. */
export const drawGraphs = (
  random: SeededRandom,
  [probability, counts]: readonly [probability: number, counts: ReadonlyArray<number>],
  healsAt: number
): ReadonlyArray<Step> => {
  if (!random.chance(probability)) return []
  let ids: ReadonlyArray<string> = ["g0"]
  // mostly those of the latest graph: it still waits
  const idOf = () => random.chance(0.8) ? random.pick(ids) : `g${random.int(idCount)}`
  const steps = (at: number): ReadonlyArray<Step> => {
    const step = (action: Action, laterMs = 0): Step => ({ at: at + laterMs, instance: random.int(3), action })
    switch (random.pick(["graph", "graph", "graph", "operate", "again", "again", "reschedule"] as const)) {
      case "graph":
        ids = drawIds(random)
        return [step(drawGraph(random, ids))]
      case "operate":
        return [step({ do: random.pick(["cancel", "cancel", "rerun", "rerun", "remove"]), id: idOf() })]
      case "again": {
        // while those wait that have been told of its first end
        const id = idOf()
        const again = step({ do: "rerun", id }, random.pick([50, 300, 1000]))
        return random.chance(0.7) ? [step({ do: "cancel", id }), again] : [again]
      }
      case "reschedule":
        return [
          step({
            do: "reschedule",
            id: idOf(),
            to: undefined,
            priority: random.pick([undefined, 0, 9]),
            delayMs: random.pick([undefined, 0, 300, 2000])
          })
        ]
    }
  }
  return Array.from({ length: random.pick(counts) }, () => random.int(healsAt + 1000)).sort((a, b) => a - b).flatMap(
    steps
  )
}
