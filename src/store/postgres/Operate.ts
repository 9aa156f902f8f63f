/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import { finished, type FinishedState, isFinished } from "../../domain/TaskState.ts"
import type { Budget } from "../Admission.ts"
import { decideCancel, decideExpire, decideRerun, decideReschedule } from "../Driver.ts"
import type { RescheduleAnswer } from "../Reschedule.ts"
import { recordOf, type Row, stateCode } from "../TaskRow.ts"
import {
  type Expired,
  keyedForMs,
  lastClaimForMs,
  type RerunAnswer,
  type Retention,
  type TaskStore
} from "../TaskStore.ts"
import { type Database, number, numbers } from "./Database.ts"
import * as Lines from "./Lines.ts"
import * as Passes from "./Passes.ts"
import type { Tally } from "./Tally.ts"
import { columnsOfDecisions, type Decided, type Tasks } from "./Task.ts"

/** Prepares the operations. */
export const make = (
  database: Database,
  tasks: Tasks,
  capacity: Budget,
  tally: Tally
): Pick<TaskStore["Service"], "expire" | "cancel" | "rerun" | "reschedule" | "remove" | "prune"> => {
  const { once, query, schema } = database
  const remove = `WITH gone AS (
      DELETE FROM ${schema}.task WHERE seq = ANY ($1::float8[]::bigint[]) RETURNING state, queue, type
    ), ${uncounted(schema)}
    SELECT count(*)::int FROM gone`

  return {
    expire: expiring(database, tasks),

    cancel: (ids) => tasks.change(once, "cancel", ids, "unknown", decideCancel),

    rerun: (ids) =>
      tasks.change<RerunAnswer>(once, "rerun", ids, { _tag: "unknown" }, decideRerun).pipe(
        // They are unfinished again, which the count of this process would not know for a second
        Effect.tap((answers) => Effect.sync(() => capacity.add(answers.filter(({ _tag }) => _tag === "rerun").length)))
      ),

    reschedule: (requests) =>
      tasks.change<RescheduleAnswer>(
        once,
        "reschedule",
        requests.map(({ id }) => id),
        { _tag: "unknown" },
        (task, now, place) => decideReschedule(task, requests[place]!, now)
      ),

    remove: (ids) =>
      ids.length === 0 ? Effect.succeed([]) : once.transaction(
        "remove",
        Effect.gen(function*() {
          const found = yield* tasks.lock("remove", ids)
          const gone: Array<number> = []
          const answers = ids.map((id) => {
            const task = found.get(id)
            if (task === undefined) return "unknown"
            if (!isFinished(task.state)) return "unfinished"
            found.delete(id)
            gone.push(task.seq)
            return "removed"
          })
          if (gone.length > 0) yield* query("remove", remove, [numbers(gone)])
          return answers
        })
      ),

    prune: pruning(database, tally)
  }
}

/** Ends waiting tasks that have expired. Those that another session has locked are left to the next time. */
const expiring = ({ now, once, query, schema }: Database, tasks: Tasks) => {
  const waiting = `FROM ${schema}.task WHERE expires_at IS NOT NULL AND state < 2 AND expires_at <= `
  const any = `SELECT EXISTS (SELECT ${waiting} ${schema}.now_ms())`
  const expired = `SELECT ${columnsOfDecisions} ${waiting} $1::bigint
    ORDER BY expires_at LIMIT $2::int FOR UPDATE SKIP LOCKED`
  return Effect.fnUntraced(function*(limit: number): Effect.fn.Return<ReadonlyArray<Expired>, StoreError> {
    // mostly there is none, which takes one round trip
    const [found] = limit <= 0 ? [[false]] : yield* query<[isAny: boolean]>("expire", any)
    if (!found![0]) return []
    return yield* once.transaction(
      "expire",
      Effect.gen(function*() {
        const at = yield* now("expire")
        const rows = yield* query<Row>("expire", expired, [number(at), number(limit)])
        const ended: Array<Expired> = []
        const decided: Array<Decided> = []
        for (const row of rows) {
          const task = recordOf(row)
          const [answer, change] = decideExpire(task, at)
          if (answer === undefined || change === undefined) continue
          ended.push(answer)
          decided.push({ task, change })
        }
        yield* tasks.apply("expire", decided)
        return ended
      })
    )
  })
}

/** Takes tasks that are gone out of the counters. Those that had expired are among the cancelled, and counted apart too. */
const uncounted = (schema: string): string =>
  `counted AS (
      INSERT INTO ${schema}.tally (queue, type, completed, failed, cancelled)
      SELECT queue, type, -count(*) FILTER (WHERE state = 3), -count(*) FILTER (WHERE state = 4),
        -count(*) FILTER (WHERE state >= 5) FROM gone GROUP BY queue, type
    ), expired AS (
      INSERT INTO ${schema}.tally_expired (stored) SELECT -count(*) FROM gone WHERE state = 6 HAVING count(*) > 0
    )`

