import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { createHash } from "node:crypto"
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Archive from "../../src/handlers/files/Archive.ts"
import * as AtomicFile from "../../src/handlers/files/AtomicFile.ts"
import * as FileName from "../../src/handlers/files/FileName.ts"
import * as Scratch from "../../src/handlers/files/Scratch.ts"
import { failureOf, Home, isRefused, resultOf, withHandlers } from "./TestHandlers.ts"

/** Makes files below the folder for tasks. */
const make = Effect.fnUntraced(function*(files: Readonly<Record<string, string>>) {
  const home = yield* Home
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(home, path, ".."), { recursive: true })
    writeFileSync(join(home, path), text)
  }
  return home
})

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

/** Paths that lead out, whatever a task would do there. */
const outside = ["../a.txt", "/etc/hostname", "link/hostname", "deep/../../a.txt"]

describe("file_read", () => {
  it.live("reads text and bytes, whole or in parts", () =>
    Effect.gen(function*() {
      const home = yield* make({ "a.txt": "grüß dich" })
      writeFileSync(join(home, "b.bin"), Buffer.from([0xff, 0, 1]))
      assert.deepStrictEqual(yield* resultOf("file_read", { path: "a.txt" }), {
        path: "a.txt",
        size: 11,
        bytes: 11,
        body: "grüß dich",
        encoding: "text",
        is_end: true
      })
      const part = yield* resultOf("file_read", { path: "a.txt", offset: 7, max_bytes: 2 })
      assert.deepInclude(part, { bytes: 2, body: "di", is_end: false })
      assert.deepInclude(yield* resultOf("file_read", { path: "a.txt", offset: 100 }), { bytes: 0, is_end: true })
      assert.deepInclude(yield* resultOf("file_read", { path: "b.bin" }), { body: "/wAB", encoding: "base64" })
      yield* isRefused("file_read", { path: "a.txt", max_bytes: 1e9 })
    }).pipe(withHandlers()))

  it.live("reads no folders, and nothing outside", () =>
    Effect.gen(function*() {
      const home = yield* make({ "deep/a.txt": "a" })
      symlinkSync("/etc", join(home, "link"))
      for (const path of [...outside, "deep", "none.txt"]) {
        assert.strictEqual((yield* failureOf("file_read", { path })).tag, "PathRefused", path)
      }
      yield* isRefused("file_read", { path: "a\0b" })
    }).pipe(withHandlers()))
})

describe("file_write", () => {
  it.live("replaces a file as a whole, or makes a new one", () =>
    Effect.gen(function*() {
      const home = yield* make({ "a.txt": "old" })
      assert.deepStrictEqual(yield* resultOf("file_write", { path: "a.txt", body: "new" }), {
        path: "a.txt",
        bytes: 3,
        sha256: sha256("new")
      })
      yield* resultOf("file_write", { path: "x/y.bin", body: "/wAB", encoding: "base64", mode: "create" })
      assert.deepStrictEqual([...readFileSync(join(home, "x/y.bin"))], [0xff, 0, 1])
      const taken = yield* failureOf("file_write", { path: "a.txt", body: "newer", mode: "create" })
      assert.strictEqual(taken.tag, "PathRefused")
      assert.strictEqual(readFileSync(join(home, "a.txt"), "utf8"), "new")
      assert.deepStrictEqual(readdirSync(home).toSorted(), ["a.txt", "x"])
    }).pipe(withHandlers()))

  it.live("takes no text for base64, which would be written as something else", () =>
    Effect.gen(function*() {
      const home = yield* make({ "a.txt": "old" })
      for (const body of ["***", "grüße", "/wA", "/w A", "_-Aa"]) {
        yield* isRefused("file_write", { path: "a.txt", body, encoding: "base64" })
      }
      assert.strictEqual(readFileSync(join(home, "a.txt"), "utf8"), "old")
      const large = Buffer.alloc(750_000, "xyz")
      yield* resultOf("file_write", { path: "a.txt", body: large.toString("base64"), encoding: "base64" })
      assert.isTrue(large.equals(readFileSync(join(home, "a.txt"))))
      yield* resultOf("file_write", { path: "a.txt", body: "", encoding: "base64" })
      assert.strictEqual(readFileSync(join(home, "a.txt"), "utf8"), "")
    }).pipe(withHandlers()))

  it.live("refuses a path below a file, once", () =>
    Effect.gen(function*() {
      yield* make({ "a.txt": "old" })
      assert.strictEqual((yield* failureOf("file_write", { path: "a.txt/b.txt", body: "x" })).tag, "PathRefused")
    }).pipe(withHandlers()))

  it.live("writes nothing outside, and through no link", () =>
    Effect.gen(function*() {
      const home = yield* make({ "deep/a.txt": "a" })
      symlinkSync("/etc", join(home, "link"))
      symlinkSync("/tmp/taskforge-never.txt", join(home, "trap.txt"))
      for (const path of outside) {
        assert.strictEqual((yield* failureOf("file_write", { path, body: "x" })).tag, "PathRefused", path)
      }
      yield* resultOf("file_write", { path: "trap.txt", body: "x" })
      assert.isTrue(lstatSync(join(home, "trap.txt")).isFile())
      assert.isFalse(existsSync("/tmp/taskforge-never.txt"))
    }).pipe(withHandlers()))
})

