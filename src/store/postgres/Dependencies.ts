/**
 * Which tasks in the schema depend on which: see `store/Dependencies`.
 *
 * An edge has a number, `nr`, among those of the task that it leads from, which counts them in `edges`, and in `told` up to which of them
 * have been told. A task without any has `NULL` in both, and so pays nothing.
 *
 * Whatever tells an end waits for no transaction of an application, however long that is:
 *
 * - An edge without a number is _loose_. Such one is made where the dependency or the task that waits is locked by another session, and
 *   in transactions of the application, which lock neither. The next write gives it a number, and if the dependency has ended, tells its
 *   end. What waits counts loose edges too, so that none is lost and none counts twice.
 * - What ends in a transaction of the application is told when that has been committed, by this process or by the next claim of another.
 * - Two ends of dependencies of one task lock that task before they count, so that one of them is the last.
 */
import { type Clock, Context, Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as LogModule from "../../domain/LogModule.ts"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import {
  Aftermath,
  type Edges,
  maxBefore,
  maxTold,
  pageOfLinks,
  type PlacedLink,
  type ReadLinks
} from "../Dependencies.ts"
import { failureOf, stateOf } from "../TaskRow.ts"
import { type Database, number, numbers, type Statements, texts } from "./Database.ts"
import { someUntold } from "./Edges.ts"

/** How long a claim does not look again after loose edges that nothing could be done about, in milliseconds. */
const pauseMs = 100

/** What was told, as a row of `tell_1`. */
export type Told = [told: number, released: boolean, dropped: ReadonlyArray<string>, more: boolean]

/** The columns of it. */
export const toldColumns = "out_told, out_released, out_dropped, out_more"

/** What a write of this store has left to tell, which it does before it commits. */
class Left {
  /** The tasks that have ended. */
  readonly ended = new Set<number>()
  /** Those that loose edges lead from. */
  readonly loose = new Set<number>()

  get isEmpty(): boolean {
    return this.ended.size + this.loose.size === 0
  }
}

/** The write that the fiber is in, unless it is in a transaction of the application. */
const Write = Context.Reference<Left | undefined>("taskforge/postgres/Dependencies/Write", {
  defaultValue: () => undefined
})

/** What the operations of the driver do about dependencies. */
export interface Dependencies {
  readonly aftermath: Aftermath
  /**
   * A transaction of the store, which tells before it commits what has ended in it. Inside one of the application that is done when it
   * has been committed.
   */
  readonly write: <A, E>(
    statements: Statements,
    operation: string,
    body: Effect.Effect<A, E | StoreError>
  ) => Effect.Effect<A, E | StoreError>
  /** To be called in a transaction, for tasks that have ended and such that loose edges lead from. */
  readonly leave: (ended: ReadonlyArray<number>, loose?: ReadonlyArray<number>) => Effect.Effect<void>
  /** To be called once what was told is committed. */
  readonly note: (told: Told) => void
  /** Tells what there is; answers whether there may be more. */
  readonly tell: Effect.Effect<boolean, StoreError>
  /** When to look again after a claim has found something to tell, in milliseconds from now; nothing while it need not. */
  readonly goOn: Effect.Effect<number | undefined, StoreError>
  readonly edges: (id: string) => Effect.Effect<Edges | undefined, StoreError>
  readonly links: ReadLinks
}

/** Prepares the statements. `released` is called when tasks wait for no others any more that nothing else tells of. */
export const make = (
  database: Database,
  headStartMs: number,
  clock: Clock.Clock,
  released: Effect.Effect<void>
): Dependencies => {
  const { client, inTransaction, query, schema } = database
  const aftermath = new Aftermath()
  const now = () => MonotonicClock.millis(clock)
  const more = `SELECT ${toldColumns}, out_dependency, out_task FROM ${schema}.tell_more_1($1::float8[]::bigint[],
    $2::float8[]::bigint[], $3::bigint, $4::bigint, ${maxTold}, $5)`
  const untold = `SELECT ${someUntold(schema)}`
  /** Behind which the next look at loose edges begins: some may have to stay that way for long. */
  let place: readonly [dependency: number, task: number] = [0, 0]
  let restUntil = -Infinity

  const note = ([, isReleased, dropped]: Told): void => {
    if (isReleased) aftermath.release()
    for (const text of dropped) aftermath.drop(endedOf(text))
  }

  type More = [...Told, dependency: number | null, task: number | null]
  const tellMore = (
    loose: ReadonlyArray<number> | undefined,
    ended: Iterable<number>
  ): Effect.Effect<More, StoreError> =>
    Effect.suspend(() =>
      Effect.map(
        query<More>("tell of ends", more, [
          loose === undefined ? null : numbers(loose),
          numbers([...ended]),
          number(place[0]),
          number(place[1]),
          number(headStartMs)
        ]),
        ([row]) => row!
      )
    )

  /** A look at whatever there is. Answers also how much was done. */
  const look = Effect.suspend(() => {
    const [from] = place
    return Effect.map(tellMore(undefined, []), ([told, isReleased, dropped, isMore, dependency, task]) => {
      place = dependency === null || task === null ? [0, 0] : [dependency, task]
      note([told, isReleased, dropped, isMore])
      // at the end of the edges, those before the place where it began are next
      return { told, isReleased, isMore: isMore || from > 0 && told > 0 }
    })
  })

  const afterCommit = Effect.flatMap(look, ({ isReleased }) => isReleased ? released : Effect.void).pipe(
    // the next claim does it
    Effect.catch((error) => Effect.logDebug("The ends of tasks were not told after a commit", error)),
    LogModule.within("store")
  )

  /** Tells what is left before the transaction commits. */
  const telling = <A, E>(
    body: Effect.Effect<A, E>
  ): Effect.Effect<readonly [answer: A, row: More | undefined], E | StoreError> =>
    Effect.suspend(() => {
      const left = new Left()
      return Effect.flatMap(
        Effect.provideService(body, Write, left),
        (answer): Effect.Effect<readonly [answer: A, row: More | undefined], StoreError> =>
          left.isEmpty
            ? Effect.succeed([answer, undefined])
            : Effect.map(tellMore([...left.loose], left.ended), (row) => [answer, row])
      )
    })

  const write = <A, E>(
    statements: Statements,
    operation: string,
    body: Effect.Effect<A, E | StoreError>
  ): Effect.Effect<A, E | StoreError> =>
    Effect.flatMap(
      Write,
      (outer): Effect.Effect<A, E | StoreError> =>
        Effect.flatMap(inTransaction, (inside) =>
          outer !== undefined || inside
            ? statements.transaction(operation, body)
            : Effect.map(statements.transaction(operation, telling(body)), ([answer, row]) => {
              if (row !== undefined) note([row[0], row[1], row[2], row[3]])
              return answer
            }))
    )

  return {
    aftermath,
    write,
    note,
    leave: (ended, loose = []) =>
      ended.length + loose.length === 0 ? Effect.void : Effect.flatMap(Write, (left) => {
        if (left === undefined) return client.afterCommit(afterCommit)
        for (const seq of ended) left.ended.add(seq)
        for (const seq of loose) left.loose.add(seq)
        return Effect.void
      }),
    tell: Effect.map(look, ({ isMore }) => isMore),
    goOn: Effect.suspend(() => {
      if (now() < restUntil) return Effect.succeed(restUntil - now())
      return Effect.gen(function*() {
        const { isMore, told } = yield* look
        if (isMore && told > 0) return 0
        const [row] = yield* query<[isUntold: boolean]>("tell of ends", untold)
        if (!row![0]) return undefined
        if (told > 0) return 0
        restUntil = now() + pauseMs
        return pauseMs
      })
    }),
    edges: edgesOf(database),
    links: linksOf(database)
  }
}

/** A task that has ended, as a text of `tell_1`. */
const endedOf = (text: string): Parameters<Aftermath["drop"]>[0] => {
  const [id, type, queue, code, claims, failure] = JSON.parse(text) as [
    id: string,
    type: string,
    queue: string,
    state: number,
    claims: number,
    failure: string | null
  ]
  return { id, type, queue, state: stateOf(code), claims, failure: failureOf(failure) }
}

const dependencyOf = (text: string): Edges["after"][number] => {
  const [id, type] = JSON.parse(text) as [id: string, type: string]
  return { id, type }
}

const edgesOf = ({ query, schema }: Database): Dependencies["edges"] => {
  const found = `SELECT
      ARRAY(SELECT json_build_array(d.id, d.type)::text FROM ${schema}.edge e
        JOIN ${schema}.task d ON d.seq = e.dependency WHERE e.task = t.seq ORDER BY e.place),
      ARRAY(SELECT w.id FROM (
        SELECT task FROM ${schema}.edge WHERE dependency = t.seq ORDER BY nr DESC LIMIT ${maxBefore}
      ) e JOIN ${schema}.task w ON w.seq = e.task)
    FROM ${schema}.task t WHERE t.id = $1`
  return (id) =>
    Effect.map(
      query<[after: ReadonlyArray<string>, before: ReadonlyArray<string>]>("read dependencies", found, [id]),
      ([row]) => row && { after: row[0].map(dependencyOf), before: row[1] }
    )
}

const linksOf = ({ query, schema }: Database): ReadLinks => {
  const links = `SELECT * FROM ${schema}.links_1($1, $2, $3::float8::int, $4::float8, $5::float8::int)`
  type Row = [of: number, place: number, id: string, type: string]
  return ({ from = { index: 0, place: 0 }, ids, limit, towards }) =>
    Effect.map(
      query<Row>("read dependencies", links, [
        texts(ids),
        towards === "dependencies",
        number(from.index),
        number(from.place),
        number(limit + 1)
      ]),
      (rows) => pageOfLinks(rows.map(([of, place, id, type]): PlacedLink => ({ of, place, id, type })), limit)
    )
}
