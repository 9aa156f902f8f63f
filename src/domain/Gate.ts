/**
 * What a task must pass to start: limits that it shares with other tasks, by their keys. A claim takes a due task only if
 * every pass of its gate is open, and decides so in the store, so that no two instances can overshoot a limit.
 *
 * A pass is `limit=key`: the name of a limit and what the task's payload gives as its key, which may be empty. Tasks with
 * the same passes have the same gate and wait in one line.
 */
import { Schema } from "effect"
import { isFinished, type TaskState } from "./TaskState.ts"

/** The name of a limit, and a key of it, as one text: `sync:concurrency=acme`. */
export type Pass = string

/**
 * How the pass of an order begins. A limit's name does not, so that a store knows by the gate alone which tasks go in the order
 * in which they were stored: the passes of orders come first.
 */
export const orderMark = "!"

/** How the pass of a breaker begins: see `Breaker`. A limit's name does not, so that neither takes the place of the other. */
export const breakerMark = "~"

/** Whether the tasks of a gate go in the order in which they were stored, retries included. */
export const isOrdered = (gate: string | null): boolean => gate !== null && gate.startsWith(`["${orderMark}`)

/** Passes of one task at most. */
export const maxPasses = 8

/** Bytes of UTF-8 in a gate: stores index it. */
export const maxGateBytes = 1024

/** The pass of a limit and a key. */
export const passOf = (limit: string, key: string): Pass => `${limit}=${key}`

/** The limit of a pass. */
export const limitOf = (pass: Pass): string => pass.slice(0, pass.indexOf("="))

/** The key of a pass. */
export const keyOf = (pass: Pass): string => pass.slice(pass.indexOf("=") + 1)

/** What a task shows of its gate, as it is stored. */
export interface Gated {
  /** The passes as a JSON array of texts; `null` where nothing but its turn keeps the task from starting. */
  readonly gate: string | null
  /** What the task takes of each pass that has a rate, as a JSON array of numbers; `null` where that is 1 of each. */
  readonly costs: string | null
}

/** A task without a gate. */
export const none: Gated = { gate: null, costs: null }

/** The gate of passes and what the task takes of each. */
export const gated = (passes: ReadonlyArray<readonly [pass: Pass, cost: number]>): Gated =>
  passes.length === 0 ? none : {
    gate: JSON.stringify(passes.map(([pass]) => pass)),
    costs: passes.every(([, cost]) => cost === 1) ? null : JSON.stringify(passes.map(([, cost]) => cost))
  }

/** The passes of a gate. */
export const passesOf = (gate: string | null): ReadonlyArray<Pass> =>
  gate === null ? [] : isPlain(gate) ? [gate.slice(2, -2)] : JSON.parse(gate) as ReadonlyArray<Pass>

/** Whether a gate has one pass, without anything that JSON escapes: nearly every one, and stores make lines of very many. */
const isPlain = (gate: string): boolean =>
  gate.startsWith("[\"") && gate.indexOf("\"", 2) === gate.length - 2 && !gate.includes("\\")

/** Whether a task whose gate becomes another one leaves an order in which it goes. */
export const leavesOrder = (from: string | null, to: string | null): boolean => {
  if (from === to || !isOrdered(from)) return false
  const kept = new Set(passesOf(to))
  return passesOf(from).some((pass) => pass.startsWith(orderMark) && !kept.has(pass))
}

const oneOfEach: ReadonlyArray<number> = []

/** What a task takes of each of its passes: 1 where nothing is said. Nearly all tasks say nothing, and none of them is parsed for it. */
export const costsOf = ({ costs }: Pick<Gated, "costs">): ReadonlyArray<number> =>
  costs === null ? oneOfEach : JSON.parse(costs) as ReadonlyArray<number>

/**
 * At most `max` tasks of a pass run at a time; with `notBefore`, none starts before this time by the store's clock. This is what a
 * breaker that is open puts: nothing starts until it may be tried, then one task at a time.
 */
