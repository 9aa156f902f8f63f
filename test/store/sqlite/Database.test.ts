import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ApiKeys } from "../../../src/index.ts"
import * as PausedQueues from "../../../src/store/PausedQueues.ts"
import { SqliteStore } from "../../../src/store/sqlite/index.ts"
import * as Migrations from "../../../src/store/sqlite/Migrations.ts"
import { task } from "../conformance/fixtures.ts"
import { file, folder, open, using } from "./fixtures.ts"

/** A connection that lets another process make the file when it prepares a statement, the first or one after it. */
class Interrupted extends DatabaseSync {
  private left: number
  private readonly path: string

  constructor(path: string, before: number) {
    super(path)
    this.path = path
    this.left = before
  }

  override prepare(sql: string) {
    const statement = super.prepare(sql)
    if (this.left-- === 0) {
      const other = new DatabaseSync(this.path)
      Migrations.migrate(other, this.path)
      other.close()
    }
    return statement
  }
}

/** The locks on files that this process holds, where the system lists them. */
const locks = () =>
  existsSync("/proc/locks")
    ? readFileSync("/proc/locks", "utf8").split("\n").map((line) => line.split(/\s+/).slice(1))
      .filter(([, , , pid]) => pid === String(process.pid)).sort()
    : []

/** Changes a file behind the store's back. */
const edit = (path: string, sql: string) =>
  Effect.sync(() => {
    const database = new DatabaseSync(path)
    database.exec(sql)
    database.close()
  })

const refusal = (path: string, options = {}) => Effect.flip(using(path, () => Effect.void, options))

describe("opening a file", () => {
  it.effect("creates it and its folder", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "deep", "down", "tasks.db")
      yield* using(path, (store) => store.enqueue([[task()]]))
      assert.strictEqual((yield* using(path, (store) => store.counts)).pending, 1)
    }))

  it.effect("leaves one tidy file when the last store closes", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, (store) => store.enqueue([[task()]]))
      assert.isTrue(existsSync(path))
      assert.isFalse(existsSync(`${path}-wal`))
    }))

  it.effect("takes no file for another program's while another process makes it", () =>
    Effect.gen(function*() {
      for (const before of [0, 1, 2, 3]) {
        const path = yield* file
        const database = new Interrupted(path, before)
        assert.include([0, Migrations.latest], Migrations.inspect(database, path))
        database.close()
      }
    }))

  it.effect("keeps the locks of the stores that this process already has on it", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* open(path)
      const before = locks()
      yield* open(path)
      assert.deepStrictEqual(locks(), before)
    }))

  it.effect("gives each store in memory tasks of its own", () =>
    Effect.gen(function*() {
      const one = yield* open(":memory:")
      const other = yield* open(":memory:")
      yield* one.enqueue([[task()]])
      assert.strictEqual((yield* one.counts).pending, 1)
      assert.strictEqual((yield* other.counts).pending, 0)
    }))

  it.effect("marks it as ours at the latest layout", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, () => Effect.void)
      const database = new DatabaseSync(path)
      const pragma = (name: string) => database.prepare(`PRAGMA ${name}`).get()?.[name]
      assert.strictEqual(pragma("application_id"), Migrations.applicationId)
      assert.strictEqual(pragma("user_version"), Migrations.latest)
      assert.strictEqual(pragma("journal_mode"), "wal")
      assert.strictEqual(pragma("integrity_check"), "ok")
      database.close()
    }))
})

describe("a file that cannot be used is refused with what to do about it", () => {
  it.effect("written by a newer version", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, () => Effect.void)
      yield* edit(path, "PRAGMA user_version = 99")
      const error = yield* refusal(path)
      assert.strictEqual(error._tag, "StoreIncompatible")
      assert.include(error.message, `${path} has layout 99`)
      assert.include(error.message, `up to ${Migrations.latest}. Upgrade`)
    }))

  it.effect("of another program, and it stays as it was", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* edit(path, "CREATE TABLE customer (name TEXT); INSERT INTO customer VALUES ('Ada')")
      const before = readFileSync(path)
      const error = yield* refusal(path)
      assert.strictEqual(error._tag, "StoreIncompatible")
      assert.include(error.message, "another program")
      assert.deepStrictEqual(readFileSync(path), before)
    }))

  it.effect("that is no database", () =>
    Effect.gen(function*() {
      const path = yield* file
      writeFileSync(path, "These are the notes of a meeting.\n".repeat(200))
      const error = yield* refusal(path)
      assert.strictEqual(error._tag, "StoreIncompatible")
      assert.include(error.message, `${path}: it is not an SQLite database`)
    }))

  it.effect("that is a folder, or lies below a file", () =>
    Effect.gen(function*() {
      const path = yield* file
      mkdirSync(path)
      const folderError = yield* refusal(path)
      assert.strictEqual(folderError._tag, "StoreError")
      assert.include(folderError.message, "cannot be opened")
      const below = join(dirname(path), "notes.txt", "tasks.db")
      writeFileSync(dirname(below), "")
      const belowError = yield* refusal(below)
      assert.strictEqual(belowError._tag, "StoreError")
      assert.include(belowError.message, below)
    }))

  it.effect("whose head start differs, naming both", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, () => Effect.void, { headStart: "1 minute" })
      const error = yield* refusal(path, { headStart: "1 hour" })
      assert.strictEqual(error._tag, "StoreIncompatible")
      assert.include(error.message, "head start of 1m")
      assert.include(error.message, "configured with 1h")
      yield* using(path, () => Effect.void, { headStart: "60 seconds" })
    }))
})