describe("names of files", () => {
  it.live("may be as long as the file system allows, in bytes", () =>
    Effect.gen(function*() {
      const home = yield* Home
      // 255 bytes of 128 characters, and of 64
      for (const name of [`${"ü".repeat(127)}x`, `${"🙂".repeat(63)}xyz`, "x".repeat(255)]) {
        yield* resultOf("file_write", { path: name, body: name })
        assert.strictEqual(readFileSync(join(home, name), "utf8"), name)
      }
      const tooLong = yield* failureOf("file_write", { path: "ü".repeat(128), body: "x" })
      assert.strictEqual(tooLong.tag, "PathRefused")
      assert.strictEqual(readdirSync(home).length, 3)
    }).pipe(withHandlers()))

  it.live("of archives are cut between characters where a folder's name is too long", () =>
    Effect.gen(function*() {
      const home = yield* make({ [`${"ü".repeat(127)}/a.txt`]: "one", [`${"ü".repeat(126)}ä/a.txt`]: "two" })
      for (const source of readdirSync(home)) yield* resultOf("backup", { source })
      const names = readdirSync(join(home, "backups"))
      assert.strictEqual(names.length, 2)
      for (const name of names) assert.match(name, /^ü+-[\da-f]{32}-[-\dTZ]+\.tar\.gz$/)
    }).pipe(withHandlers()))

  it.live("that differ in nothing but a sign belong to tasks that do not disturb each other", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const writing = (id: string, body: string) =>
        AtomicFile.write(
          join(home, "same.txt"),
          { id, claim: 1, attempt: 1 },
          (part) => Effect.andThen(Effect.promise(() => writeFile(part, body)), Effect.sleep(20))
        )
      yield* Effect.all([writing("a:b", "one"), writing("a.b", "two"), writing("A:b", "three")], { concurrency: 3 })
      assert.deepStrictEqual(readdirSync(home), ["same.txt"])
    }).pipe(withHandlers()))
})

describe("what cannot be written or listed", () => {
  it.live("is refused without a word of where the folders are on this machine", () =>
    Effect.gen(function*() {
      const home = yield* make({ "full/a": "1", "file": "1" })
      const { message } = yield* failureOf("file_write", { path: "x".repeat(256), body: "" })
      assert.match(message, /^x+: it cannot be written: ENAMETOOLONG: name too long$/)
      const taken = yield* failureOf("file_write", { path: "file", body: "", mode: "create" })
      assert.strictEqual(taken.message, "file: it cannot be written: EEXIST: file already exists")
      for (const failure of [message, taken.message, JSON.stringify(taken)]) assert.notInclude(failure, home)
    }).pipe(withHandlers()))
})

