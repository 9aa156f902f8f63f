import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Latch, Scope } from "effect"
import { TestClock } from "effect/testing"
import { statSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { StoreError } from "../../../src/domain/Errors.ts"
import * as Database from "../../../src/store/sqlite/Database.ts"
import { Lanes } from "../../../src/store/sqlite/Lanes.ts"
import { Tally } from "../../../src/store/sqlite/Tally.ts"
import * as WriteAheadLog from "../../../src/store/sqlite/WriteAheadLog.ts"
import * as Writer from "../../../src/store/sqlite/Writer.ts"
import { Refusals } from "../../../src/store/WriteHealth.ts"
import { file } from "./fixtures.ts"

/** A writer on a new file, and another connection that sees what is committed. */
const setUpWith = Effect.fnUntraced(function*(log?: WriteAheadLog.WriteAheadLog) {
  const path = yield* file
  const database = yield* Database.open(path, 0)
  const writer = yield* Writer.make(
    database,
    path,
    yield* Clock.Clock,
    new Tally(database),
    new Lanes(database, 0),
    log ?? (yield* WriteAheadLog.open(path, yield* Clock.Clock)),
    WriteAheadLog.noCheckpoints
  )
  const other = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(path)),
    (connection) => Effect.sync(() => connection.close())
  )
  database.exec("CREATE TABLE scratch (queue TEXT PRIMARY KEY)")
  const pause = database.prepare("INSERT INTO scratch VALUES (?)")
  const committed = () => other.prepare("SELECT queue FROM scratch ORDER BY queue").all().map(({ queue }) => queue)
  return { committed, database, other, path, pause, writer }
})

const setUp = setUpWith()

describe("group commit", () => {
  it.effect("runs everything that waits in one transaction", () =>
    Effect.gen(function*() {
      const { writer } = yield* setUp
      const seen = yield* Effect.all(
        Array.from({ length: 50 }, () => writer.write("look", (transaction) => transaction)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(seen).size, 1)
    }))

  it.effect("waits for the disk, but not for operations that promise nothing", () =>
    Effect.gen(function*() {
      const disk = Latch.makeUnsafe(false)
      const { committed, pause, writer } = yield* setUpWith({ sync: disk.await })
      const promised = yield* Effect.forkChild(writer.write("promise", () => pause.run("a").changes), {
        startImmediately: true
      })
      yield* writer.writeVolatile("none", () => pause.run("b"))
      assert.deepStrictEqual(committed(), ["a", "b"])
      assert.isUndefined(promised.pollUnsafe())
      yield* disk.open
      assert.strictEqual(yield* Fiber.join(promised), 1)
    }))

  it.effect("tells a caller that waits for the disk what became of its operation, even when the scope closes", () =>
    Effect.gen(function*() {
      const disk = Latch.makeUnsafe(false)
      const scope = yield* Scope.make()
      const { pause, writer } = yield* Scope.provide(setUpWith({ sync: disk.await }), scope)
      const promised = yield* Effect.forkChild(writer.write("promise", () => pause.run("a").changes))
      yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* disk.open
      assert.strictEqual(yield* Fiber.join(promised), 1)
      yield* Fiber.join(closing)
    }))

  it.effect("answers after the commit, with each caller's own answer", () =>
    Effect.gen(function*() {
      const { committed, database, pause, writer } = yield* setUp
      const names = Array.from({ length: 20 }, (_, index) => `q${index + 10}`)
      yield* Effect.forEach(names, (name) =>
        Effect.gen(function*() {
          const answer = yield* writer.write("pause", () => {
            assert.isTrue(database.isTransaction)
            assert.deepStrictEqual(committed(), [])
            pause.run(name)
            return name
          })
          assert.strictEqual(answer, name)
          assert.deepStrictEqual(committed(), names)
        }), { concurrency: "unbounded" })
    }))

  it.effect("keeps fates apart: what one operation breaks fails nobody else and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { committed, pause, writer } = yield* setUp
      const exits = yield* Effect.all([
        Effect.exit(writer.write("first", () => pause.run("a").changes)),
        Effect.exit(writer.write("second", ({ tally }) => {
          pause.run("b")
          tally.create("pending", 5)
          throw new TypeError("unexpected")
        })),
        Effect.exit(writer.write("third", ({ tally }) => {
          pause.run("c")
          tally.create("pending", 1)
          return tally.unfinished
        })),
        Effect.exit(writer.write("fourth", () => pause.run("a")))
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual(exits.map(({ _tag }) => _tag), ["Success", "Failure", "Success", "Failure"])
      assert.deepStrictEqual(exits[2], Exit.succeed(1))
      assert.include(String(exits[1]), "failed to second")
      assert.include(String(exits[3]), "UNIQUE")
      assert.deepStrictEqual(committed(), ["a", "c"])
    }))

  it.effect("never runs the operation of a caller that was interrupted while it waited", () =>
    Effect.gen(function*() {
      const { committed, pause, writer } = yield* setUp
      const fiber = yield* Effect.forkChild(writer.write("pause", () => pause.run("a")), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* writer.write("pause", () => pause.run("b"))
      assert.deepStrictEqual(committed(), ["b"])
    }))

  it.effect("commits what still waits when the scope closes, and refuses what comes later", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { pause, writer } = yield* Scope.provide(setUp, scope)
      const fiber = yield* Effect.forkChild(writer.write("pause", () => pause.run("a").changes), {
        startImmediately: true
      })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(fiber), 1)
      for (const late of [writer.write("pause", () => 1), writer.read("list", () => 1)]) {
        const error = yield* Effect.flip(late)
        assert.strictEqual(error._tag, "StoreError")
        assert.include(error.message, "closed")
      }
    }))
})

