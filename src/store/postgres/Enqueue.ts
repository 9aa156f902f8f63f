/**
 * Storing new tasks: groups, each entirely or not at all.
 *
 * Groups without keys that fit go into one statement. If that hits a known id, or if any task has a key, the known ids
 * and keys are read, each group is decided, and the rest is inserted in one statement. It fails as a whole if another
 * process was faster; then all this starts over. Edges between new tasks are part of that statement; those that lead from stored ones are
 * loose, see `Dependencies`.
 */
import { Effect, Schedule } from "effect"
import { isDependent } from "../../domain/Dependencies.ts"
import type { StoreError } from "../../domain/Errors.ts"
import * as Rank from "../../domain/Rank.ts"
import { typeOf } from "../../domain/StoredType.ts"
import { type NewTask, onFailureOf, type TaskRecord } from "../../domain/TaskRecord.ts"
import * as Uniqueness from "../../domain/Uniqueness.ts"
import { type Budget, offeredBytes, Plan, writtenBytes } from "../Admission.ts"
import { nameOf } from "../Draft.ts"
import { recordOf, type Row } from "../TaskRow.ts"
import type { EnqueueAnswer } from "../TaskStore.ts"
import { type Database, isOneOf, lookups, number, numbers, type Parameter, texts, typeName } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"
import * as Failure from "./Failure.ts"
import { orderedPattern } from "./Take.ts"
import { columns, type Tasks } from "./Task.ts"

type Group = ReadonlyArray<NewTask>

/** The clock, how many were stored, and which unless all were. */
type Stored = [now: number, count: number, ids: ReadonlyArray<string> | null]

type KnownRow = [
  now: number,
  id: string | null,
  type: string,
  key: string | null,
  payload: string,
  hold: string | null,
  isOwner: boolean
]

/** Others may store the same ids or keys, but not for ever. */
const whileDuplicate = {
  schedule: Schedule.upTo(Schedule.jittered(Schedule.spaced("5 millis")), { times: 20 }),
  while: Failure.isDuplicate
}

/** Tasks that differ in anything. */
const various = `unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::float8[],
  $9::float8[], $10::float8[], $11::float8[]) WITH ORDINALITY
  AS g (id, payload, type, queue, priority, key, max_retries, timeout_ms, delay, run_at, place)`

/** Tasks that differ in their ids and payloads only, as those of most batches do: eight arrays less. */
const alike = `(
  SELECT u.*, $4::text AS type, $5::text AS queue, $6::float8 AS priority, $7::text AS key, $8::float8 AS max_retries,
    $9::float8 AS timeout_ms, $10::float8 AS delay, $11::float8 AS run_at
  FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (id, payload, place)
) AS g`

/** The same where a task has a gate, a window, an expiry, a deadline, a trace or tags: a statement of its own, so that others cost what they did. */
const variousMore = various.replace(
  "$11::float8[])",
  "$11::float8[], $12::text[], $13::text[], $14::text[], $15::float8[], $16::float8[], $17::text[], $18::text[])"
).replace("run_at, place)", "run_at, gate, costs, key_hold, expires_in, start_within, trace, tags, place)")

/** The same with what depends on others, or others on it. */
const connected = variousMore.replace("$18::text[])", "$18::text[], $19::text[], $20::float8[], $21::float8[])")
  .replace("tags, place)", "tags, on_failure, waits_for, edges, place)")

const isPlain = (task: NewTask): boolean =>
  task.gate === null && task.expiresInMs === null && task.startWithinMs === null && task.trace === undefined &&
  task.tags === undefined && !isUnique(task)

const isUnique = ({ unique }: NewTask): boolean => unique !== null && unique !== undefined

/** Takes keys from tasks: others have them from now on. */
export const loseFunction = (schema: string): string =>
  `CREATE OR REPLACE FUNCTION ${schema}.lose_keys_1(p_seqs bigint[], p_holds text[]) RETURNS void LANGUAGE plpgsql
    ${lookups} AS $function$
  BEGIN
    UPDATE ${schema}.task t SET key_lost = true, key_hold = g.hold
      FROM unnest(p_seqs, p_holds) AS g (seq, hold) WHERE ${isOneOf("t.seq", "g.seq")};
  END $function$`

