/**
 * Handing out work: promotes what is due, then leases the tasks of lowest rank among the lanes asked for.
 */
import type { DatabaseSync } from "node:sqlite"
import type { ClaimedTask } from "../../domain/TaskRecord.ts"
import { setOf } from "../Lanes.ts"
import type { Place } from "../Order.ts"
import { claimedColumns, type ClaimedRow, claimedTaskOf } from "../TaskRow.ts"
import { type ClaimAnswer, type ClaimRequest, maxPromoted } from "../TaskStore.ts"
import { prepare } from "./Database.ts"
import type { Lane, Lanes, Wanted } from "./Lanes.ts"
import type { Transaction } from "./Writer.ts"

/** The place of a waiting task in the order of work. */
type Head = [rank: number, seq: number]

/** What a claim saw of a lane. */
interface Look {
  readonly lane: Lane
  /** Its first tasks; none behind `maxRank`, and no more than were asked for. */
  readonly found: ReadonlyArray<Head>
  readonly maxRank: number
}

/** What the last claim of an instance gave: its first number, and the tasks as JSON, in the order of their numbers. */
type LastClaim = [firstClaim: number, seqs: string]

/** Prepares the operation. */
export const make = (database: DatabaseSync) => {
  const nextDue = prepare<[dueAt: number | null]>(database, "SELECT min(due_at) FROM task WHERE state = 0")
  const promote = prepare<[queue: string, type: string, rank: number, seq: number]>(
    database,
    `UPDATE task SET state = 1
      WHERE seq IN (SELECT seq FROM task WHERE state = 0 AND due_at <= ? ORDER BY due_at, seq LIMIT ${maxPromoted})
      RETURNING queue, type, rank, seq`
  )
  // one lane, from its index alone
  const heads = prepare<Head>(
    database,
    `SELECT rank, seq FROM task WHERE state = 1 AND queue = ? AND type = ? AND rank <= ?
      ORDER BY rank, seq LIMIT ?`
  )
  // measured per claim of 100: this 0.35 ms, no more than without the numbers; UPDATE … RETURNING for each task 0.51;
  // select and update each 0.39; reading whole rows with the heads 0.31, but many times that with many lanes
  const lease = prepare<ClaimedRow>(
    database,
    `UPDATE task SET state = 2, claims = claims + 1, claim = ? + picked.key, started_at = ?, lease_until = ?,
      worker = ?, progress = NULL
      FROM json_each(?) AS picked WHERE task.seq = picked.value RETURNING ${claimedColumns}`
  )
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
  const held = prepare<ClaimedRow>(
    database,
    `SELECT ${claimedColumns} FROM task WHERE seq = ? AND claim = ? AND state = 2`
  )

  /** The tasks of a claim whose answer was lost, as far as their leases are still held. */
  const again = ([firstClaim, seqs]: LastClaim): Array<ClaimedTask> =>
    (JSON.parse(seqs) as ReadonlyArray<number>).flatMap((seq, index) => {
      const row = held.get(seq, firstClaim + index)
      return row === undefined ? [] : [claimedTaskOf(row)]
    })

  const lookAt = (lane: Lane, maxRank: number, limit: number): Look => ({
    lane,
    found: heads.all(lane.queue, lane.type, maxRank, limit),
    maxRank
  })

  /** The waiting tasks of lowest rank, and the lanes that were looked at. */
  const pick = (lanes: Lanes, request: ClaimRequest) => {
    const { limit } = request
    const wanted = wantedOf(request)
    const leader = lanes.leader(wanted)
    const first = leader === undefined ? undefined : lookAt(leader.lane, Number.MAX_SAFE_INTEGER, limit)
    if (first !== undefined && isEnough(first.found, limit, leader!.next)) return { best: first.found, looks: [first] }
    const looks: Array<Look> = []
    let best: ReadonlyArray<Head> = []
    for (const lane of lanes.inOrder(wanted)) {
      // once there are enough, a lane is only read as far as it can do better
      const worst = best.length < limit ? undefined : best[limit - 1]!
      const { rank, seq } = lane.filed!
      if (worst !== undefined && byRank(worst, [rank, seq]) < 0) break
      const maxRank = worst?.[0] ?? Number.MAX_SAFE_INTEGER
      const look = lane === first?.lane ? first : lookAt(lane, maxRank, limit)
      looks.push(look)
      best = looks.length === 1 ? look.found : [...best, ...look.found].sort(byRank).slice(0, limit)
    }
    return { best, looks }
  }

  /** Removes the lanes that have been emptied, and files the others where the tasks begin that are left. */
  const tidy = (lanes: Lanes, looks: ReadonlyArray<Look>, limit: number, last: Head | undefined): void => {
    for (const { found, lane, maxRank } of looks) {
      const next = last === undefined ? undefined : found.find((head) => byRank(last, head) < 0)
      if (next !== undefined) lanes.move(lane, { rank: next[0], seq: next[1] })
      else if (found.length === limit) lanes.move(lane, { rank: found[limit - 1]![0], seq: found[limit - 1]![1] })
      else if (maxRank === Number.MAX_SAFE_INTEGER) lanes.remove(lane)
      else lanes.move(lane, { rank: maxRank + 1, seq: 0 })
    }
  }

  return ({ lanes, now, tally, version }: Transaction, request: ClaimRequest): ClaimAnswer => {
    let [nextDueAt] = nextDue.get()!
    if (nextDueAt !== null && nextDueAt <= now) {
      const promoted = promote.all(now)
      for (const lane of promoted) lanes.note(...lane)
      tally.move("scheduled", "pending", promoted.length)
      nextDueAt = nextDue.get()![0]
    }
    const last = lastClaim.get(request.instance, request.nonce)
    if (last !== undefined) return { tasks: again(last), now, nextDueAt }
    if (request.limit <= 0) return { tasks: [], now, nextDueAt }
    lanes.refresh(version)
    const { best, looks } = pick(lanes, request)
    tidy(lanes, looks, request.limit, best.at(-1))
    if (best.length === 0) return { tasks: [], now, nextDueAt }
    const seqs = JSON.stringify(best.map(([, seq]) => seq))
    const firstClaim = tally.nextClaims(best.length)
    const rows = lease.all(firstClaim, now, now + request.leaseForMs, request.instance, seqs)
    tally.move("pending", "running", rows.length)
    remember.run(request.instance, request.nonce, now, firstClaim, seqs)
    // RETURNING promises no order; claim numbers are in the order of work
    return { tasks: rows.map(claimedTaskOf).sort(byClaim), now, nextDueAt }
  }
}

const byClaim = (a: ClaimedTask, b: ClaimedTask): number => a.claim - b.claim

const wantedOf = ({ queues, types }: ClaimRequest): Wanted => ({
  types: setOf(types),
  queues: queues === undefined ? undefined : setOf(queues)
})

/** Whether no other lane can do better: its tasks come later, or there is none. */
const isEnough = (found: ReadonlyArray<Head>, limit: number, next: Place | undefined): boolean =>
  next === undefined || (found.length === limit && byRank(found[limit - 1]!, [next.rank, next.seq]) <= 0)

const byRank = (a: Head, b: Head): number => a[0] - b[0] || a[1] - b[1]