describe("a disk that fails to sync", () => {
  it.effect("fails those who waited for it, and the database is mended before anything more is promised", () =>
    Effect.gen(function*() {
      let failures = 1
      const { committed, other, path, pause, writer } = yield* setUpWith({
        sync: Effect.suspend(() =>
          failures-- > 0 ? Effect.fail(new StoreError({ operation: "sync", reason: "EIO", cause: "EIO" })) : Effect.void
        )
      })
      const log = () => statSync(`${path}-wal`).size
      const error = yield* Effect.flip(writer.write("pause", () => pause.run("a")))
      assert.include(error.message, "failed to pause")
      assert.isAbove(log(), 0)
      // a reader on the old state keeps the log from being brought into the database
      other.exec("BEGIN; SELECT * FROM scratch")
      const refused = yield* Effect.flip(writer.write("pause", () => pause.run("b")))
      assert.include(refused.message, "failed to sync")
      other.exec("COMMIT")
      yield* writer.write("pause", () => {
        assert.strictEqual(log(), 0)
        return pause.run("c")
      })
      assert.deepStrictEqual(committed(), ["a", "c"])
    }))
})

describe("a full disk", () => {
  it.effect("fails what does not fit, says what to do, and is over once there is room", () =>
    Effect.gen(function*() {
      const { committed, database, pause, writer } = yield* setUp
      const big = "x".repeat(1_000_000)
      database.exec("PRAGMA max_page_count = 30")
      const error = yield* Effect.flip(writer.write("pause", () => pause.run(big)))
      assert.strictEqual(error._tag, "StoreError")
      assert.include(error.message, "the disk is full; free some space")
      yield* writer.write("pause", () => pause.run("small"))
      database.exec("PRAGMA max_page_count = 100000")
      yield* writer.write("pause", () => pause.run(big))
      assert.deepStrictEqual(committed(), ["small", big])
    }))
})

describe("a file that another process has locked", () => {
  it.effect("is waited for without blocking, while interrupted callers leave", () =>
    Effect.gen(function*() {
      const { committed, other, pause, writer } = yield* setUp
      other.exec("BEGIN IMMEDIATE")
      const waiting = yield* Effect.forkChild(writer.write("pause", () => pause.run("a").changes))
      const leaving = yield* Effect.forkChild(writer.write("pause", () => pause.run("b").changes))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(leaving)
      other.exec("ROLLBACK")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(waiting), 1)
      assert.deepStrictEqual(committed(), ["a"])
    }))

  it.effect("is given up after 30 seconds, and works again once it is free", () =>
    Effect.gen(function*() {
      const { committed, other, pause, writer } = yield* setUp
      other.exec("BEGIN IMMEDIATE")
      const fiber = yield* Effect.forkChild(Effect.flip(writer.write("pause", () => pause.run("a"))))
      yield* TestClock.adjust("31 seconds")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.operation, "pause")
      assert.include(error.message, "another process held its lock for 30 seconds")
      other.exec("ROLLBACK")
      yield* writer.write("pause", () => pause.run("b"))
      assert.deepStrictEqual(committed(), ["b"])
    }))
})

describe("a file that may not grow", () => {
  it.effect("refuses what takes room, remembers that, and lets what frees room go on", () =>
    Effect.gen(function*() {
      const path = yield* file
      const clock = yield* Clock.Clock
      const database = yield* Database.open(path, 0)
      const refusals = new Refusals(clock)
      const writer = yield* Writer.make(
        database,
        path,
        clock,
        new Tally(database),
        new Lanes(database, 0),
        WriteAheadLog.unsynced,
        WriteAheadLog.noCheckpoints,
        undefined,
        refusals
      )
      database.exec("CREATE TABLE scratch (queue TEXT PRIMARY KEY)")
      database.exec(`PRAGMA max_page_count = ${database.prepare("PRAGMA page_count").get()!["page_count"]}`)
      const insert = database.prepare("INSERT INTO scratch VALUES (?)")
      const names = Array.from({ length: 100 }, (_, index) => String(index).padEnd(300, "x"))
      yield* TestClock.adjust("5 seconds")
      const refused = yield* Effect.flip(Effect.forEach(names, (name) => writer.write("pause", () => insert.run(name))))
      assert.include(refused.reason, "the disk is full")
      assert.include(refused.advice, "free some space")
      assert.deepInclude(refusals.current, { since: 5000, failures: 1 })
      yield* writer.write("resume", () => database.exec("DELETE FROM scratch"), "frees")
      yield* writer.write("pause", () => insert.run(names[0]!))
    }))
})
