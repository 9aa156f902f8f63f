import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { DatabaseSync } from "node:sqlite"
import * as Database from "../../../src/store/sqlite/Database.ts"
import { Tally } from "../../../src/store/sqlite/Tally.ts"
import * as Writer from "../../../src/store/sqlite/Writer.ts"
import { file } from "./fixtures.ts"

/** A writer on a new file, and another connection that sees what is committed. */
const setUp = Effect.gen(function*() {
  const path = yield* file
  const database = yield* Database.open(path, "full", 0)
  const writer = yield* Writer.make(database, path, yield* Clock.Clock, new Tally(database), "full")
  const other = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(path)),
    (connection) => Effect.sync(() => connection.close())
  )
  const pause = database.prepare("INSERT INTO paused_queue VALUES (?)")
  const committed = () => other.prepare("SELECT queue FROM paused_queue ORDER BY queue").all().map(({ queue }) => queue)
  return { committed, database, other, pause, writer }
})

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
      const { database, writer } = yield* setUp
      // 2 is FULL, 1 is NORMAL; read anew each time, as SQLite answers a prepared pragma with what was
      const level = () => Number(Object.values(database.prepare("PRAGMA synchronous").get()!)[0])
      assert.strictEqual(yield* writer.write("promise", level), 2)
      assert.strictEqual(yield* writer.writeVolatile("none", level), 1)
      assert.strictEqual(yield* writer.write("promise", level), 2)
      const together = yield* Effect.all([writer.writeVolatile("none", level), writer.write("promise", level)], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(together, [2, 2])
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
