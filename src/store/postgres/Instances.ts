/** The instances that share the schema. */
import { type Context, Effect } from "effect"
import { aboutOf, instanceOf, type InstanceStore } from "../InstanceStore.ts"
import { type Database, number } from "./Database.ts"

/** Prepares the operations. */
export const make = ({ query, schema }: Database): Context.Service.Shape<typeof InstanceStore> => {
  // any living instance forgets the dead, and none waits for another to do it
  const beat = `WITH clock AS MATERIALIZED (SELECT ${schema}.now_ms() AS now),
    gone AS (
      DELETE FROM ${schema}.instance WHERE id = ANY (ARRAY(
        SELECT id FROM ${schema}.instance, clock WHERE alive_until <= now AND id <> $1 FOR UPDATE OF instance SKIP LOCKED
      ))
    )
    INSERT INTO ${schema}.instance AS i (id, started_at, seen_at, alive_until, about)
    SELECT $1, now - $2::bigint, now, now + $3::bigint, $4 FROM clock
    ON CONFLICT (id) DO UPDATE SET
      started_at = CASE WHEN i.alive_until <= excluded.seen_at THEN excluded.started_at ELSE i.started_at END,
      seen_at = excluded.seen_at, alive_until = excluded.alive_until, about = excluded.about`
  const leave = `WITH gone AS (DELETE FROM ${schema}.lead WHERE instance = $1)
    DELETE FROM ${schema}.instance WHERE id = $1`
  const list = `SELECT c.now::float8, i.id, i.started_at::float8, i.seen_at::float8, i.about,
      ARRAY(SELECT chore FROM ${schema}.lead l WHERE l.instance = i.id AND l.held_until > c.now ORDER BY chore)
    FROM (SELECT ${schema}.now_ms() AS now) c LEFT JOIN ${schema}.instance i ON i.alive_until > c.now
    ORDER BY i.started_at, i.id`
  const lead = `WITH clock AS MATERIALIZED (SELECT ${schema}.now_ms() AS now)
    INSERT INTO ${schema}.lead AS l (chore, instance, held_until, taken_at)
    SELECT $1, $2, now + $3::bigint, now FROM clock
    ON CONFLICT (chore) DO UPDATE
      SET instance = excluded.instance, held_until = excluded.held_until, taken_at = excluded.taken_at
      WHERE l.instance = excluded.instance OR l.held_until <= excluded.taken_at
    RETURNING chore`
  return {
    beat: (one, keepForMs) =>
      Effect.asVoid(
        query("beat", beat, [one.id, number(Math.round(one.upForMs)), number(Math.round(keepForMs)), aboutOf(one)])
      ),
    leave: (id) => Effect.asVoid(query("leave", leave, [id])),
    list: Effect.map(
      query<
        [
          now: number,
          id: string | null,
          startedAt: number,
          seenAt: number,
          about: string,
          leads: ReadonlyArray<string>
        ]
      >("list the instances", list),
      (rows) => ({
        now: rows[0]![0],
        instances: rows.flatMap(([, id, startedAt, seenAt, about, leads]) =>
          id === null ? [] : [instanceOf(id, startedAt, seenAt, about, leads)]
        )
      })
    ),
    lead: (chore, id, forMs) =>
      Effect.map(query("lead", lead, [chore, id, number(Math.round(forMs))]), (rows) => rows.length > 0)
  }
}
