/** Engines whose gates are broken. Each is the real one with one decision of its gatekeeper made wrong. */
import { Effect } from "effect"
import { Gatekeeper } from "../../src/store/Gatekeeper.ts"
import type { GatedTask, Line } from "../../src/store/Lines.ts"
import type { Mutant } from "./Mutant.ts"

type Keeper = Gatekeeper<GatedTask>

/** Puts something in the place of a method, given the method itself. */
const instead = <Target extends object, Name extends keyof Target>(
  target: Target,
  name: Name,
  make: (original: Target[Name]) => Target[Name]
) =>
(): () => void => {
  const original = target[name]
  target[name] = make(original)
  return () => {
    target[name] = original
  }
}

const keeper = Gatekeeper.prototype as Keeper

/** A gatekeeper that does not see one kind of refusal, of breakers only those of a kind of time. */
const blindTo = (code: string, isMeant: (until: number | null) => boolean = () => true) =>
  instead(keeper, "refusalOf", (original) =>
    function(this: Keeper, line, task) {
      const refusal = original.call(this, line, task)
      if (refusal?.code !== code) return refusal
      return isMeant("until" in refusal ? refusal.until : null) ? undefined : refusal
    })

/** A line with the first of its passes alone. */
const withFirstPass = (line: Pick<Line<GatedTask>, "passes" | "standings">): Line<GatedTask> =>
  Object.create(line, {
    passes: { value: line.passes.slice(0, 1) },
    standings: { value: line.standings.slice(0, 1) }
  }) as Line<GatedTask>

export const gateMutants: ReadonlyArray<Mutant> = [
  { name: "limits not kept: as many of a key run as there are", noticedAt: 107, patch: blindTo("limit_full") },
  {
    name: "breakers not kept: what needs something that is down starts",
    patch: blindTo("breaker_open", (until) => until !== null)
  },
  {
    name: "two tasks try at a time what was down",
    noticedAt: 121,
    patch: blindTo("breaker_open", (until) => until === null)
  },
  {
    name: "what was down is never tried: its time is not noticed",
    noticedAt: 112,
    patch: instead(keeper, "park", (original) =>
      function(this: Keeper, line, place, refusal) {
        original.call(this, line, place, refusal.code === "breaker_open" ? { ...refusal, until: null } : refusal)
      })
  },
  {
    name: "the end of a try not noticed: the next task does not try",
    noticedAt: 357,
    patch: instead(keeper, "release", (original) =>
      function(this: Keeper, pass) {
        if (!pass.startsWith("~")) original.call(this, pass)
      })
  },
  { name: "rates not kept: a bucket is never empty", noticedAt: 49, patch: blindTo("rate_spent") },
  { name: "keys not paused", noticedAt: 16, patch: blindTo("key_paused") },
  {
    name: "order not kept: a task overtakes the one that is tried again",
    noticedAt: 41,
    patch: blindTo("key_blocked")
  },
  {
    name: "only the first of several limits kept",
    noticedAt: 87,
    patch: instead(keeper, "refusalOf", (original) =>
      function(this: Keeper, line, task) {
        return original.call(this, withFirstPass(line), task)
      })
  },
  {
    name: "an end gives no room: the task counts for ever",
    noticedAt: 13,
    patch: instead(keeper, "end", () => () => {})
  },
  {
    name: "room not noticed: what was refused is never looked at again",
    noticedAt: 77,
    patch: instead(keeper, "release", () => () => {})
  },
  {
    name: "room for one noticed, and no more: the next of a lot does not follow",
    noticedAt: 1548,
    patch: instead(keeper, "take", (original) =>
      function(this: Keeper, line, task) {
        line.from = undefined
        original.call(this, line, task)
      })
  },
  {
    name: "tokens not noticed: what waits for one is not looked at when it comes",
    noticedAt: 49,
    patch: instead(keeper, "begin", (original) =>
      function(this: Keeper, now) {
        const { wakes } = this as unknown as { readonly wakes: { first: () => unknown } }
        const { first } = wakes
        wakes.first = () => undefined
        original.call(this, now)
        wakes.first = first
      })
  },
  {
    name: "changed limits not noticed: what was refused waits for somebody's end",
    noticedAt: 16,
    patch: instead(keeper, "reopenWith", () => () => {})
  },
  {
    name: "the end of a holder not noticed: the next of its key waits for ever",
    noticedAt: 3846,
    patch: instead(keeper, "touch", () => () => {})
  },
  {
    name: "tokens taken twice",
    noticedAt: 49,
    patch: instead(keeper, "take", (original) =>
      function(this: Keeper, line, task) {
        original.call(this, line, task)
        original.call(this, line, task)
      })
  },
  {
    name: "a line behind a closed gate lost: its tasks are forgotten",
    noticedAt: 77,
    patch: instead(keeper, "park", (original) =>
      function(this: Keeper, line, place, refusal) {
        original.call(this, line, place, { ...refusal, pass: "nowhere=" })
      })
  },
  {
    name: "costs not looked at: each task takes one token",
    noticedAt: 49,
    patch: instead(keeper, "take", (original) =>
      function(this: Keeper, line, task) {
        const stored = task as { costs: string | null }
        const { costs } = stored
        stored.costs = null
        original.call(this, line, task)
        stored.costs = costs
      })
  },
  {
    name: "explanations that do not see who runs",
    noticedAt: 16,
    store: (store) => ({
      ...store,
      passes: (passes) =>
        Effect.map(store.passes(passes), (states) => states.map((state) => ({ ...state, running: 0 })))
    })
  },
  {
    name: "explanations that do not see what an order waits for",
    noticedAt: 77,
    store: (store) => ({
      ...store,
      passes: (passes) =>
        Effect.map(store.passes(passes), (states) => states.map((state) => ({ ...state, holder: null })))
    })
  }
]
