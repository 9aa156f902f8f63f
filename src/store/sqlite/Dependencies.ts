/** Which tasks in the file depend on which: see `store/Dependencies`. */
import type { DatabaseSync } from "node:sqlite"
import { type EndedDependency, isDependent } from "../../domain/Dependencies.ts"
import { isBlocking, type Standing } from "../../domain/Reopen.ts"
import * as Settlement from "../../domain/Settlement.ts"
import type { NewTask, TaskRecord } from "../../domain/TaskRecord.ts"
import { type FinishedState, isFinished } from "../../domain/TaskState.ts"
import { Aftermath, type Edges, maxBefore, maxTold, type PlacedLink } from "../Dependencies.ts"
import { columns, recordOf, type Row, stateOf } from "../TaskRow.ts"
import { prepare } from "./Database.ts"
import type { Tasks } from "./Task.ts"
import type { Transaction } from "./Writer.ts"

/** Edges of a task that the settlement of its last attempt tells in one statement for all that are settled with it. */
export const maxToldTogether = 4

/** Claims of tasks with edges remembered at most: one whose task was lost is not settled here. */
const maxClaims = 100_000

/** The dependencies of the tasks of a file, and what of them is to be told in the open transaction. */
export class Dependencies {
  readonly aftermath = new Aftermath()
  /** The tasks that have ended in this transaction and have edges that were not told. */
  private ended: Array<number> = []
  /** Whether the file has such tasks besides; `undefined` where it is not known. */
  private more: boolean | undefined
  private version: number | undefined
  /** The claims of tasks with edges. */
  private readonly claims = new Set<number>()
  private readonly addTo
  private readonly addEdge
  private readonly removeEdge
  private readonly edgesTo
  private readonly told
  private readonly setTold
  private readonly tellNext
  private readonly untold
  private readonly countDown
  private readonly bySeq
  private readonly edgesAmong
  private readonly dependentsOf
  private readonly after
  private readonly before
  private readonly linked
  private readonly awaits
  private readonly forgetFrom
  private readonly forgetTo

  constructor(database: DatabaseSync) {
    this.addTo = prepare<[seq: number, nr: number, state: number, told: number]>(
      database,
      `UPDATE task SET edges = edges + 1, told = told + (state >= 3 AND told = edges)
        WHERE id = ? RETURNING seq, edges, state, told`
    )
    this.addEdge = prepare(database, "INSERT INTO edge (dependency, nr, task, place) VALUES (?, ?, ?, ?)")
    this.removeEdge = prepare(database, "DELETE FROM edge WHERE dependency = ? AND nr = ?")
    this.edgesTo = prepare<[id: string, seq: number, nr: number, place: number, state: number, told: number]>(
      database,
      `SELECT task.id, edge.dependency, edge.nr, edge.place, task.state, task.told
        FROM edge JOIN task ON task.seq = edge.dependency WHERE edge.task = ? ORDER BY edge.place`
    )
    this.told = prepare<[id: string, state: number, edges: number, told: number]>(
      database,
      "SELECT id, state, edges, told FROM task WHERE seq = ?"
    )
    this.setTold = prepare(database, "UPDATE task SET told = ? WHERE seq = ?")
    this.tellNext = prepare<[task: number]>(
      database,
      "SELECT task FROM edge WHERE dependency = ? AND nr > ? AND nr <= ? ORDER BY nr"
    )
    this.untold = prepare<[seq: number]>(
      database,
      "SELECT seq FROM task INDEXED BY task_untold WHERE state >= 3 AND told < edges LIMIT 1"
    )
    this.countDown = prepare(database, "UPDATE task SET waits_for = waits_for - ? WHERE seq = ? AND waits_for > ?")
    this.bySeq = prepare<Row>(database, `SELECT ${columns} FROM task WHERE seq = ?`)
    this.edgesAmong = prepare<[task: string, dependency: string]>(
      database,
      `SELECT task.id, other.id FROM json_each(?) AS given CROSS JOIN task ON task.id = given.value
        CROSS JOIN edge ON edge.task = task.seq CROSS JOIN task AS other ON other.seq = edge.dependency
        WHERE task.dependencies > 0 AND other.id IN (SELECT value FROM json_each(?))`
    )
    this.dependentsOf = prepare<[task: number, count: number]>(
      database,
      `SELECT edge.task, count(*) FROM json_each(?) AS ended CROSS JOIN edge ON edge.dependency = ended.value
        GROUP BY edge.task`
    )
    this.after = prepare<[id: string, type: string]>(
      database,
      "SELECT task.id, task.type FROM edge JOIN task ON task.seq = edge.dependency WHERE edge.task = ? ORDER BY edge.place"
    )
    this.before = prepare<[id: string]>(
      database,
      `SELECT task.id FROM edge JOIN task ON task.seq = edge.task WHERE edge.dependency = ? ORDER BY edge.nr DESC
        LIMIT ${maxBefore}`
    )
    const linked = (from: string, to: string, place: string) =>
      prepare<[place: number, id: string, type: string]>(
        database,
        `SELECT edge.${place}, other.id, other.type FROM task JOIN edge ON edge.${from} = task.seq
          JOIN task AS other ON other.seq = edge.${to} WHERE task.id = ? AND edge.${place} >= ?
          ORDER BY edge.${place} LIMIT ?`
      )
    this.linked = {
      dependencies: linked("task", "dependency", "place"),
      dependents: linked("dependency", "task", "nr")
    }
    this.awaits = prepare<[one: number]>(
      database,
      "SELECT 1 FROM edge JOIN task ON task.seq = edge.task WHERE edge.dependency = ? AND task.state < 3 LIMIT 1"
    )
    this.forgetFrom = prepare(
      database,
      "DELETE FROM edge WHERE (dependency, nr) IN (SELECT dependency, nr FROM edge WHERE dependency = ? LIMIT ?)"
    )
    this.forgetTo = prepare(
      database,
      "DELETE FROM edge WHERE (dependency, nr) IN (SELECT dependency, nr FROM edge WHERE task = ? LIMIT ?)"
    )
  }

