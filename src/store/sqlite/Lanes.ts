/**
 * The lanes: queues and types that have pending tasks, each filed under a place that none of its tasks is before. A row
 * comes with the first pending task of a lane and goes with the last, in the same transaction. So a claim finds the lanes
 * that it takes from in the order of work, at a cost that does not grow with their number.
 */
import type { DatabaseSync } from "node:sqlite"
import type { Coverage } from "../Coverage.ts"
import type { Stranded } from "../TaskStore.ts"
import { prepare } from "./Statement.ts"

/** A lane and its place in the order of work. */
export type Lane = readonly [queue: string, type: string, rank: number, seq: number]

/** Which lanes a claim takes from. */
export interface Wanted {
  readonly queues: ReadonlySet<string> | undefined
  readonly types: ReadonlySet<string>
  readonly isPaused: (queue: string) => boolean
}

/** Lanes that are stepped over in the order of work at most, before the wanted ones are looked for. */
const maxSteps = 100

/** A lane as far as a transaction has added to it. */
interface Noted {
  readonly queue: string
  readonly type: string
  rank: number
  seq: number
}

/** The lanes of a file, as the open transaction has them. */
export class Lanes {
  private readonly file
  private readonly byOrder
  private readonly byType
  private readonly byQueue
  private readonly hasTask
  private readonly removeOne
  private readonly move
  private readonly firstType
  private readonly nextType
  private readonly since
  /** The first of the tasks of each lane that became pending in this transaction, by queue and type. */
  private readonly noted = new Map<string, Map<string, Noted>>()
  private lastNoted: Noted | undefined
  /** Lanes that pending tasks have left in this transaction. */
  private left: Array<readonly [queue: string, type: string]> = []

  constructor(database: DatabaseSync) {
    this.file = prepare(
      database,
      `INSERT INTO lane (queue, type, rank, seq) VALUES (?, ?, ?, ?) ON CONFLICT (queue, type) DO UPDATE
        SET rank = excluded.rank, seq = excluded.seq
        WHERE excluded.rank < rank OR (excluded.rank = rank AND excluded.seq < seq)`
    )
    const columns = "queue, type, rank, seq"
    this.byOrder = prepare<Lane>(
      database,
      `SELECT ${columns} FROM lane ORDER BY rank, seq, queue, type LIMIT ? OFFSET ?`
    )
    this.byType = prepare<Lane>(
      database,
      `SELECT ${columns} FROM lane WHERE type = ? ORDER BY rank, seq, queue LIMIT ?`
    )
    this.byQueue = prepare<Lane>(database, `SELECT ${columns} FROM lane WHERE queue = ?`)
    this.hasTask = prepare<[seq: number]>(
      database,
      "SELECT seq FROM task WHERE state = 1 AND queue = ? AND type = ? ORDER BY rank, seq LIMIT 1"
    )
    this.removeOne = prepare(database, "DELETE FROM lane WHERE queue = ? AND type = ?")
    this.move = prepare(database, "UPDATE lane SET rank = ?, seq = ? WHERE queue = ? AND type = ?")
    this.firstType = prepare<[type: string]>(database, "SELECT type FROM lane ORDER BY type LIMIT 1")
    this.nextType = prepare<[type: string]>(database, "SELECT type FROM lane WHERE type > ? ORDER BY type LIMIT 1")
    this.since = prepare<[dueAt: number]>(
      database,
      "SELECT due_at FROM task WHERE state = 1 AND queue = ? AND type = ? ORDER BY rank, seq LIMIT 1"
    )
  }

  /** To be called when a transaction begins. */
  load(): void {
    if (this.lastNoted === undefined && this.left.length === 0) return
    this.noted.clear()
    this.lastNoted = undefined
    this.left = []
  }

  /** To be called for each task that becomes pending. */
  note(queue: string, type: string, rank: number, seq: number): void {
    let noted = this.lastNoted
    if (noted === undefined || noted.queue !== queue || noted.type !== type) {
      let types = this.noted.get(queue)
      if (types === undefined) this.noted.set(queue, types = new Map())
      noted = types.get(type)
      if (noted === undefined) types.set(type, noted = { queue, type, rank, seq })
      this.lastNoted = noted
    }
    if (rank < noted.rank || (rank === noted.rank && seq < noted.seq)) {
      noted.rank = rank
      noted.seq = seq
    }
  }

