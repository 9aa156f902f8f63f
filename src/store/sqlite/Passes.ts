/** What the file has of gates: buckets, holders and turns, the tasks that run, and the documents of limits. */
import type { DatabaseSync } from "node:sqlite"
import * as Gate from "../../domain/Gate.ts"
import { maxHolders, type PassState } from "../Gates.ts"
import type { GatedTask, Turn } from "../Lines.ts"
import { stateOf } from "../TaskRow.ts"
import { prepare } from "./Database.ts"

/** Passes that one sweep looks at. */
const maxSwept = 1000

/** Reads and writes them in the open transaction. */
export class Passes {
  private readonly document
  private readonly bucket
  private readonly saveBucket
  private readonly holder
  private readonly waitingHolder
  private readonly saveHolder
  private readonly dropHolder
  private readonly turns
  private readonly saveTurn
  private readonly dropTurn
  private readonly gatesOfRunning
  private readonly runningWith
  private readonly oldBuckets
  private readonly dropBucket
  private readonly dropHolders

  constructor(database: DatabaseSync) {
    this.document = prepare<[document: string]>(database, "SELECT document FROM record WHERE kind = ? AND id = ?")
    this.bucket = prepare<[level: number, at: number]>(database, "SELECT level, at FROM bucket WHERE pass = ?")
    this.saveBucket = prepare(database, "INSERT OR REPLACE INTO bucket (pass, level, at) VALUES (?, ?, ?)")
    this.holder = prepare<[id: string, state: number]>(
      database,
      "SELECT t.id, t.state FROM holder h JOIN task t ON t.seq = h.seq WHERE h.pass = ?"
    )
    this.waitingHolder = prepare<[rank: number, seq: number, id: string, priority: number, costs: string | null]>(
      database,
      `SELECT t.rank, t.seq, t.id, t.priority, t.costs FROM holder h JOIN task t ON t.seq = h.seq
        WHERE h.pass = ? AND t.state = 1 AND t.queue = ? AND t.type = ? AND t.gate = ?`
    )
    this.saveHolder = prepare(database, "INSERT OR REPLACE INTO holder (pass, seq) VALUES (?, ?)")
    this.dropHolder = prepare(database, "DELETE FROM holder WHERE pass = ?")
    this.turns = prepare<[gate: string, turn: number, credit: number]>(
      database,
      "SELECT gate, turn, credit FROM turn WHERE queue = ? AND type = ?"
    )
    this.saveTurn = prepare(
      database,
      "INSERT OR REPLACE INTO turn (queue, type, gate, turn, credit) VALUES (?, ?, ?, ?, ?)"
    )
    this.dropTurn = prepare(database, "DELETE FROM turn WHERE queue = ? AND type = ? AND gate = ?")
    const running = "FROM task INDEXED BY task_lease WHERE state = 2 AND gate <> ''"
    this.gatesOfRunning = prepare<[id: string, gate: string]>(database, `SELECT id, gate ${running} ORDER BY claim`)
    this.runningWith = prepare<[id: string]>(
      database,
      `SELECT id ${running} AND EXISTS (SELECT 1 FROM json_each(gate) WHERE value = ?) ORDER BY claim`
    )
    this.oldBuckets = prepare<[pass: string, level: number, at: number]>(
      database,
      `SELECT pass, level, at FROM bucket WHERE pass > ? ORDER BY pass LIMIT ${maxSwept}`
    )
    this.dropBucket = prepare(database, "DELETE FROM bucket WHERE pass = ?")
    // completed and cancelled tasks hold nothing, nor do those that have been removed
    this.dropHolders = prepare(
      database,
      `DELETE FROM holder WHERE pass IN (
        SELECT h.pass FROM holder h LEFT JOIN task t ON t.seq = h.seq
        WHERE h.pass > ? AND (t.seq IS NULL OR t.state IN (3, 5)) ORDER BY h.pass LIMIT ${maxSwept}
      )`
    )
  }

  documentOf(kind: string, id: string): string | undefined {
    return this.document.get(kind, id)?.[0]
  }

  bucketOf(pass: Gate.Pass): Gate.Bucket | undefined {
    const row = this.bucket.get(pass)
    return row === undefined ? undefined : { level: row[0], at: row[1] }
  }

  setBucket(pass: Gate.Pass, { at, level }: Gate.Bucket): void {
    this.saveBucket.run(pass, level, at)
  }

  holderOf(pass: Gate.Pass): Gate.Holder | undefined {
    const row = this.holder.get(pass)
    return row === undefined ? undefined : { id: row[0], state: stateOf(row[1]) }
  }

  holderIn(pass: Gate.Pass, queue: string, type: string, gate: string): GatedTask | undefined {
    const row = this.waitingHolder.get(pass, queue, type, gate)
    if (row === undefined) return undefined
    const [rank, seq, id, priority, costs] = row
    return { rank, seq, id, priority, gate, costs }
  }

  setHolder(pass: Gate.Pass, seq: number): void {
    this.saveHolder.run(pass, seq)
  }

  deleteHolder(pass: Gate.Pass): void {
    this.dropHolder.run(pass)
  }

  turnsOf(queue: string, type: string): ReadonlyMap<string, Turn> {
    return new Map(this.turns.all(queue, type).map(([gate, turn, credit]) => [gate, { turn, credit }]))
  }

  setTurn(queue: string, type: string, gate: string, turn: Turn | undefined): void {
    if (turn === undefined) this.dropTurn.run(queue, type, gate)
    else this.saveTurn.run(queue, type, gate, turn.turn, turn.credit)
  }

  /** The tasks that run behind gates, the longest first. */
  running(): ReadonlyArray<readonly [id: string, gate: string]> {
    return this.gatesOfRunning.all()
  }

  stateOf(pass: Gate.Pass): PassState {
    const running = this.runningWith.all(pass)
    return {
      pass,
      running: running.length,
      holders: running.slice(0, maxHolders).map(([id]) => id),
      bucket: this.bucketOf(pass) ?? null,
      holder: this.holderOf(pass) ?? null
    }
  }

  /** Forgets buckets that are full, and holders that hold nothing: keys come and go without end. */
  sweep(now: number, limitOf: (pass: Gate.Pass) => Gate.Limit | undefined): void {
    for (const [pass, level, at] of this.oldBuckets.all("")) {
      if (Gate.isSpent({ level, at }, limitOf(pass), now)) continue
      this.dropBucket.run(pass)
    }
    this.dropHolders.run("")
  }
}