describe("parts of files that a killed attempt has left", () => {
  const part = (id: string, claim: number) => `.taskforge-${FileName.digest(id)}-${claim}-${FileName.digest("x")}.part`

  it.live("are removed by the next attempt of the same task, and by any that comes when they are old", () =>
    Effect.gen(function*() {
      const home = yield* make({
        [part("mine", 1)]: "left",
        [part("mine", 3)]: "a later attempt's",
        [part("other", 1)]: "being written",
        [part("old", 1)]: "abandoned",
        ".mine.part": "not ours"
      })
      const before = Date.now() / 1000 - 100_000
      utimesSync(join(home, part("old", 1)), before, before)
      const write = (attempt: number) =>
        AtomicFile.write(
          join(home, "a.txt"),
          { id: "mine", claim: 2, attempt },
          (path) => Effect.promise(() => writeFile(path, "whole"))
        )
      yield* write(1)
      assert.strictEqual(readdirSync(home).length, 6)
      yield* write(2)
      assert.deepStrictEqual(
        readdirSync(home).toSorted(),
        [".mine.part", part("mine", 3), part("other", 1), "a.txt"].toSorted()
      )
    }).pipe(withHandlers()))

  it.live("are removed too where they are folders for what it needed meanwhile", () =>
    Effect.gen(function*() {
      const before = Date.now() / 1000 - 100_000
      const left = (id: string, claim: number, isOld = false) => {
        const folder = join(tmpdir(), `taskforge-${FileName.digest(id)}-${claim}-${"x".repeat(6)}`)
        mkdirSync(folder)
        writeFileSync(join(folder, "input.csv"), "a\n1\n")
        if (isOld) utimesSync(folder, before, before)
        return folder
      }
      // Other tests share the folder
      const [mine, later, others, old] = ["mine", "mine", "other", "old"].map((name, index) =>
        left(`scratch ${name} ${process.pid}`, [1, 3, 1, 1][index]!, name === "old")
      )
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => [later, others].forEach((path) => rmSync(path!, { recursive: true })))
      )
      const make = (attempt: number) => Scratch.make({ id: `scratch mine ${process.pid}`, claim: 2, attempt })
      const folder = yield* Effect.scoped(make(1))
      assert.deepStrictEqual([folder, mine, old].map((path) => existsSync(path!)), [false, true, true])
      yield* Effect.scoped(make(2))
      assert.deepStrictEqual([mine, later, others, old].map((path) => existsSync(path!)), [false, true, true, false])
    }))

  it.live("go in a cleanup once they are a day old, whatever its pattern", () =>
    Effect.gen(function*() {
      const home = yield* make({ [`x/${part("old", 1)}`]: "12345", [part("new", 1)]: "1", ".mine.part": "1" })
      const before = Date.now() / 1000 - 100_000
      utimesSync(join(home, "x", part("old", 1)), before, before)
      const found = { files: 1, bytes: 5, kept: 1, paths: [`x/${part("old", 1)}`] }
      assert.deepInclude(yield* resultOf("cleanup", { pattern: "*.log" }), found)
      assert.deepInclude(yield* resultOf("cleanup", { pattern: "*.log", dry_run: false }), found)
      assert.deepStrictEqual(readdirSync(join(home, "x")), [])
      assert.deepStrictEqual(readdirSync(home).toSorted(), [".mine.part", part("new", 1), "x"].toSorted())
    }).pipe(withHandlers()))
})