/** Prepares the operation. */
export const make = (
  database: Database,
  tasks: Tasks,
  dependencies: Dependencies,
  capacity: Budget,
  headStartMs: number,
  budget: Budget | undefined
) => {
  const { inTransaction, now: clock, query, schema } = database
  const moreColumns = "gate, shared_gate, costs, key_hold, expires_at, start_within, start_by, trace, tags"
  const moreValues =
    `CASE WHEN NOT shares THEN gate END, CASE WHEN shares THEN gate END, costs, key_hold, due_at + expires_in::bigint, start_within::bigint,
        due_at + start_within::bigint, trace, tags`
  /** What a rank counts from: see `Rank`. */
  const rankedFrom = `CASE WHEN gate LIKE '${orderedPattern}' THEN now
          ELSE due_at + coalesce(start_within::bigint - ${Rank.usualStartMs(headStartMs)}, 0) END`
  /** What was stored, by queue and type. */
  const ofEachLane =
    "SELECT queue, type, count(*), count(*) FILTER (WHERE state = 0), count(*) FROM stored GROUP BY queue, type"
  const ofOneLane = `SELECT $5::text, $4::text, count(*), count(*) FILTER (WHERE state = 0), count(*) FROM stored
    HAVING count(*) > 0`

  /** Where a known id is no error, the ids that were stored are answered unless all were. */
  const insert = (tasks: string, rest: string, mayBeKnown = false) => {
    const hasEdges = tasks === connected
    const hasMore = tasks === variousMore || hasEdges
    // what is new in a line, which claims look up: see `Lines`
    const announced = `announced AS (
      INSERT INTO ${schema}.line_news (type, queue, gate, changed)
      SELECT DISTINCT type, queue, gate, false FROM stored WHERE gate IS NOT NULL AND state = 1
    ), `
    // the places of tasks are those of their numbers in an array, where each is found at once, however many there are
    const numbersOf = "(SELECT seqs FROM numbers)"
    const joined = `numbers AS MATERIALIZED (
      SELECT array_agg(seq ORDER BY place) AS seqs FROM numbered
    ), joined AS (
      INSERT INTO ${schema}.edge (task, place, dependency, nr)
      SELECT ${numbersOf}[e.task], e.place, coalesce(${numbersOf}[e.new], e.stored::bigint), e.nr
      FROM unnest($22::float8[]::int[], $23::float8[]::int[], $24::float8[]::int[], $25::float8[], $26::float8[]::int[]) AS e (task, place, new, stored, nr)
    ), `
    const edgeColumns = ", on_failure, waits_for, edges, told"
    const edgeValues = ", on_failure, waits_for::int, edges::int, CASE WHEN edges > 0 THEN 0 END"
    const isScheduled = hasEdges ? "due_at > now OR waits_for > 0" : "due_at > now"
    // which wait with those that have no gate: see `Shared`
    const sharing = `sharing AS MATERIALIZED (SELECT ${schema}.may_share_1($4, $5, $12) AS places), `
    const shares = ", (SELECT places FROM sharing)[g.place::int] AS shares"
    return `WITH clock AS MATERIALIZED (SELECT ${schema}.now_ms() AS now), ${hasMore ? sharing : ""}
    given AS (
      SELECT g.*${hasMore ? shares : ""}, coalesce(g.run_at::bigint, clock.now + g.delay::bigint) AS due_at, clock.now
      FROM clock, ${tasks} ORDER BY g.place
    ), numbered AS (
      SELECT nextval('${schema}.task_seq') AS seq, * FROM given
    ), ${hasEdges ? joined : ""}stored AS (
      INSERT INTO ${schema}.task (seq, id, type, queue, payload, priority, key, max_retries, timeout_ms, state,
        created_at, due_at, rank${hasMore ? `, ${moreColumns}` : ""}${hasEdges ? edgeColumns : ""})
      SELECT seq, id, type, queue, payload, priority::smallint, key, max_retries::bigint,
        timeout_ms::bigint, CASE WHEN ${isScheduled} THEN 0 ELSE 1 END, now, due_at,
        ${hasMore ? rankedFrom : "due_at"} - (priority * $1::float8)::bigint${hasMore ? `, ${moreValues}` : ""}${
      hasEdges ? edgeValues : ""
    }
      FROM numbered ${rest} RETURNING state, queue, type${hasMore ? ", gate" : ""}${mayBeKnown ? ", id" : ""}
    ), ${hasMore ? announced : ""}counted AS (
      INSERT INTO ${schema}.tally (queue, type, unfinished, scheduled, total_created)
      ${tasks === alike ? ofOneLane : ofEachLane} RETURNING unfinished
    )
    SELECT (SELECT now FROM clock)::float8, coalesce((SELECT sum(unfinished) FROM counted), 0)::int, ${
      mayBeKnown
        ? "CASE WHEN count(*) < cardinality($2) THEN coalesce(array_agg(id), '{}') END FROM stored"
        : "NULL::text[]"
    }`
  }
  const inserts = (tasks: string) => ({
    unknown: insert(tasks, "ON CONFLICT (id) DO NOTHING", true),
    // measured for a thousand tasks: 23 ms, and 28 when it has to look for conflicts
    new: insert(tasks, ""),
    // in one order, or two processes that store the same keys would each wait for the other
    all: insert(tasks, `ORDER BY ${typeName("type")}, key`)
  })
  const insertAlike = insert(alike, "")
  const plain = inserts(various)
  const more = inserts(variousMore)
  const graph = inserts(connected)
  const insertsFor = (tasks: Group) => tasks.some(isDependent) ? graph : tasks.every(isPlain) ? plain : more
  const hold = `SELECT * FROM ${schema}.hold_tasks_1($1)`
  const known = `SELECT c.now::float8, t.id, t.type, t.key, t.payload, t.key_hold, t.is_owner
    FROM (SELECT ${schema}.now_ms() AS now) c LEFT JOIN (
      SELECT id, type, key, payload, key_hold, NOT key_lost AS is_owner FROM ${schema}.task WHERE id = ANY ($1)
      UNION ALL
      SELECT t.* FROM unnest($2::text[], $3::text[]) AS g (type, key), LATERAL (
        SELECT o.id, o.type, o.key, o.payload, o.key_hold, true FROM ${schema}.task o
        WHERE ${typeName("o.type")} = g.type AND o.key = g.key AND NOT o.key_lost OFFSET 0
      ) t
    ) t ON true`
  // locked, so that no claim takes one that is revised; one that has lost its key since has a new owner, which is met below
  const lockOwners =
    `SELECT ${columns} FROM ${schema}.task WHERE id = ANY ($1) AND NOT key_lost ORDER BY seq + 0 FOR NO KEY UPDATE`
  const lose = `SELECT ${schema}.lose_keys_1($1::float8[]::bigint[], $2)`

  /** The numbers of the stored tasks that new ones may come to depend on, by id. They stay until the transaction ends. */
  const heldOf = (all: Group, rows: ReadonlyArray<KnownRow>): Effect.Effect<Held, StoreError> => {
    const ids = new Set(all.flatMap(({ after = [] }) => after))
    // one that was the same as the owner of its key is that
    for (const [, id, , key, , , isOwner] of rows) if (id !== null && key !== null && isOwner) ids.add(id)
    return ids.size === 0
      ? Effect.succeed(noneHeld)
      : Effect.map(query<[id: string, seq: number]>("enqueue", hold, [texts([...ids])]), (rows) => new Map(rows))
  }

  const isOfGraph = (text: string) => text === graph.new || text === graph.all

  const store = (text: string, tasks: Group, held: Held = noneHeld): Effect.Effect<Stored, StoreError> =>
    Effect.map(
      query<Stored>("enqueue", text, [
        number(headStartMs),
        texts(tasks.map(({ id }) => id)),
        texts(tasks.map(({ payload }) => payload)),
        ...(text === insertAlike ? one(tasks[0]!) : each(tasks)),
        ...(isOfGraph(text) ? [...moreOf(tasks), ...edgesOf(tasks, held)] : tasks.every(isPlain) ? [] : moreOf(tasks))
      ]),
      ([row]) => {
        capacity.add(row![1])
        budget?.add(offeredBytes(tasks))
        return row!
      }
    )

  const storeUnkeyed = (
    text: string,
    groups: ReadonlyArray<Group>,
    all: Group
  ): Effect.Effect<ReadonlyArray<EnqueueAnswer>, StoreError> =>
    Effect.map(store(text, all), ([now, , ids]) => {
      const fresh = ids === null ? undefined : new Set(ids)
      return groups.map((group): EnqueueAnswer => ({
        _tag: "Accepted",
        // an id is new once, where it is met first
        tasks: group.map(({ id }) => ({ id, duplicate: fresh !== undefined && !fresh.delete(id) })),
        now
      }))
    })

  /** The owners of keys that new tasks have, where the window of either is not `kept`. */
  const lockedOwners = (
    all: Group,
    rows: ReadonlyArray<KnownRow>
  ): Effect.Effect<ReadonlyArray<TaskRecord>, StoreError> => {
    const names = new Set(
      all.flatMap((task) => isUnique(task) && task.key !== null ? [nameOf(task.type, task.key)] : [])
    )
    const ids = rows.flatMap(([, id, type, key, , hold, isOwner]) =>
      id !== null && key !== null && isOwner && (hold !== null || names.has(nameOf(type, key))) ? [id] : []
    )
    return ids.length === 0
      ? Effect.succeed([])
      : Effect.map(query<Row>("enqueue", lockOwners, [texts(ids)]), (found) => found.map(recordOf))
  }

  const decideAndStore = Effect.fnUntraced(function*(groups: ReadonlyArray<Group>, all: Group) {
    const keyed = all.filter(({ key }) => key !== null)
    const rows = yield* query<KnownRow>("enqueue", known, [
      texts(all.map(({ id }) => id)),
      texts(keyed.map(({ type }) => typeOf(type))),
      texts(keyed.map(({ key }) => key))
    ])
    const owners = yield* lockedOwners(all, rows)
    const held = all.some(isDependent) ? yield* heldOf(all, rows) : noneHeld
    const plan = new Plan(
      capacity.max,
      capacity.used,
      budget,
      owners.length === 0 ? rows[0]![0] : yield* clock("enqueue")
    )
    for (const [, id, type, key, payload, hold, isOwner] of rows) {
      // removed since
      if (id === null || held !== noneHeld && key !== null && isOwner && !held.has(id)) continue
      plan.addId(id)
      if (key !== null && isOwner) plan.addOwner({ type, key }, { id, payload, hold })
    }
    for (const owner of owners) plan.addStored(owner)
    for (const id of held.keys()) plan.addId(id)
    const decided = groups.map((group) => plan.decide(group))
    const { fresh, losers, revised } = plan
    if (losers.length > 0) {
      const holds = losers.map(Uniqueness.holdAfterLoss)
      yield* query("enqueue", lose, [numbers(losers.map(({ seq }) => seq)), texts(holds)])
    }
    yield* tasks.apply("enqueue", revised)
    budget?.add(writtenBytes({ fresh: [], revised }))
    const now = fresh.length === 0 ? rows[0]![0] : (yield* store(insertsFor(fresh).all, fresh, held))[0]
    yield* leaveEdges(fresh, held)
    return decided.map((answer): EnqueueAnswer => answer._tag === "Accepted" ? { ...answer, now } : answer)
  })

  /** Lets new tasks wait for stored ones, once it is known which of these can be locked. */
  const leaveEdges = (fresh: Group, held: Held) => {
    const loose = new Set<number>()
    if (held.size > 0) {
      for (const { after = [] } of fresh) {
        for (const id of after) if (held.has(id)) loose.add(held.get(id)!)
      }
    }
    return dependencies.leave([], [...loose])
  }

  /**
   * Graphs whose tasks are all new and depend on no others, in one statement; `undefined` where that is not so. It is decided as
   * if nothing were stored.
   */
  const storeGraphs = (
    groups: ReadonlyArray<Group>
  ): Effect.Effect<ReadonlyArray<EnqueueAnswer>, StoreError> | undefined => {
    const plan = new Plan(capacity.max, capacity.used, budget, 0)
    const decided = groups.map((group) => plan.decide(group))
    const { fresh } = plan
    const isNew = ({ tasks }: Extract<EnqueueAnswer, { readonly _tag: "Accepted" }>) =>
      tasks.every(({ duplicate }) => !duplicate)
    if (!decided.every((answer) => answer._tag === "Accepted" && isNew(answer))) return undefined
    return Effect.map(
      store(graph.new, fresh),
      ([now]) => decided.map((answer) => ({ ...answer, now } as EnqueueAnswer))
    )
  }

  return (groups: ReadonlyArray<Group>): Effect.Effect<ReadonlyArray<EnqueueAnswer>, StoreError> => {
    const all = groups.flat()
    const isKeyed = all.some(({ key }) => key !== null)
    const offered = budget === undefined ? 0 : offeredBytes(all)
    const counted = capacity.measureFor(all.length)
    const measured = budget === undefined ? counted : Effect.andThen(counted, budget.measureFor(offered))
    return Effect.flatMap(Effect.andThen(measured, inTransaction), (inside) => {
      // a savepoint keeps a duplicate from spoiling the application's transaction
      const decided = Effect.retry(
        dependencies.write(database, "enqueue", decideAndStore(groups, all)),
        whileDuplicate
      )
      if (all.some(isDependent)) {
        const stored = isKeyed || inside ? undefined : storeGraphs(groups)
        return stored === undefined ? decided : Effect.catchIf(stored, Failure.isDuplicate, () => decided)
      }
      if (isKeyed || !capacity.fits(all.length) || budget?.fits(offered) === false) return decided
      return inside
        ? storeUnkeyed(insertsFor(all).unknown, groups, all)
        : Effect.catchIf(
          storeUnkeyed(all.length > 1 && areAlike(all) ? insertAlike : insertsFor(all).new, groups, all),
          Failure.isDuplicate,
          () => decided
        )
    })
  }
}