  /** To be called for each pending task that no claim has taken and that is not pending any more. */
  leave(queue: string, type: string): void {
    this.left.push([queue, type])
  }

  /** Writes what this transaction has changed so far. */
  save(): void {
    for (const types of this.noted.values()) {
      for (const { queue, rank, seq, type } of types.values()) this.file.run(queue, type, rank, seq)
    }
    for (const [queue, type] of this.left) this.removeIfEmpty(queue, type)
    this.load()
  }

  /** Forgets a lane. */
  remove(queue: string, type: string): void {
    this.removeOne.run(queue, type)
  }

  /** Forgets a lane unless it has a task. */
  removeIfEmpty(queue: string, type: string): void {
    if (this.hasTask.get(queue, type) === undefined) this.remove(queue, type)
  }

  /** Files a lane under a later place. */
  moveTo(queue: string, type: string, rank: number, seq: number): void {
    this.move.run(rank, seq, queue, type)
  }

  /**
   * The wanted lanes in the order of their places, for as long as they are asked for. Where many others are before them,
   * because nobody here can run these, the wanted ones are looked up by queue or type.
   */
  *inOrder(wanted: Wanted): Generator<Lane, void> {
    const given = new Set<string>()
    const wants = ([queue, type]: Lane) =>
      wanted.types.has(type) && wanted.queues?.has(queue) !== false && !wanted.isPaused(queue)
    let steps = 0
    for (let offset = 0, size = 2;; offset += size, size = Math.min(4 * size, 200)) {
      const lanes = this.byOrder.all(size, offset)
      for (const lane of lanes) {
        if (wants(lane)) {
          given.add(nameOf(lane))
          yield lane
        } else if (++steps > maxSteps) {
          return yield* this.lookedUp(wanted, (lane) => wants(lane) && !given.has(nameOf(lane)))
        }
      }
      if (lanes.length < size) return
    }
  }

  private *lookedUp({ queues, types }: Wanted, wants: (lane: Lane) => boolean): Generator<Lane, void> {
    const given = new Set<string>()
    const sources = queues === undefined
      ? [...types].map((type) => (size: number) => this.byType.all(type, size))
      : [...queues].map((queue) => () => this.byQueue.all(queue))
    for (let size = 16;; size *= 4) {
      // Behind the last lane that was read of a type there may be more
      let horizon: Lane | undefined
      const lanes: Array<Lane> = []
      for (const source of sources) {
        const found = source(size)
        const last = found.at(-1)
        if (queues === undefined && found.length === size && last !== undefined) {
          if (horizon === undefined || byPlace(last, horizon) < 0) horizon = last
        }
        lanes.push(...found.filter((lane) => wants(lane) && !given.has(nameOf(lane))))
      }
      for (const lane of lanes.sort(byPlace)) {
        if (horizon !== undefined && byPlace(horizon, lane) < 0) break
        given.add(nameOf(lane))
        yield lane
      }
      if (horizon === undefined) return
    }
  }

  /** Up to `limit` lanes that are not covered. */
  stranded(coverage: Coverage, limit: number): ReadonlyArray<Stranded> {
    const found: Array<Stranded> = []
    for (let type = this.firstType.get()?.[0]; type !== undefined; type = this.nextType.get(type)?.[0]) {
      const queues = coverage.get(type)
      if (queues === "all") continue
      for (const [queue] of this.byType.all(type, limit + (queues?.size ?? 0))) {
        if (found.length >= limit) return found
        if (queues?.has(queue) !== true) found.push({ queue, type, since: this.since.get(queue, type)?.[0] ?? 0 })
      }
    }
    return found
  }
}

const byPlace = (a: Lane, b: Lane): number => a[2] - b[2] || a[3] - b[3]

const nameOf = ([queue, type]: Lane): string => `${queue}\u0000${type}`
