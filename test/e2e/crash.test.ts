/**
 * A server that is killed over and over, at random moments, while clients go on posting. What it accepted must be
 * stored, run to its end, and settled once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Server from "./Server.ts"
import * as TaskFile from "./TaskFile.ts"

const kills = 20
const clients = 4
const tasksPerPost = 5

/** How long a process lives at most after the time that it takes to listen; some die before they do. */
const maxLifeMs = 2000

const environment = {
  TASKFORGE_LEASE: "2s",
  TASKFORGE_MAX_CRASHES: "-1",
  WORKER_NUM_WORKERS: "20"
}

describe("a server killed twenty times under load", () => {
  it.live("loses nothing that it accepted, and settles each task once", () =>
    Effect.gen(function*() {
      const random = randomFrom(Number(process.env["TEST_SEED"] ?? 1))
      const directory = yield* Server.directory
      const witness = new Witness(directory)
      const accepted = new Set<string>()
      const now: { server: Server.Server | undefined; posting: boolean } = { server: undefined, posting: true }

      /** Posts each batch until it is accepted: a lost reply is met with the same ids. */
      const client = Effect.fnUntraced(function*(number: number) {
        for (let batch = 0; now.posting; batch++) {
          const tasks = Array.from({ length: tasksPerPost }, (_, index) => ({
            id: `${number}-${batch}-${index}`,
            ...workFor(batch * tasksPerPost + index)
          }))
          yield* Server.until(
            "a batch is accepted",
            Effect.orElseSucceed(
              Effect.map(Effect.suspend(() => now.server?.post(tasks) ?? Effect.succeed([])), (ids) => ids.length > 0),
              () => false
            ),
            300
          )
          for (const { id } of tasks) accepted.add(id)
          yield* Effect.sleep(20)
        }
      })
      const posting = yield* Effect.forEach(
        Array.from({ length: clients }, (_, number) => number),
        (number) => Effect.forkChild(client(number))
      )

      // How long a start takes depends on the machine and on what else runs there
      const begin = performance.now()
      yield* Effect.scoped(Server.start(directory, environment))
      const startMs = performance.now() - begin

      let unborn = 0
      for (let kill = 0; kill < kills; kill++) {
        const lifeMs = startMs / 2 + random() * (startMs / 2 + maxLifeMs)
        yield* Effect.scoped(Effect.gen(function*() {
          const process = yield* Server.launch(directory, environment)
          const startedAt = performance.now()
          const listens = yield* Effect.timeoutOption(Server.listening(process), lifeMs)
          if (listens._tag === "None") unborn++
          else now.server = listens.value
          yield* Server.until("its time has come", witness.look(() => performance.now() - startedAt >= lifeMs))
          yield* process.signal("SIGKILL")
          yield* process.ended
          now.server = undefined
        }))
        yield* witness.look(() => true)
      }

      const server = yield* Server.start(directory, environment)
      now.server = server
      now.posting = false
      yield* Fiber.joinAll(posting)
      yield* Server.until(
        "every task has ended",
        Effect.map(
          server.stats,
          ({ by_status: { pending, running, scheduled } }) => pending + running + scheduled === 0
        )
      )
      yield* witness.look(() => true)
      const { by_status, totals } = yield* server.stats
      yield* Server.stop(server)

      const tasks = TaskFile.read(directory)
      const crashes = tasks.reduce((sum, task) => sum + task.crashes, 0)
      console.log(
        `${tasks.length} tasks, ${crashes} crashed attempts, ${unborn} of ${kills} killed before they listened`
      )
      assert.isAbove(crashes, 0, "no kill hit a running task: the test shows nothing")

      const stored = new Set(tasks.map((task) => task.id))
      assert.deepStrictEqual([...accepted].filter((id) => !stored.has(id)).slice(0, 10), [], "accepted, and not stored")
      assert.strictEqual(stored.size, accepted.size, "stored, and never posted")
      assert.deepStrictEqual(witness.contradictions, [])
      for (const task of tasks) assert.deepStrictEqual(flawsOf(task), [], JSON.stringify(task))
      const claims = tasks.flatMap((task) => [task.claim, ...task.history.map(({ claim }) => claim)])
      assert.strictEqual(new Set(claims).size, claims.length, "a claim number was given twice")
      const failed = tasks.filter((task) => task.type === "fail").length
      const counts = { completed: tasks.length - failed, failed }
      assert.deepInclude(by_status, { ...counts, running: 0, pending: 0, scheduled: 0, cancelled: 0, expired: 0 })
      assert.deepStrictEqual(totals, {
        ...counts,
        created: tasks.length,
        cancelled: 0,
        expired: 0,
        retried: 0,
        crashed: crashes
      })
    }), 600_000)
})