/** The numbers of stored tasks by id. */
type Held = ReadonlyMap<string, number>

const noneHeld: Held = new Map()

const areAlike = (tasks: Group): boolean => {
  const { delayMs, key, maxRetries, priority, queue, runAt, timeoutMs, type } = tasks[0]!
  return tasks.every((task) =>
    isPlain(task) && task.type === type && task.queue === queue && task.priority === priority &&
    task.key === key &&
    task.maxRetries === maxRetries && task.timeoutMs === timeoutMs && task.delayMs === delayMs && task.runAt === runAt
  )
}

/** The columns of tasks besides their ids and payloads, in the order of the parameters. */
const each = (tasks: Group): ReadonlyArray<Parameter> => [
  texts(tasks.map(({ type }) => type)),
  texts(tasks.map(({ queue }) => queue)),
  numbers(tasks.map(({ priority }) => priority)),
  texts(tasks.map(({ key }) => key)),
  numbers(tasks.map(({ maxRetries }) => maxRetries)),
  numbers(tasks.map(({ timeoutMs }) => wholeOrNull(timeoutMs))),
  numbers(tasks.map(({ delayMs }) => whole(Math.max(0, delayMs)))),
  numbers(tasks.map(({ runAt }) => wholeOrNull(runAt)))
]

const moreOf = (tasks: Group): ReadonlyArray<Parameter> => [
  texts(tasks.map(({ gate }) => gate)),
  texts(tasks.map(({ costs }) => costs)),
  texts(tasks.map(({ unique }) => Uniqueness.holdOf(unique))),
  numbers(tasks.map(({ expiresInMs }) => wholeOrNull(expiresInMs))),
  numbers(tasks.map(({ startWithinMs }) => wholeOrNull(startWithinMs))),
  texts(tasks.map(({ trace = null }) => trace)),
  texts(tasks.map(({ tags = null }) => tags))
]

