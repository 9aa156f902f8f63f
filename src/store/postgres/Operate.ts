/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import { decideReopen, free, type ReopenAnswer, type ReopenOptions, type Standing } from "../../domain/Reopen.ts"
import { idOf, isAsSeen, type TaskRef } from "../../domain/Seen.ts"
import { finished, type FinishedState, isFinished } from "../../domain/TaskState.ts"
import type { Budget } from "../Admission.ts"
import { maxTold } from "../Dependencies.ts"
import { decideCancel, decideExpire, decideRerun, decideReschedule } from "../Driver.ts"
import type { RescheduleAnswer } from "../Reschedule.ts"
import { recordOf, type Row, stateCode, stateOf } from "../TaskRow.ts"
import {
  type Expired,
  keyedForMs,
  lastClaimForMs,
  type RerunAnswer,
  type Retention,
  type TaskStore
} from "../TaskStore.ts"
import { type Database, lookups, number, numbers, texts } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"
import { untied } from "./Edges.ts"
import * as Lines from "./Lines.ts"
import * as Passes from "./Passes.ts"
import type { Tally } from "./Tally.ts"
import { columnsOfDecisions, type Decided, type Tasks } from "./Task.ts"

/** Prepares the operations. */
export const make = (
  database: Database,
  tasks: Tasks,
  dependencies: Dependencies,
  capacity: Budget,
  tally: Tally
): Pick<TaskStore["Service"], "expire" | "cancel" | "rerun" | "reopen" | "reschedule" | "remove" | "prune"> => {
  const { once, query, schema } = database
  const lockToRemove =
    `SELECT id, state, seq::float8, ${schema}.is_awaited_1(seq), claim::float8, completed_at::float8 FROM (
      SELECT id, state, seq, claim, completed_at FROM ${schema}.task WHERE id = ANY ($1) ORDER BY seq + 0 FOR UPDATE
    ) t`
  const remove = `WITH untied AS (
      ${untied(schema, "$1::float8[]::bigint[]")}
    ), gone AS (
      DELETE FROM ${schema}.task WHERE seq = ANY ($1::float8[]::bigint[]) RETURNING state, queue, type
    ), ${uncounted(schema)}
    SELECT count(*)::int FROM gone`

  return {
    expire: expiring(database, tasks, dependencies),

    cancel: (refs) =>
      tasks.change(
        once,
        "cancel",
        refs.map(idOf),
        "unknown",
        (task, now, place) => decideCancel(task, now, refs[place])
      ),

    rerun: (refs) =>
      rerunning(database, tasks, dependencies)(refs).pipe(
        // They are unfinished again, which the count of this process would not know for a second
        Effect.tap((answers) => Effect.sync(() => capacity.add(answers.filter(({ _tag }) => _tag === "rerun").length)))
      ),

    reopen: (ids, options) =>
      reopening(database, tasks, dependencies)(ids, options).pipe(
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

    remove: (refs) =>
      refs.length === 0 ? Effect.succeed([]) : once.transaction(
        "remove",
        Effect.gen(function*() {
          const rows = yield* query<ToRemove>("remove", lockToRemove, [texts(refs.map(idOf))])
          const found = new Map(rows.map((row) => [row[0], row]))
          const gone: Array<number> = []
          const answers = refs.map((ref) => {
            const id = idOf(ref)
            const task = found.get(id)
            if (task === undefined) return "unknown"
            const [, code, seq, isAwaited, claim, completedAt] = task
            const state = stateOf(code)
            if (!isAsSeen({ state, claim, completedAt, dueAt: 0, cancelRequested: false }, ref)) return "unknown"
            if (!isFinished(state)) return "unfinished"
            if (isAwaited) return "awaited"
            found.delete(id)
            gone.push(seq)
            return "removed"
          })
          if (gone.length > 0) yield* query("remove", remove, [numbers(gone)])
          return answers
        })
      ),

    prune: pruning(database, tally)
  }
}

type ToRemove = readonly [
  id: string,
  state: number,
  seq: number,
  isAwaited: boolean,
  claim: number,
  completedAt: number | null
]

/** Runs tasks again. Those that depend on others wait for such of them as have not ended, or are run again too. */
const rerunning =
  ({ once, query, schema }: Database, tasks: Tasks, dependencies: Dependencies) =>
  (refs: ReadonlyArray<TaskRef>): Effect.Effect<ReadonlyArray<RerunAnswer>, StoreError> =>
    refs.length === 0 ? Effect.succeed([]) : dependencies.write(
      once,
      "rerun",
      Effect.gen(function*() {
        const ids = refs.map(idOf)
        const found = yield* tasks.lock("rerun", ids)
        const again = new Set(refs.flatMap((ref) => {
          const task = found.get(idOf(ref))
          return task !== undefined && decideRerun(task, 0, 0, ref)[0]._tag === "rerun" ? [task] : []
        }))
        const dependent = [...again].filter(({ onFailure }) => onFailure !== null)
        const waits = yield* reconnecting(
          query,
          schema,
          dependencies,
          dependent.map(({ seq }) => seq),
          Array.from(again, ({ seq }) => seq)
        )
        return yield* tasks.change<RerunAnswer>(
          once,
          "rerun",
          ids,
          { _tag: "unknown" },
          (task, now, place) => decideRerun(task, now, waits.get(task.seq), refs[place])
        )
      })
    )

/** Runs tasks of a graph again. They are locked; what they depend on is not, and whatever becomes of it they are told. */
const reopening = ({ now, once, query, schema }: Database, tasks: Tasks, dependencies: Dependencies) => {
  const standing = `SELECT * FROM ${schema}.standing_1($1::float8[]::bigint[])`
  return (ids: ReadonlyArray<string>, options: ReopenOptions): Effect.Effect<ReadonlyArray<ReopenAnswer>, StoreError> =>
    ids.length === 0 ? Effect.succeed([]) : dependencies.write(
      once,
      "rerun",
      Effect.gen(function*() {
        const found = yield* tasks.lock("rerun", ids)
        const dependent = [...found.values()].filter(({ onFailure }) => onFailure !== null)
        const standings = new Map<number, Standing>()
        if (dependent.length > 0) {
          const rows = yield* query<[seq: number, open: number, blocking: string | null]>("rerun", standing, [
            numbers(dependent.map(({ seq }) => seq))
          ])
          for (const [seq, open, blocking] of rows) standings.set(seq, { open, blocking: blocking ?? undefined })
        }
        const at = yield* now("rerun")
        const decided: Array<Decided> = []
        const answers = ids.map((id): ReopenAnswer => {
          const task = found.get(id)
          if (task === undefined) return { _tag: "unknown" }
          const { blocking, open } = standings.get(task.seq) ?? free
          const isHeldUp = task.onFailure !== "run"
          const [answer, change] = decideReopen(task, at, options, { open, blocking: isHeldUp ? blocking : undefined })
          if (change !== undefined) decided.push({ task, change })
          return answer
        })
        const waits = yield* reconnecting(
          query,
          schema,
          dependencies,
          decided.filter(({ task }) => task.onFailure !== null).map(({ task }) => task.seq),
          []
        )
        yield* tasks.apply(
          "rerun",
          decided.map(({ change, task }) => {
            const waitsFor = waits.get(task.seq) ?? 0
            const state = waitsFor > 0 || task.state === "scheduled" ? "scheduled" : "pending"
            return { task, change: { ...change, waitsFor, state } }
          })
        )
        return answers
      })
    )
}

/**
 * Connects tasks that run again, or wait once more, with those that they depend on; answers for how many each waits. Those of `again` are
 * about to be run again, and so have not ended.
 */
const reconnecting = Effect.fnUntraced(function*(
  query: Database["query"],
  schema: string,
  dependencies: Dependencies,
  seqs: ReadonlyArray<number>,
  again: ReadonlyArray<number>
) {
  type Reconnected = [tasks: ReadonlyArray<string>, waits: ReadonlyArray<string>, loose: ReadonlyArray<string>]
  const waits = new Map<number, number>()
  if (seqs.length === 0) return waits
  const reconnect = `SELECT * FROM ${schema}.reconnect_2($1::float8[]::bigint[], $2::float8[]::bigint[])`
  const [row] = yield* query<Reconnected>("rerun", reconnect, [numbers(seqs), numbers(again)])
  const [waiting, counts, loose] = row!
  waiting.forEach((seq, index) => waits.set(Number(seq), Number(counts[index])))
  yield* dependencies.leave([], loose.map(Number))
  return waits
})

/** Ends waiting tasks that have expired. Those that another session has locked are left to the next time. */
const expiring = (database: Database, tasks: Tasks, dependencies: Dependencies) => {
  const { now, once, query, schema } = database
  const waiting = `FROM ${schema}.task WHERE expires_at IS NOT NULL AND state < 2 AND expires_at <= `
  const any = `SELECT EXISTS (SELECT ${waiting} ${schema}.now_ms())`
  const expired = `SELECT ${columnsOfDecisions} ${waiting} $1::bigint
    ORDER BY expires_at LIMIT $2::int FOR NO KEY UPDATE SKIP LOCKED`
  return Effect.fnUntraced(function*(limit: number): Effect.fn.Return<ReadonlyArray<Expired>, StoreError> {
    // mostly there is none, which takes one round trip
    const [found] = limit <= 0 ? [[false]] : yield* query<[isAny: boolean]>("expire", any)
    if (!found![0]) return []
    return yield* dependencies.write(
      once,
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
      WHERE state >= 3 AND edges IS NULL AND on_failure IS NULL AND (state, (key IS NULL), completed_at) >= ${from}, ${-Number
      .MAX_SAFE_INTEGER})
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
        SELECT seq FROM (
          SELECT seq FROM ${schema}.task WHERE seq = ANY (ARRAY(SELECT seq FROM old)) AND state + 0 >= 3
            AND edges IS NULL AND on_failure IS NULL FOR UPDATE SKIP LOCKED
        ) t WHERE NOT ${schema}.is_awaited_1(seq)
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
  const connected = pruningConnected(database)
  /** No fewer than the tasks of each state that have to stay because of those that wait. */
  const awaited = `SELECT * FROM ${schema}.count_awaited_1()`
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
    for (const state of finished) gone += yield* connected(state, "old", limit - gone, forMs[state], forMs[state])
    const sizes = { ...yield* tally.finished }
    if (finished.some((state) => sizes[state] > max[state])) {
      for (const [code, count] of yield* query<[state: number, count: number]>("prune", awaited)) {
        sizes[stateOf(code) as FinishedState] -= count
      }
    }
    for (const state of finished) {
      let size = sizes[state]
      const shrink = Effect.fnUntraced(function*(text: string, name: string, keyedMs: number, to: number) {
        const amount = () => Math.min(size - to, limit - gone)
        const noted = (count: number) => {
          size -= count
          gone += count
        }
        if (amount() > 0) noted(yield* removed(text, [number(amount())]))
        if (amount() > 0) noted(yield* connected(state, name, amount(), 0, keyedMs))
      })
      yield* shrink(excess(state), "many", keyedForMs, max[state])
      yield* shrink(excessKeyed(state), "keyed", 0, Math.max(max[state], maxKeyed))
    }
    return gone
  })
}

/** Connected tasks that one look for those that may go looks at. */
const maxLooked = 1000

/**
 * Forgetting finished tasks that depend on others, or others on them. A part is looked at each time, the next ones after those of the last
 * time: many may have to stay. One with very many edges loses them bit by bit.
 */
const pruningConnected = ({ query, schema }: Database) => {
  const old = `SELECT seq::float8, completed_at::float8, key IS NOT NULL AND completed_at > c.now - $4::bigint
    FROM ${schema}.task, (SELECT ${schema}.now_ms() AS now OFFSET 0) c
    WHERE state >= 3 AND (edges IS NOT NULL OR on_failure IS NOT NULL)
      AND (state, completed_at, seq) > ($1::smallint, $2::bigint, $3::bigint)
      AND (state, completed_at) <= ($1::smallint, c.now - $5::bigint)
    ORDER BY state, completed_at, seq LIMIT ${maxLooked}`
  const remove = `SELECT ${schema}.forget_connected_1($1::float8[]::bigint[], $2::int)`
  /** Behind which the next look begins, by what is looked for. */
  const places = new Map<string, readonly [completedAt: number, seq: number]>()

  return Effect.fnUntraced(function*(
    state: FinishedState,
    name: string,
    limit: number,
    forMs: number,
    keyedForMs: number
  ): Effect.fn.Return<number, StoreError> {
    if (limit <= 0) return 0
    const from = places.get(name + state) ?? [-Number.MAX_SAFE_INTEGER, 0]
    const rows = yield* query<[seq: number, completedAt: number, isKept: boolean]>("prune", old, [
      number(stateCode[state]),
      number(from[0]),
      number(from[1]),
      bounded(keyedForMs),
      bounded(forMs)
    ])
    const last = rows.at(-1)
    if (last === undefined || rows.length < maxLooked) places.delete(name + state)
    else places.set(name + state, [last[1], last[0]])
    const found = rows.flatMap(([seq, , isKept]) => isKept ? [] : [seq])
    if (found.length === 0) return 0
    const [row] = yield* query<[gone: number]>("prune", remove, [numbers(found), number(limit)])
    return row![0]
  })
}

/** Removes the first so many of some finished tasks that none that has not ended depends on, and the edges from and to them. */
export const forgetFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.forget_connected_1(p_seqs bigint[], p_limit int) RETURNS int
  LANGUAGE plpgsql ${lookups} AS $function$
  DECLARE
    v_seqs bigint[] := ARRAY(SELECT seq FROM (
      SELECT seq FROM ${schema}.task WHERE seq = ANY (p_seqs) AND state + 0 >= 3 ORDER BY seq FOR UPDATE SKIP LOCKED
    ) t WHERE NOT ${schema}.is_awaited_1(seq) LIMIT p_limit);
    v_count int;
    v_gone int;
  BEGIN
    FOR i IN 1 .. cardinality(v_seqs) LOOP
      DELETE FROM ${schema}.edge WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${schema}.edge WHERE dependency = v_seqs[i] LIMIT ${maxTold} FOR UPDATE SKIP LOCKED
      ));
      GET DIAGNOSTICS v_count = ROW_COUNT;
      DELETE FROM ${schema}.edge WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${schema}.edge WHERE task = v_seqs[i] LIMIT ${maxTold} - v_count FOR UPDATE SKIP LOCKED
      ));
      IF EXISTS (SELECT FROM ${schema}.edge WHERE dependency = v_seqs[i])
        OR EXISTS (SELECT FROM ${schema}.edge WHERE task = v_seqs[i]) THEN
        v_seqs[i] := NULL;
      END IF;
    END LOOP;
    WITH gone AS (
      DELETE FROM ${schema}.task WHERE seq = ANY (v_seqs) RETURNING state, queue, type
    ), ${uncounted(schema)}
    SELECT count(*) INTO v_gone FROM gone;
    RETURN v_gone;
  END $function$`

/** For ever is as long as a clock can tell. */
const bounded = (millis: number) => number(Math.min(Math.round(millis), Number.MAX_SAFE_INTEGER))