  /** Lets new tasks wait for those that they depend on, once all of their group are stored. */
  connect(transaction: Transaction, tasks: Tasks, group: ReadonlyArray<NewTask>): void {
    for (const task of group) {
      if (!isDependent(task)) continue
      // all of them are stored, or the group would not be
      const stored = tasks.find(task.id)!
      let counting = 0
      let ended: EndedDependency | undefined
      for (const [place, id] of task.after!.entries()) {
        const [seq, nr, code, told] = this.addTo.get(id)!
        this.addEdge.run(seq, nr, stored.seq, place)
        if (told < nr) continue
        const state = stateOf(code)
        if (!isFinished(state)) continue
        if (state === "completed" || stored.onFailure === "run") counting++
        else ended ??= { id, state }
      }
      const of = ended ?? counting
      if (of !== 0) this.change(transaction, tasks, stored, of)
    }
  }

  /** How those are that a task depends on. */
  standing({ onFailure, seq }: TaskRecord): Standing {
    let open = 0
    let blocking: string | undefined
    for (const [id, , nr, , code, told] of this.edgesTo.all(seq)) {
      const state = stateOf(code)
      if (nr > told || !isFinished(state)) open++
      if (isBlocking(state, onFailure)) blocking ??= id
    }
    return { open, blocking }
  }

  /** Which of these tasks each of them depends on, where it depends on some. */
  among(ids: ReadonlyArray<string>): ReadonlyMap<string, ReadonlyArray<string>> {
    const after = new Map<string, Array<string>>()
    if (ids.length < 2) return after
    const given = JSON.stringify(ids)
    for (const [id, other] of this.edgesAmong.all(given, given)) {
      const others = after.get(id)
      if (others === undefined) after.set(id, [other])
      else others.push(other)
    }
    return after
  }

  /** How many others a task waits for that is run again. To be called right before. */
  reconnect({ seq: task }: TaskRecord): number {
    let count = 0
    for (const [id, dependency, nr, place, code, told] of this.edgesTo.all(task)) {
      const isTold = nr <= told
      if (isTold && isFinished(stateOf(code))) continue
      count++
      if (!isTold) continue
      this.removeEdge.run(dependency, nr)
      this.addEdge.run(dependency, this.addTo.get(id)![1], task, place)
    }
    return count
  }

  /** To be called for a claim whose task has edges, before it is settled. */
  claimed(claim: number): void {
    if (this.claims.size >= maxClaims) this.claims.clear()
    this.claims.add(claim)
  }