/** Mostly quick work, some that is likely to be hit, some that uses the processor, some that fails. */
const workFor = (number: number): Omit<Server.NewTask, "id"> => {
  if (number % 20 === 0) return { type: "sleep", payload: { duration: "700ms" } }
  if (number % 20 === 7) return { type: "sleep", payload: { duration: "50ms" } }
  if (number % 20 === 11) return { type: "compute", payload: { n: 30_000 } }
  if (number % 20 === 13) return { type: "fail", max_retries: 0 }
  return { type: "echo", payload: { number } }
}

/** What is wrong with how a task ended. */
const flawsOf = (task: TaskFile.StoredTask): ReadonlyArray<string> => {
  const flaws: Array<string> = []
  const shouldFail = task.type === "fail"
  if (task.state !== (shouldFail ? "failed" : "completed")) flaws.push(`it is ${task.state}`)
  if (task.settledClaim !== task.claim) flaws.push("it was settled by a claim that was not the last")
  if (task.failures !== (shouldFail ? 1 : 0)) flaws.push("a crash was counted as a failure")
  if (task.crashes !== task.claims - 1) flaws.push("its claims are not its crashes and the one that ended it")
  const crashed = task.history.filter(({ outcome }) => outcome === "crashed")
  if (crashed.length !== task.crashes) flaws.push("its history does not show its crashes")
  if (task.history.some(({ claim }, index) => index > 0 && claim <= task.history[index - 1]!.claim)) {
    flaws.push("its history's claims do not grow")
  }
  return flaws
}

/** Looks at the file again and again, and notes what may never be: claims that go down, an end that changes. */
class Witness {
  readonly contradictions: Array<string> = []
  private readonly directory: string
  private readonly seen = new Map<string, TaskFile.StoredTask>()
  private lookedAt = -Infinity

  constructor(directory: string) {
    this.directory = directory
  }

  /** Looks, not more often than every 200 ms unless it is time to go, and answers whether it is. */
  look(isTime: () => boolean): Effect.Effect<boolean> {
    return Effect.sync(() => {
      const leaving = isTime()
      if (!leaving && performance.now() - this.lookedAt < 200) return false
      const tasks = TaskFile.readIfThere(this.directory)
      const known = new Set(tasks.map((task) => task.id))
      for (const id of this.seen.keys()) if (!known.has(id)) this.contradictions.push(`${id} is gone`)
      for (const task of tasks) {
        const before = this.seen.get(task.id)
        if (before !== undefined) this.compare(before, task)
        this.seen.set(task.id, task)
      }
      this.lookedAt = performance.now()
      return leaving
    })
  }

  private compare(before: TaskFile.StoredTask, task: TaskFile.StoredTask): void {
    const { claim, claims, settledClaim } = task
    const grew = claims > before.claims ? claim > before.claim : claims === before.claims && claim === before.claim
    if (!grew) this.contradict("its claims do not only grow", before, task)
    if (settledClaim < before.settledClaim) this.contradict("an older claim settled it", before, task)
    if (settledClaim > claim) this.contradict("a claim to come settled it", before, task)
    const hadEnded = before.state === "completed" || before.state === "failed"
    if (hadEnded && JSON.stringify(before) !== JSON.stringify(task)) this.contradict("it ended twice", before, task)
  }

  private contradict(what: string, before: TaskFile.StoredTask, task: TaskFile.StoredTask): void {
    if (this.contradictions.length < 10) {
      this.contradictions.push(`${what}: ${JSON.stringify(before)} became ${JSON.stringify(task)}`)
    }
  }
}

/** Numbers from 0 to 1 that the seed decides (mulberry32). */
const randomFrom = (seed: number) => {
  let state = seed
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
