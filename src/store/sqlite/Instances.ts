/** The instances that share the file. */
import type { Context } from "effect"
import type { DatabaseSync } from "node:sqlite"
import { aboutOf, type Beat, instanceOf, type InstanceStore, type Roll } from "../InstanceStore.ts"
import { prepare } from "./Database.ts"
import type { Writer } from "./Writer.ts"

/** Prepares the operations. None waits for the disk: after a power failure no instance is alive anyway. */
export const make = (database: DatabaseSync, writer: Writer): Context.Service.Shape<typeof InstanceStore> => {
  const forget = prepare(database, "DELETE FROM instance WHERE alive_until <= ?")
  const record = prepare(
    database,
    `INSERT INTO instance (id, started_at, seen_at, alive_until, about) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE
        SET seen_at = excluded.seen_at, alive_until = excluded.alive_until, about = excluded.about`
  )
  const remove = prepare(database, "DELETE FROM instance WHERE id = ?")
  const giveUp = prepare(database, "DELETE FROM lead WHERE instance = ?")
  const take = prepare<[instance: string]>(
    database,
    `INSERT INTO lead (chore, instance, held_until) VALUES (?, ?, ?)
      ON CONFLICT (chore) DO UPDATE SET instance = excluded.instance, held_until = excluded.held_until
        WHERE instance = excluded.instance OR held_until <= ?
      RETURNING instance`
  )
  const alive = prepare<[id: string, startedAt: number, seenAt: number, about: string]>(
    database,
    "SELECT id, started_at, seen_at, about FROM instance WHERE alive_until > ? ORDER BY started_at, id"
  )
  const held = prepare<[instance: string, chore: string]>(
    database,
    "SELECT instance, chore FROM lead WHERE held_until > ? ORDER BY chore"
  )

  const beat = (beat: Beat, keepForMs: number, now: number): void => {
    forget.run(now)
    record.run(beat.id, now - beat.upForMs, now, now + keepForMs, aboutOf(beat))
  }

  const leave = (id: string): void => {
    remove.run(id)
    giveUp.run(id)
  }

  const list = (now: number): Roll => {
    const leads = held.all(now)
    return {
      now,
      instances: alive.all(now).map(([id, startedAt, seenAt, about]) =>
        instanceOf(id, startedAt, seenAt, about, leads.flatMap(([instance, chore]) => instance === id ? [chore] : []))
      )
    }
  }

  return {
    beat: (about, keepForMs) => writer.writeVolatile("beat", ({ now }) => beat(about, keepForMs, now)),
    leave: (id) => writer.writeVolatile("leave", () => leave(id)),
    list: writer.read("list the instances", list),
    lead: (chore, id, forMs) =>
      writer.writeVolatile("lead", ({ now }) => take.get(chore, id, now + forMs, now) !== undefined)
  }
}
