/** What the file has of gates: buckets, holders and turns, the tasks that run, and the documents of limits. */
import type { DatabaseSync } from "node:sqlite"
import * as Gate from "../../domain/Gate.ts"
import { maxHolders, maxSwept, type PassState } from "../Gates.ts"
import type { GatedTask, Turn } from "../Lines.ts"
import { stateOf } from "../TaskRow.ts"
import { prepare } from "./Database.ts"

/** Reads and writes them in the open transaction. */
export class Passes {
  private readonly documents
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
  private readonly nextBuckets
  private readonly dropBucket
  private readonly nextHolders
  private readonly dropHolders
  /** The last ones that were looked at. */
  private sweptBucket = ""
  private sweptHolder = ""

  constructor(database: DatabaseSync) {
    this.documents = prepare<[id: string, document: string]>(database, "SELECT id, document FROM record WHERE kind = ?")
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
    this.gatesOfRunning = prepare<[seq: number, claim: number, gate: string]>(
      database,
      `SELECT seq, claim, gate ${running}`
    )
    this.runningWith = prepare<[id: string]>(
      database,
      `SELECT id ${running} AND EXISTS (SELECT 1 FROM json_each(gate) WHERE value = ?) ORDER BY claim`
    )
    this.nextBuckets = prepare<[pass: string, level: number, at: number]>(
      database,
      `SELECT pass, level, at FROM bucket WHERE pass > ? ORDER BY pass LIMIT ${maxSwept}`
    )
    this.dropBucket = prepare(database, "DELETE FROM bucket WHERE pass = ?")
    this.nextHolders = prepare<[pass: string]>(
      database,
      `SELECT pass FROM holder WHERE pass > ? ORDER BY pass LIMIT ${maxSwept}`
    )
    // what has completed holds nothing, nor what was removed; others may be run again, and then hold their pass again
    this.dropHolders = prepare(
      database,
      `DELETE FROM holder WHERE pass > ? AND pass <= ?
        AND NOT EXISTS (SELECT 1 FROM task t WHERE t.seq = holder.seq AND t.state <> 3)`
    )
  }

  /** The ids of all records of a kind, with their documents. */
  documentsOf(kind: string): ReadonlyArray<readonly [id: string, document: string]> {
    return this.documents.all(kind)
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
    return { rank, seq, id, priority, gate, costs, standings: undefined }
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

  /** The tasks that run behind gates, and their claims. */
  running(): ReadonlyArray<readonly [seq: number, claim: number, gate: string]> {
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

  /**
   * Forgets buckets that are full and holders that hold nothing, of the next ones: keys come and go without end. Answers the passes
   * whose buckets go on from now because the clock was set back.
   */
  sweep(now: number, limitOf: (pass: Gate.Pass) => Gate.Limit | undefined): ReadonlyArray<Gate.Pass> {
    const setBack: Array<Gate.Pass> = []
    const buckets = this.nextBuckets.all(this.sweptBucket)
    for (const [pass, level, at] of buckets) {
      const bucket = { level, at }
      const kept = Gate.swept(bucket, limitOf(pass), now)
      if (kept === undefined) this.dropBucket.run(pass)
      else if (kept !== bucket) {
        this.setBucket(pass, kept)
        setBack.push(pass)
      }
    }
    this.sweptBucket = buckets.length < maxSwept ? "" : buckets.at(-1)![0]
    const holders = this.nextHolders.all(this.sweptHolder)
    const last = holders.at(-1)?.[0]
    if (last !== undefined) this.dropHolders.run(this.sweptHolder, last)
    this.sweptHolder = holders.length < maxSwept ? "" : last!
    return setBack
  }
}
