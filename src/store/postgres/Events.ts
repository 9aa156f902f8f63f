/**
 * The log of events in the schema: a row per batch, because no query looks inside. An append holds the one row of
 * the head until it has committed, so batches become visible in the order of their numbers.
 */
import { type Context, Effect } from "effect"
import { Appended, type Batch, type EventLog, keptBytes, keptEvents, pageOf } from "../EventLog.ts"
import { type Database, number } from "./Database.ts"

type Row = [seq: number, floor: number, ...batch: Batch | [first: null, at: null, events: null]]

/** Batches read together at most. */
const batchesAtOnce = 50

/** The tables. */
export const tables = (schema: string): ReadonlyArray<string> => [
  `CREATE TABLE ${schema}.event_head (
    seq bigint NOT NULL DEFAULT 0,
    floor bigint NOT NULL DEFAULT 0,
    attended_from bigint NOT NULL DEFAULT 0,
    attended_until bigint NOT NULL DEFAULT 0
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`,
  `INSERT INTO ${schema}.event_head DEFAULT VALUES`,
  `CREATE TABLE ${schema}.event_batch (
    last bigint PRIMARY KEY,
    first bigint NOT NULL,
    at bigint NOT NULL,
    events text NOT NULL
  )`
]

/** Prepares the operations. */
export const make = ({ once, query, schema }: Database): Context.Service.Shape<typeof EventLog> => {
  const head = `${schema}.event_head`
  const batch = `${schema}.event_batch`
  // $1 events as JSON, $2 how many, $3 whether some were lost before
  const append = `WITH head AS (
      UPDATE ${head} SET
        seq = seq + $2::bigint + CASE WHEN $3::boolean THEN 1 ELSE 0 END,
        floor = CASE WHEN $3::boolean THEN seq + 1 ELSE floor END
      RETURNING seq
    ), stored AS (
      INSERT INTO ${batch} (last, first, at, events)
      SELECT seq, seq - $2::bigint + 1, ${schema}.now_ms(), $1 FROM head WHERE $2::bigint > 0
    )
    SELECT seq::float8 FROM head`
  const drop = `WITH sized AS (
      SELECT last, sum(octet_length(events)) OVER (ORDER BY last DESC) AS bytes FROM ${batch}
    ), dropped AS (
      DELETE FROM ${batch} WHERE last <= greatest((SELECT seq FROM ${head}) - ${keptEvents},
        (SELECT max(last) FROM sized WHERE bytes > ${keptBytes})) RETURNING last
    )
    UPDATE ${head} SET floor = greatest(floor, (SELECT max(last) FROM dropped)) WHERE EXISTS (SELECT FROM dropped)`
  // one statement, so that the floor and the batches are of one moment
  const read = `SELECT h.seq::float8, h.floor::float8, b.first::float8, b.at::float8, b.events
    FROM ${head} h LEFT JOIN LATERAL (
      SELECT * FROM ${batch}
      WHERE last > CASE WHEN $1::bigint < h.floor OR $1::bigint > h.seq THEN h.floor ELSE $1::bigint END
      ORDER BY last LIMIT $2::int
    ) b ON true ORDER BY b.last`
  const attend = `UPDATE ${head} SET
      seq = CASE WHEN attended_until <= now THEN seq + 1 ELSE seq END,
      floor = CASE WHEN attended_until <= now THEN seq + 1 ELSE floor END,
      attended_from = CASE WHEN attended_until <= now THEN now ELSE attended_from END,
      attended_until = greatest(attended_until, now + $1::bigint)
    FROM (SELECT ${schema}.now_ms() AS now) clock`
  const attended = `SELECT (now - attended_from)::float8
    FROM ${head}, (SELECT ${schema}.now_ms() AS now) clock WHERE attended_until > now`
  const appended = new Appended()

  return {
    append: Effect.fnUntraced(function*(events, lost = false) {
      const text = JSON.stringify(events)
      yield* once.query("append events", append, [text, number(events.length), lost])
      if (appended.isMuch(events.length, text.length)) yield* query("drop events", drop)
    }),
    read: (after, limit) =>
      Effect.map(
        query<Row>("read events", read, [number(after), number(Math.min(limit, batchesAtOnce))]),
        (rows) => {
          const [seq, floor] = rows[0] ?? [0, 0]
          return pageOf(after, seq, floor, () =>
            rows.flatMap(([, , first, at, events]) =>
              first === null ? [] : [[first, at, events] as Batch]
            ))
        }
      ),
    end: Effect.map(query<Row>("read events", read, [number(0), number(0)]), ([row]) => row?.[0] ?? 0),
    attend: (forMs) => Effect.asVoid(query("attend to events", attend, [number(forMs)])),
    attended: Effect.map(query<[ms: number]>("read events", attended), ([row]) => row?.[0])
  }
}