const Concurrency = Schema.Struct({
  max: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  notBefore: Schema.optionalKey(Schema.Int)
})

/** Tokens of a rate or of a bucket. Within these bounds, and those of its time, every store can hold what it computes of them. */
export const tokenBounds = { minimum: 0.000_001, maximum: 1_000_000_000 }

/** Milliseconds in which a rate gives its tokens: up to 3,650 days. */
export const perMsBounds = { minimum: 1, maximum: 315_360_000_000 }

/**
 * A bucket of tokens for each pass: it gets `tokens` in `perMs` milliseconds, evenly, and holds `burst` at most. A task
 * starts when the bucket has what it costs, or is full where it costs more than that, and takes it out.
 */
const Rate = Schema.Struct({
  tokens: Schema.Finite.check(Schema.isBetween(tokenBounds)),
  perMs: Schema.Finite.check(Schema.isBetween(perMsBounds)),
  burst: Schema.Finite.check(Schema.isBetween(tokenBounds))
})

/**
 * Tasks of a pass go one at a time. The one that was started last holds the pass until it has finished: through its retries,
 * and where the order is to `block`, also when it has failed, until it is run again and completes, is removed, or is let go.
 */
const Order = Schema.Struct({ order: Schema.Literals(["block", "continue"]) })

/** Lines of the limit take turns: one is served this often, then those that were not served for longer come first. */
const Fair = Schema.Struct({ fair: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })) })

/** No limit: it has been lifted. */
const Lifted = Schema.Struct({ lifted: Schema.Literal(true) })

/**
 * What a limit is, as its record says: `{"max":2}`, `{"max":1,"notBefore":1700000000000}`, `{"tokens":100,"perMs":60000,"burst":100}`, `{"order":"block"}`,
 * `{"fair":1}` or `{"lifted":true}`.
 */
export const Limit = Schema.Union([Concurrency, Rate, Order, Fair, Lifted])

export type Limit = typeof Limit.Type

/** The holder of an order's pass, as a claim finds it. */
export interface Holder {
  readonly id: string
  readonly state: TaskState
}

/**
 * Whether a pass is closed to all but its holder. A holder that waits again behind others of its line, because it was stored
 * later or is less urgent, starts in the place of the first.
 */
export const isHeld = (holder: Holder | undefined, { order }: typeof Order.Type): holder is Holder =>
  holder !== undefined &&
  (holder.state === "failed" ? order === "block" : !isFinished(holder.state))

/** How much a bucket has, and since when; a new one is full. */
export interface Bucket {
  readonly level: number
  readonly at: number
}

/** What a bucket has now. A clock that was set back adds nothing and takes nothing: see {@link swept}. */
export const levelAt = (bucket: Bucket | undefined, { burst, perMs, tokens }: typeof Rate.Type, now: number): number =>
  bucket === undefined ? burst : Math.min(burst, bucket.level + Math.max(0, now - bucket.at) * tokens / perMs)

/**
 * Until when a bucket lacks something at the latest, in milliseconds since the epoch: the last one that has a date. More can be
 * charged than a slow rate gives in any time that stores can write.
 */
export const maxLacksUntil = 253_402_300_799_999

/** Until when a bucket lacks what a task costs, at least: `undefined` if it has it now. */
export const lacksUntil = (
  level: number,
  cost: number,
  { burst, perMs, tokens }: typeof Rate.Type,
  now: number
): number | undefined => {
  const missing = Math.min(cost, burst) - level
  // never too late: what is looked at a moment too early, because of how doubles are rounded, waits for one millisecond more
  return missing <= 0 ? undefined : Math.min(maxLacksUntil, now + Math.max(1, Math.floor(missing * perMs / tokens)))
}

/**
 * Why a pass is closed: an operator paused its key, as many tasks as it may have run, its breaker is open until a time or a task
 * that tries it runs, its bucket lacks tokens until a time, or another task holds it.
 */