/** What makes a file one of those before keys had windows, and tasks expired or should start within a time. */
const withoutWindows = `DROP TABLE edge;
  DROP INDEX task_due;
  DROP INDEX task_finished;
  DROP INDEX task_untold;
  DROP INDEX task_connected;
  DROP INDEX task_dependent;
  ALTER TABLE task DROP COLUMN tags;
  ALTER TABLE task DROP COLUMN trace;
  ALTER TABLE task DROP COLUMN on_failure;
  ALTER TABLE task DROP COLUMN dependencies;
  ALTER TABLE task DROP COLUMN waits_for;
  ALTER TABLE task DROP COLUMN edges;
  ALTER TABLE task DROP COLUMN told;
  CREATE INDEX task_due ON task (due_at) WHERE state = 0;
  CREATE INDEX task_finished ON task (state, key IS NULL, completed_at) WHERE state >= 3;
  DROP INDEX task_lane;
  ALTER TABLE task DROP COLUMN line;
  ALTER TABLE task DROP COLUMN together;
  CREATE INDEX task_lane ON task (queue, type, gate, rank, seq) WHERE state = 1;
  ALTER TABLE task DROP COLUMN start_within;
  ALTER TABLE task DROP COLUMN start_by;
  DROP INDEX task_expires;
  ALTER TABLE task DROP COLUMN expires_at;
  ALTER TABLE tally DROP COLUMN expired;
  ALTER TABLE tally DROP COLUMN total_expired;
  DROP INDEX task_key;
  ALTER TABLE task DROP COLUMN key_hold;
  ALTER TABLE task DROP COLUMN key_lost;
  CREATE UNIQUE INDEX task_key ON task (type, key) WHERE key IS NOT NULL;`

describe("a file of an earlier version", () => {
  it.effect("keeps the keys of its tasks, which new ones can be merged into", () =>
    Effect.gen(function*() {
      const path = yield* file
      const owner = task({ key: "k", payload: "1" })
      yield* using(path, (store) => store.enqueue([[owner]]))
      yield* edit(path, `${withoutWindows} PRAGMA user_version = 8`)
      yield* using(path, (store) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* store.get(owner.id))?.hold, null)
          const unique = { window: "waiting", onConflict: "replace", byMs: 0, maxMs: null } as const
          const answers = yield* store.enqueue([
            [task({ key: "k", payload: "2" })],
            [task({ key: "k", payload: "3", unique })]
          ])
          assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Conflict", "Accepted"])
          assert.strictEqual((yield* store.get(owner.id))?.payload, "3")
        }))
    }))

  it.effect("gives its API keys and paused queues", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, () => Effect.void)
      yield* edit(
        path,
        `DROP TABLE record;
        DROP TABLE bucket;
        DROP TABLE holder;
        DROP TABLE turn;
        ${withoutWindows}
        DROP INDEX task_lane;
        ALTER TABLE task DROP COLUMN gate;
        ALTER TABLE task DROP COLUMN costs;
        CREATE INDEX task_lane ON task (queue, type, rank, seq) WHERE state = 1;
        DELETE FROM setting WHERE name = 'record_version';
        CREATE TABLE api_key (
          id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, hash TEXT NOT NULL, created_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        INSERT INTO api_key VALUES ('b', 'zoë''s "key" \\', 'admin', 'h1', 1000), ('a', 'ci', 'read', 'h2', 2000);
        CREATE TABLE paused_queue (queue TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
        INSERT INTO paused_queue VALUES ('slow'), ('a b');
        PRAGMA user_version = 4`
      )
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* PausedQueues.names, ["a b", "slow"])
        yield* PausedQueues.resume("slow")
        assert.deepStrictEqual(yield* PausedQueues.names, ["a b"])
        assert.deepStrictEqual(yield* ApiKeys.stored, [
          { id: "b", name: "zoë's \"key\" \\", role: "admin", hash: "h1", createdAt: DateTime.makeUnsafe(1000) },
          { id: "a", name: "ci", role: "read", hash: "h2", createdAt: DateTime.makeUnsafe(2000) }
        ])
        yield* ApiKeys.revoke("b")
        assert.deepStrictEqual((yield* ApiKeys.list).map(({ id }) => id), ["a"])
      }).pipe(Effect.provide(SqliteStore.layer({ path })))
    }))
})

describe("a damaged file", () => {
  it.effect("fails the operations that meet the damage, and says so", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, (store) => store.enqueue([Array.from({ length: 500 }, () => task())]))
      const bytes = readFileSync(path)
      // the schema has grown beyond the first pages: it stays whole, so that the file opens
      bytes.fill(0xff, (bytes.length * 3) >> 2)
      writeFileSync(path, bytes)
      const error = yield* Effect.flip(using(path, (store) => store.list({ limit: 500 })))
      assert.strictEqual(error._tag, "StoreError")
      assert.include(error.message, "it is damaged; restore it from a backup")
    }))
})