describe("cleanup", () => {
  it.live("says what it would remove, and removes that when told to", () =>
    Effect.gen(function*() {
      const home = yield* make({ "old.tmp": "12345", "logs/old.tmp": "1", "logs/old.log": "1", "new.tmp": "1" })
      const lately = Date.now() / 1000 - 100_000
      for (const path of ["old.tmp", "logs/old.tmp", "logs/old.log"]) utimesSync(join(home, path), lately, lately)
      const payload = { older_than: "1d", pattern: "*.tmp" }
      const found = { files: 2, bytes: 6, kept: 2, paths: ["logs/old.tmp", "old.tmp"] }
      assert.deepStrictEqual(yield* resultOf("cleanup", payload), { dry_run: true, ...found })
      assert.isTrue(existsSync(join(home, "old.tmp")))
      assert.deepInclude(yield* resultOf("cleanup", { ...payload, pattern: "logs/*" }), { files: 2 })
      assert.deepStrictEqual(yield* resultOf("cleanup", { ...payload, dry_run: false }), { dry_run: false, ...found })
      assert.deepStrictEqual(readdirSync(home).toSorted(), ["logs", "new.tmp"])
      assert.deepStrictEqual(readdirSync(join(home, "logs")), ["old.log"])
    }).pipe(withHandlers()))

  it.live("follows no links", () =>
    Effect.gen(function*() {
      const home = yield* make({ "victim/a.txt": "a", "folder/b.txt": "b" })
      symlinkSync(join(home, "victim"), join(home, "folder/link"))
      yield* resultOf("cleanup", { folder: "folder", older_than: "0s", dry_run: false })
      assert.isTrue(existsSync(join(home, "victim/a.txt")))
      assert.strictEqual((yield* failureOf("cleanup", { folder: "/etc", dry_run: false })).tag, "PathRefused")
    }).pipe(withHandlers()))
})

describe("sync", () => {
  it.live("makes one folder like another, and does nothing the second time", () =>
    Effect.gen(function*() {
      const home = yield* make({ "a/1.txt": "one", "a/x/2.txt": "two", "b/1.txt": "ONE", "b/3.txt": "three" })
      const payload = { from: "a", to: "b" }
      const dry = yield* resultOf("sync", { ...payload, dry_run: true, delete: true })
      assert.deepInclude(dry, { dry_run: true, copied: 2, removed: 1, unchanged: 0, bytes: 6 })
      assert.deepStrictEqual(dry["changes"], [
        { path: "1.txt", action: "copy" },
        { path: "x/2.txt", action: "copy" },
        { path: "3.txt", action: "remove" }
      ])
      assert.strictEqual(readFileSync(join(home, "b/1.txt"), "utf8"), "ONE")
      assert.deepInclude(yield* resultOf("sync", payload), { copied: 2, removed: 0 })
      assert.strictEqual(readFileSync(join(home, "b/x/2.txt"), "utf8"), "two")
      assert.isTrue(existsSync(join(home, "b/3.txt")))
      assert.deepInclude(yield* resultOf("sync", payload), { copied: 0, unchanged: 2 })
      assert.deepInclude(yield* resultOf("sync", { ...payload, delete: true }), { removed: 1 })
      assert.isFalse(existsSync(join(home, "b/3.txt")))
    }).pipe(withHandlers()))

  it.live("takes no fields that it does not know: a misspelt dry run removes nothing", () =>
    Effect.gen(function*() {
      const home = yield* make({ "a/new.txt": "new", "b/old.txt": "old" })
      const payload = { from: "a", to: "b", delete: true, dryrun: true }
      yield* isRefused("sync", payload)
      const batch = yield* resultOf("batch", {
        type: "sync",
        items: [payload]
      })
      assert.include(JSON.stringify(batch["items"]), "dryrun")
      assert.deepInclude(batch, { succeeded: 0, failed: 1 })
      assert.isTrue(existsSync(join(home, "b/old.txt")))
    }).pipe(withHandlers()))

  it.live("only says what it would do without folders, and copies no folder into itself", () =>
    Effect.gen(function*() {
      const home = yield* make({ "a/1.txt": "one" })
      assert.deepInclude(yield* resultOf("sync", {}), { dry_run: true, copied: 1 })
      assert.deepInclude(yield* resultOf("sync", { from: ".", to: "copy" }), { copied: 1 })
      assert.deepInclude(yield* resultOf("sync", { from: ".", to: "copy" }), { copied: 0, unchanged: 1 })
      assert.isFalse(existsSync(join(home, "copy/copy")))
      symlinkSync("/etc", join(home, "link"))
      for (const payload of [{ from: "a", to: "link/x" }, { from: "link", to: "b" }, { from: "a", to: "." }]) {
        assert.strictEqual((yield* failureOf("sync", payload)).tag, "PathRefused")
      }
    }).pipe(withHandlers()))
})