export type Refusal =
  | { readonly code: "key_paused"; readonly pass: Pass }
  | { readonly code: "limit_full"; readonly pass: Pass; readonly max: number }
  | { readonly code: "breaker_open"; readonly pass: Pass; readonly until: number | null }
  | { readonly code: "rate_spent"; readonly pass: Pass; readonly until: number }
  | { readonly code: "key_blocked"; readonly pass: Pass; readonly holder: Holder }

/** What decides about passes: their limits, how many tasks run with them, and their buckets. */
export interface Passes {
  readonly isPaused: (pass: Pass) => boolean
  /** The limit of the pass itself, or that of its name. */
  readonly limitOf: (pass: Pass) => Limit | undefined
  readonly running: (pass: Pass) => number
  readonly bucketOf: (pass: Pass) => Bucket | undefined
  /** The task that was started last with the pass of an order, as long as it is stored. */
  readonly holderOf: (pass: Pass) => Holder | undefined
}

/** The first pass of a gate that is closed to a task. This is what the claims of all stores decide. */
export const refusal = (
  id: string,
  passes: ReadonlyArray<Pass>,
  costs: ReadonlyArray<number>,
  state: Passes,
  now: number
): Refusal | undefined => {
  for (const [index, pass] of passes.entries()) {
    if (state.isPaused(pass)) return { code: "key_paused", pass }
    const limit = state.limitOf(pass)
    if (limit === undefined || "lifted" in limit || "fair" in limit) continue
    if ("order" in limit) {
      const holder = state.holderOf(pass)
      if (isHeld(holder, limit) && holder.id !== id) return { code: "key_blocked", pass, holder }
      continue
    }
    if ("max" in limit) {
      const { max, notBefore } = limit
      if (notBefore !== undefined && now < notBefore) return { code: "breaker_open", pass, until: notBefore }
      if (state.running(pass) < max) continue
      return notBefore === undefined ? { code: "limit_full", pass, max } : { code: "breaker_open", pass, until: null }
    }
    const until = lacksUntil(levelAt(state.bucketOf(pass), limit, now), costs[index] ?? 1, limit, now)
    if (until !== undefined) return { code: "rate_spent", pass, until }
  }
  return undefined
}

/** When the pass that a refusal names may be open by itself: `undefined` where that takes another task's end or a put. */
export const opensAt = (refusal: Refusal): number | undefined =>
  refusal.code === "rate_spent" || refusal.code === "breaker_open" ? refusal.until ?? undefined : undefined

/**
 * Where a line of a fair limit stands once it has been served, as a rank: behind those that became due before, and behind
 * those that were served before in the same claim. `rank` is that of a task of its priority that is due now. The line is at
 * this place, or at that of its first task, whichever comes later.
 */
export const turnOf = (rank: number, servedBefore: number): number => rank + (servedBefore + 1) / 1024

/** The bucket after a task has taken what it costs, or after more or less was charged. */
export const spend = (bucket: Bucket | undefined, limit: typeof Rate.Type, cost: number, now: number): Bucket => ({
  level: levelAt(bucket, limit, now) - cost,
  at: now
})

/** How long a bucket is kept whose limit is not a rate any more, in milliseconds: it may become one again. */
export const orphanForMs = 400 * 24 * 60 * 60 * 1000

/** Whether a bucket has to be kept: a full one is as good as none. */
const isSpent = (bucket: Bucket, limit: Limit | undefined, now: number): boolean =>
  limit !== undefined && "tokens" in limit
    ? levelAt(bucket, limit, now) < limit.burst
    : now - bucket.at < orphanForMs

/**
 * What a store keeps of a bucket when it looks through them: nothing of one that is full. One that was written by a clock that has
 * been set back since goes on from now: it has got nothing for the time that comes twice, and would get nothing until that is over.
 */
export const swept = (bucket: Bucket, limit: Limit | undefined, now: number): Bucket | undefined =>
  !isSpent(bucket, limit, now) ? undefined : bucket.at > now ? { level: bucket.level, at: now } : bucket