  /** Whether the task of a claim has edges, as far as it is known. To be called once it is settled. */
  isMember(claim: number): boolean {
    return this.claims.size > 0 && this.claims.delete(claim)
  }

  /** To be called for a task that has ended and has edges that were not told. */
  end(seq: number): void {
    this.ended.push(seq)
  }

  /** Counts tasks that were completed, and are written as told, at those that depend on them. */
  completed(transaction: Transaction, tasks: Tasks, seqs: ReadonlyArray<number>): void {
    if (seqs.length === 0) return
    for (const [task, count] of this.dependentsOf.all(JSON.stringify(seqs))) {
      this.inform(transaction, tasks, task, count)
    }
  }

  /** Tells the ends of tasks to those that depend on them, as much as one write does. */
  tell(transaction: Transaction, tasks: Tasks): void {
    let left = maxTold + this.ended.length
    while (left > 0) {
      const seq = this.ended.shift() ?? this.nextUntold(transaction)
      if (seq === undefined) return
      left -= Math.max(1, this.tellFrom(transaction, tasks, seq, Math.min(left, maxTold)))
    }
    if (this.ended.length > 0) this.more = true
    this.ended = []
  }

  /** Whether there may be more to tell. */
  hasMore({ version }: Transaction): boolean {
    if (version !== this.version) this.more = undefined
    this.version = version
    return this.more ??= this.untold.get() !== undefined
  }

  private nextUntold(transaction: Transaction): number | undefined {
    if (!this.hasMore(transaction)) return undefined
    const seq = this.untold.get()?.[0]
    this.more = seq !== undefined
    return seq
  }

  /** Tells the end of one, to so many at most. */
  private tellFrom(transaction: Transaction, tasks: Tasks, seq: number, limit: number): number {
    const [id, code, edges, told] = this.told.get(seq)!
    const state = stateOf(code)
    if (!isFinished(state)) return 0
    const until = Math.min(edges, told + limit)
    // first, so that what comes of it finds it told
    this.setTold.run(until, seq)
    if (until < edges) this.more = true
    const ended = state === "completed" ? 1 : { id, state }
    for (const [task] of this.tellNext.all(seq, told, until)) this.inform(transaction, tasks, task, ended)
    return until - told
  }

  /** Tells a task that so many that it depends on count as completed, or that one has ended. */
  private inform(transaction: Transaction, tasks: Tasks, seq: number, ended: number | EndedDependency): void {
    if (typeof ended === "number" && this.countDown.run(ended, seq, ended).changes === 1) return
    const row = this.bySeq.get(seq)
    if (row !== undefined) this.change(transaction, tasks, recordOf(row), ended)
  }

  private change(transaction: Transaction, tasks: Tasks, task: TaskRecord, ended: number | EndedDependency): void {
    const change = Settlement.dependenciesEnded(task, ended, transaction.now)
    if (change === undefined) return
    tasks.apply(transaction, task, [undefined, change])
    if (isFinished(change.state)) this.aftermath.drop({ ...task, ...change, state: change.state as FinishedState })
    else if (change.waitsFor === 0) this.aftermath.release()
  }

  /** To be called when a transaction has been rolled back. */
  forget(): void {
    this.ended = []
    this.more = undefined
    this.claims.clear()
  }

  /** What a task depends on and what depends on it. */
  edgesOf(seq: number): Edges {
    return {
      after: this.after.all(seq).map(([id, type]) => ({ id, type })),
      before: this.before.all(seq).map(([id]) => id)
    }
  }

  /** What a task is connected with, from a place on, and no more than a number of them. */
  linksOf(
    id: string,
    towards: "dependencies" | "dependents",
    of: number,
    from: number,
    limit: number
  ): ReadonlyArray<PlacedLink> {
    return this.linked[towards].all(id, from, limit).map(([place, id, type]) => ({ of, place, id, type }))
  }

  /** Whether one that has not ended depends on a task. */
  isAwaited(seq: number): boolean {
    return this.awaits.get(seq) !== undefined
  }

  /** Removes edges of a task that is to be removed, so many at most; answers how many. */
  disconnect(seq: number, limit: number): number {
    const from = Number(this.forgetFrom.run(seq, limit).changes)
    return from < limit ? from + Number(this.forgetTo.run(seq, limit - from).changes) : from
  }
}
