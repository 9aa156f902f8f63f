/**
 * Handing out work: promotes what is due, then leases the tasks of lowest rank among the lanes asked for.
 */
import type { DatabaseSync } from "node:sqlite"
import type { ClaimedTask } from "../../domain/TaskRecord.ts"
import { type ClaimAnswer, type ClaimRequest, promoteLimit } from "../TaskStore.ts"
import { prepare } from "./Statement.ts"
import type { Transaction } from "./Writer.ts"

/** The place of a waiting task in the order of work. */
type Head = [rank: number, seq: number]

const columns = "id, type, queue, payload, priority, max_retries, timeout_ms, due_at, failures, crashes, claim"

type Row = [
  id: string,
  type: string,
  queue: string,
  payload: string,
  priority: number,
  maxRetries: number,
  timeoutMs: number | null,
  dueAt: number,
  failures: number,
  crashes: number,
  claim: number
]

/** What the last claim of a worker gave: its first number, and the tasks as JSON, in the order of their numbers. */
type LastClaim = [firstClaim: number, seqs: string]

/** Prepares the operation. */
export const make = (database: DatabaseSync) => {
  const nextDue = prepare<[dueAt: number | null]>(database, "SELECT min(due_at) FROM task WHERE state = 0")
  const promote = prepare(
    database,
    `UPDATE task SET state = 1
      WHERE seq IN (SELECT seq FROM task WHERE state = 0 AND due_at <= ? ORDER BY due_at, seq LIMIT ${promoteLimit})`
  )
  // the next lane that has work, from the index of lanes
  const nextLane = prepare<[type: string]>(
    database,
    "SELECT type FROM task WHERE state = 1 AND queue = ? AND type >= ? ORDER BY type LIMIT 1"
  )
  // one lane, from its index alone
  const heads = prepare<Head>(
    database,
    `SELECT rank, seq FROM task WHERE state = 1 AND queue = ? AND type = ? AND rank <= ?
      ORDER BY rank, seq LIMIT ?`
  )
  // measured per claim of 100: this 0.35 ms, no more than without the numbers; UPDATE … RETURNING for each task 0.51;
  // select and update each 0.39; reading whole rows with the heads 0.31, but many times that with many lanes
  const lease = prepare<Row>(
    database,
    `UPDATE task SET state = 2, claims = claims + 1, claim = ? + picked.key, started_at = ?, lease_until = ?,
      worker = ?, progress = NULL
      FROM json_each(?) AS picked WHERE task.seq = picked.value RETURNING ${columns}`
  )
  const isPaused = prepare<[found: number]>(database, "SELECT 1 FROM paused_queue WHERE queue = ?")
  const lastClaim = prepare<LastClaim>(
    database,
    "SELECT first_claim, seqs FROM last_claim WHERE worker = ? AND nonce = ?"
  )
  const remember = prepare(
    database,
    `INSERT INTO last_claim (worker, nonce, claimed_at, first_claim, seqs) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (worker) DO UPDATE SET nonce = excluded.nonce, claimed_at = excluded.claimed_at,
        first_claim = excluded.first_claim, seqs = excluded.seqs`
  )
  const held = prepare<Row>(database, `SELECT ${columns} FROM task WHERE seq = ? AND claim = ? AND state = 2`)

  /** The tasks of a claim whose answer was lost, as far as their leases are still held. */
  const again = ([firstClaim, seqs]: LastClaim): Array<ClaimedTask> =>
    (JSON.parse(seqs) as ReadonlyArray<number>).flatMap((seq, index) => {
      const row = held.get(seq, firstClaim + index)
      return row === undefined ? [] : [claimedTask(row)]
    })

  let known = inOrder([])

  /** Which of these types have work. A worker may know dozens of types of which one waits: two lookups, not dozens. */
  const lanesWithWork = (queue: string, types: ReadonlyArray<string>): ReadonlyArray<string> => {
    // a worker asks with the same array until its handlers change
    if (known.types !== types) known = inOrder(types)
    const { ordered, positions } = known
    const lanes: Array<string> = []
    for (let next = 0; next < ordered.length;) {
      const lane = nextLane.get(queue, ordered[next]!)?.[0]
      if (lane === undefined) break
      const position = positions.get(lane)
      if (position === undefined) {
        next = ordered.findIndex((type) => byBytes(type, lane) > 0)
        if (next < 0) break
      } else {
        lanes.push(lane)
        next = position + 1
      }
    }
    return lanes
  }

  /** The waiting tasks of lowest rank, by their sequence numbers. */
  const pick = ({ limit, queues, types }: ClaimRequest): ReadonlyArray<number> => {
    let best: Array<Head> = []
    for (const queue of new Set(queues)) {
      if (isPaused.get(queue) !== undefined) continue
      for (const type of lanesWithWork(queue, types)) {
        // once there are enough, a lane is only read as far as it can do better
        const worst = best.length < limit ? Number.MAX_SAFE_INTEGER : best[limit - 1]![0]
        const found = heads.all(queue, type, worst, limit)
        best = best.length === 0 ? found : best.concat(found).sort(byRank).slice(0, limit)
      }
    }
    return best.map(([, seq]) => seq)
  }

  return ({ now, tally }: Transaction, request: ClaimRequest): ClaimAnswer => {
    let [nextDueAt] = nextDue.get()!
    if (nextDueAt !== null && nextDueAt <= now) {
      tally.move("scheduled", "pending", Number(promote.run(now).changes))
      nextDueAt = nextDue.get()![0]
    }
    const last = lastClaim.get(request.worker, request.nonce)
    if (last !== undefined) return { tasks: again(last), now, nextDueAt }
    const picked = request.limit > 0 ? pick(request) : []
    if (picked.length === 0) return { tasks: [], now, nextDueAt }
    const seqs = JSON.stringify(picked)
    const firstClaim = tally.nextClaims(picked.length)
    const rows = lease.all(firstClaim, now, now + request.leaseForMs, request.worker, seqs)
    tally.move("pending", "running", rows.length)
    remember.run(request.worker, request.nonce, now, firstClaim, seqs)
    // RETURNING promises no order; claim numbers are in the order of work
    return { tasks: rows.map(claimedTask).sort(byClaim), now, nextDueAt }
  }
}

const byClaim = (a: ClaimedTask, b: ClaimedTask): number => a.claim - b.claim

/** Types in the order of the index of lanes, and where each stands. */
const inOrder = (types: ReadonlyArray<string>) => {
  const ordered = [...new Set(types)].sort(byBytes)
  return { types, ordered, positions: new Map(ordered.map((type, position) => [type, position])) }
}

/** How SQLite compares texts: by the bytes of their UTF-8, which is not how JavaScript does. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const byRank = (a: Head, b: Head): number => a[0] - b[0] || a[1] - b[1]

const claimedTask = (row: Row): ClaimedTask => ({
  id: row[0],
  type: row[1],
  queue: row[2],
  payload: row[3],
  priority: row[4],
  maxRetries: row[5],
  timeoutMs: row[6],
  dueAt: row[7],
  failures: row[8],
  crashes: row[9],
  claim: row[10]
})