describe("backup", () => {
  it.live("archives a folder with a manifest, and the archive holds what it says", () =>
    Effect.gen(function*() {
      const long = `${"long/".repeat(30)}name.txt`
      const home = yield* make({ "data/a.txt": "one", [`data/${long}`]: "two", "data/big.txt": "x".repeat(1_000_000) })
      const result = yield* resultOf("backup", { source: "data", output: "b/data.tar.gz" })
      assert.deepInclude(result, {
        dry_run: false,
        kind: "folder",
        files: 3,
        bytes: 1_000_006,
        archive: "b/data.tar.gz"
      })
      const { carried, files } = yield* Archive.read(join(home, "b/data.tar.gz"))
      assert.deepStrictEqual(Object.keys(files).toSorted(), ["a.txt", "big.txt", long].toSorted())
      assert.deepStrictEqual(files["a.txt"], { size: 3, sha256: sha256("one") })
      assert.deepStrictEqual(carried.files, files)
      assert.deepStrictEqual(readdirSync(join(home, "b")), ["data.tar.gz"])
    }).pipe(withHandlers()))

  it.live("archives files whose names are a manifest's or inherited by objects", () =>
    Effect.gen(function*() {
      const files = ["Manifest.json", "manifest-2.json/a.txt", "__proto__", "constructor"]
      const home = yield* make(Object.fromEntries(files.map((path) => [`data/${path}`, path])))
      assert.deepInclude(yield* resultOf("backup", { source: "data", output: "data.tar.gz" }), { files: 4 })
      const { carried, files: found } = yield* Archive.read(join(home, "data.tar.gz"), "manifest-3.json")
      assert.deepStrictEqual(Object.keys(found).toSorted(), files.toSorted())
      for (const path of files) {
        assert.deepStrictEqual(found[path], { size: path.length, sha256: sha256(path) })
        assert.deepStrictEqual(carried.files[path], found[path])
      }
    }).pipe(withHandlers()))

  it.live("copies a SQLite file as it was at one moment, while another connection is in the middle of writing", () =>
    Effect.gen(function*() {
      const home = yield* make({})
      const database = new DatabaseSync(join(home, "shop.db"))
      database.exec("PRAGMA journal_mode = WAL; CREATE TABLE item (n); INSERT INTO item VALUES (1), (2)")
      database.exec("BEGIN; INSERT INTO item VALUES (3)")
      const result = yield* resultOf("backup", { source: "shop.db" })
      database.exec("ROLLBACK")
      database.close()
      assert.deepInclude(result, { kind: "sqlite", files: 1 })
      assert.match(String(result["archive"]), /^backups\/shop\.db-.*\.tar\.gz$/)
      const { files } = yield* Archive.read(join(home, String(result["archive"])))
      assert.deepStrictEqual(Object.keys(files), ["shop.db"])
    }).pipe(withHandlers()))

  it.live.each(["wal", "delete"])(
    "ends while another connection writes without a pause: journal mode %s",
    (mode) =>
      Effect.gen(function*() {
        const home = yield* make({})
        const writer = new DatabaseSync(join(home, "shop.db"), { timeout: 60_000 })
        yield* Effect.addFinalizer(() => Effect.sync(() => writer.close()))
        writer.exec(`PRAGMA journal_mode = ${mode}; PRAGMA synchronous = OFF; CREATE TABLE item (x)`)
        writer.exec(`WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count LIMIT 2000)
        INSERT INTO item SELECT randomblob(4000) FROM count`)
        const write = Effect.sync(() => writer.exec("INSERT INTO item VALUES (1)"))
        const writing = yield* Effect.forkScoped(Effect.repeat(write, Schedule.spaced(1)))
        yield* Effect.sleep(5)
        assert.deepInclude(yield* resultOf("backup", { source: "shop.db", output: "shop.tar.gz" }), { kind: "sqlite" })
        assert.isUndefined(writing.pollUnsafe())
        const { files } = yield* Archive.read(join(home, "shop.tar.gz"))
        assert.isAbove(files["shop.db"]!.size, 8_000_000)
      }).pipe(Effect.scoped, withHandlers())
  )

  it.live("waits for a writer that has locked the file", () =>
    Effect.gen(function*() {
      const home = yield* make({})
      const writer = new DatabaseSync(join(home, "shop.db"))
      yield* Effect.addFinalizer(() => Effect.sync(() => writer.close()))
      writer.exec("CREATE TABLE item (x); BEGIN EXCLUSIVE; INSERT INTO item VALUES (1)")
      const backup = yield* Effect.forkChild(resultOf("backup", { source: "shop.db" }))
      yield* Effect.sleep(100)
      assert.isUndefined(backup.pollUnsafe())
      writer.exec("COMMIT")
      assert.deepInclude(yield* Fiber.join(backup), { kind: "sqlite", files: 1 })
    }).pipe(Effect.scoped, withHandlers()))

  it.live("only says what it would do without a source, and takes nothing else", () =>
    Effect.gen(function*() {
      const home = yield* make({ "a.txt": "one" })
      assert.deepInclude(yield* resultOf("backup", {}), { dry_run: true, files: 1, bytes: 3, archive: null })
      assert.deepInclude(yield* resultOf("backup", { source: "." }), { dry_run: false, files: 1, bytes: 3 })
      symlinkSync("/etc", join(home, "link"))
      for (const source of ["a.txt", "link", "none", "/etc"]) {
        assert.strictEqual((yield* failureOf("backup", { source })).tag, "PathRefused", source)
      }
    }).pipe(withHandlers()))

  it.live("notices an archive that is damaged", () =>
    Effect.gen(function*() {
      const home = yield* make({ "a.txt": "one", "b.txt": "two" })
      const files = [{ path: "a.txt", size: 3, mtimeMs: 0 }, { path: "b.txt", size: 3, mtimeMs: 0 }]
      const archive = join(home, "x.tar.gz")
      const manifest = yield* Archive.write(archive, home, files)
      assert.isUndefined(Archive.difference(manifest, yield* Archive.read(archive)))
      const other = { files: { ...manifest.files, "c.txt": { size: 1, sha256: sha256("c") } } }
      assert.match(Archive.difference(other, yield* Archive.read(archive))!, /^c\.txt is not in/)
      const bytes = readFileSync(archive)
      writeFileSync(archive, bytes.subarray(0, bytes.length - 20))
      yield* Effect.flip(Archive.read(archive))
      appendFileSync(join(home, "a.txt"), " more")
      assert.strictEqual((yield* Effect.flip(Archive.write(archive, home, files)))._tag, "ArchiveFailed")
      const gone = [{ path: "gone.txt", size: 3, mtimeMs: 0 }]
      assert.match((yield* Effect.flip(Archive.write(archive, home, gone))).reason, /^ENOENT/)
      assert.match((yield* Effect.flip(Archive.read(join(home, "none.tar.gz")))).reason, /^ENOENT/)
    }).pipe(withHandlers()))
})