/** What tasks wait for, and the edges to them. Those that lead from stored tasks have no number yet. */
const edgesOf = (tasks: Group, held: Held): ReadonlyArray<Parameter> => {
  const places = new Map(tasks.map(({ id }, index) => [id, index]))
  const counts = tasks.map((): number | null => null)
  const edges: Array<
    readonly [task: number, place: number, fresh: number | null, stored: number | null, nr: number | null]
  > = []
  for (const [index, { after = [] }] of tasks.entries()) {
    for (const [place, id] of after.entries()) {
      const dependency = places.get(id)
      if (dependency === undefined) edges.push([index + 1, place, null, held.get(id)!, null])
      else edges.push([index + 1, place, dependency + 1, null, counts[dependency] = (counts[dependency] ?? 0) + 1])
    }
  }
  return [
    texts(tasks.map(onFailureOf)),
    numbers(tasks.map((task) => isDependent(task) ? task.after!.length : null)),
    numbers(counts),
    ...([0, 1, 2, 3, 4] as const).map((column) => numbers(edges.map((edge) => edge[column])))
  ]
}

const one = (
  { delayMs, key, maxRetries, priority, queue, runAt, timeoutMs, type }: NewTask
): ReadonlyArray<Parameter> => [
  type,
  queue,
  number(priority),
  key,
  number(maxRetries),
  number(wholeOrNull(timeoutMs)),
  number(whole(Math.max(0, delayMs))),
  number(wholeOrNull(runAt))
]

/** What a `bigint` holds and a double holds exactly. */
const whole = (value: number): number =>
  Math.min(Math.max(Math.round(value), -Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)

const wholeOrNull = (value: number | null): number | null => value === null ? null : whole(value)