/** A claim that is not its instance's last is kept a little longer, in case its answer is still on its way. */
const supersededForMs = 60_000

/** Claims forgotten at once at most. */
const maxForgotten = 5000

/**
 * Forgetting finished tasks: first those that are too old, then the oldest beyond the number to keep. Apart from that, what
 * else has had its time: claims that cannot be repeated any more, and counters that can be added up.
 */
const pruning = (database: Database, tally: Tally) => {
  const { query, schema } = database
  // One stretch of `task_finished`: a state, unkeyed or keyed, oldest first. In rows that are compared the planner leaves the expression of the
  // index as it is: of `(key IS NULL) = false` it makes what that index does not have, and reads all tasks of the state
  const stretch = (state: number, keyed: boolean, until: string, limit: string) => {
    const from = `(${state}::smallint, ${!keyed}`
    return `(SELECT seq, completed_at FROM ${schema}.task
      WHERE state >= 3 AND (state, (key IS NULL), completed_at) >= ${from}, ${-Number.MAX_SAFE_INTEGER})
        AND (state, (key IS NULL), completed_at) <= ${from}, ${until})
      ORDER BY state, (key IS NULL), completed_at LIMIT ${limit})`
  }
  const stretches = (
    states: ReadonlyArray<FinishedState>,
    until: (state: FinishedState, keyed: boolean) => string,
    limit: string
  ) =>
    states.flatMap((state) =>
      [false, true].map((keyed) => stretch(stateCode[state], keyed, until(state, keyed), limit))
    ).join(" UNION ALL ")
  const removal = (candidates: string, limit: string) =>
    `WITH clock AS MATERIALIZED (SELECT ${schema}.now_ms() AS now),
    old AS (SELECT seq FROM (${candidates}) c ORDER BY completed_at, seq LIMIT ${limit}),
    gone AS (
      DELETE FROM ${schema}.task WHERE seq = ANY (ARRAY(
        SELECT seq FROM ${schema}.task WHERE seq = ANY (ARRAY(SELECT seq FROM old)) AND state + 0 >= 3
        FOR UPDATE SKIP LOCKED
      )) RETURNING state, queue, type
    ), ${uncounted(schema)}
    SELECT count(*)::int FROM gone`
  const aged = removal(
    stretches(finished, (state) => `(SELECT now FROM clock) - $${finished.indexOf(state) + 2}::bigint`, "$1::int"),
    "$1::int"
  )
  // a keyed task keeps answering repeated requests for a day
  const excess = (state: FinishedState) =>
    removal(
      stretches([state], (_, keyed) =>
        keyed ? `(SELECT now FROM clock) - ${keyedForMs}` : "(SELECT now FROM clock)", "$1::int"),
      "$1::int"
    )
  const excessKeyed = (state: FinishedState) =>
    removal(stretches([state], () => "(SELECT now FROM clock)", "$1::int"), "$1::int")
  // the newest stays for ever: it holds the greatest number that a claim has had, see `Server`
  // an array is read once; a subquery of IN may be run once per row, its limit with it
  const forget = `DELETE FROM ${schema}.last_claim WHERE ctid = ANY (ARRAY(
      SELECT l.ctid FROM ${schema}.last_claim l, (SELECT ${schema}.now_ms() AS now) c
      WHERE l.last_claim < (SELECT max(last_claim) FROM ${schema}.last_claim)
        AND claimed_at <= now - ${supersededForMs} AND (claimed_at <= now - ${lastClaimForMs} OR EXISTS (
        SELECT FROM ${schema}.last_claim n WHERE n.worker = l.worker AND n.nonce > l.nonce
      )) ORDER BY claimed_at LIMIT ${maxForgotten} FOR UPDATE OF l SKIP LOCKED
    ))`

  const renewed = Lines.renewed(schema)
  const sweep = Passes.sweep(database)

  const removed = (text: string, parameters: Parameters<typeof query>[2]) =>
    Effect.map(query<[count: number]>("prune", text, parameters), (rows) => rows[0]![0])

  return Effect.fnUntraced(function*({ forMs, max, maxKeyed }: Retention, limit: number) {
    yield* tally.fold
    yield* query("prune", forget)
    yield* query("prune", renewed)
    yield* sweep
    if (limit <= 0) return 0
    let gone = yield* removed(aged, [number(limit), ...finished.map((state) => bounded(forMs[state]))])
    const sizes = yield* tally.finished
    for (const state of finished) {
      let size = sizes[state]
      const shrink = Effect.fnUntraced(function*(text: string, to: number) {
        const amount = Math.min(size - to, limit - gone)
        const count = amount <= 0 ? 0 : yield* removed(text, [number(amount)])
        size -= count
        gone += count
      })
      yield* shrink(excess(state), max[state])
      yield* shrink(excessKeyed(state), Math.max(max[state], maxKeyed))
    }
    return gone
  })
}

/** For ever is as long as a clock can tell. */
const bounded = (millis: number) => number(Math.min(Math.round(millis), Number.MAX_SAFE_INTEGER))
