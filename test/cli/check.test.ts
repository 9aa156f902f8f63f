import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { storedTypeOf } from "../../src/domain/StoredType.ts"
import * as StepRecords from "../../src/flow/StepRecords.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import { taskforge } from "./CommandLine.ts"

const definitions = fileURLToPath(new URL("./Definitions.ts", import.meta.url))

/** A folder for one test, and the store in it. */
const inFolder = <A, E, R>(test: (folder: string, store: string) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "check-"))),
    (folder) => test(folder, `sqlite:${join(folder, "tasks.db")}`),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

const filling = <A, E>(folder: string, fill: Effect.Effect<A, E, TaskStore | RecordStore>) =>
  Effect.provide(fill, SqliteStore.layer({ path: join(folder, "tasks.db") }))

const check = (store: string, ...args: ReadonlyArray<string>) => taskforge(["check", "--store", store, ...args])

describe("taskforge check", () => {
  it.live("counts what cannot be read by type, version and reason, and changes nothing", () =>
    inFolder((folder, store) =>
      Effect.gen(function*() {
        yield* filling(
          folder,
          Effect.gen(function*() {
            const second = storedTypeOf("work", 2)
            yield* OtherProcess.enqueue("a", { payload: `{"width":1}` })
            yield* OtherProcess.enqueue("b", { payload: `{"width":"secret"}` })
            yield* OtherProcess.enqueue("c", { payload: `{"width":"other"}`, delayMs: 60_000 })
            yield* OtherProcess.enqueue("d", { payload: `{"width":1,"height":2}`, type: second })
            yield* OtherProcess.enqueue("e", { payload: `{"width":1}`, type: second })
            yield* OtherProcess.enqueue("f", { payload: "{", type: storedTypeOf("work", 3) })
            yield* OtherProcess.enqueue("g", { type: "stranger" })
            yield* OtherProcess.enqueue("h", { payload: "[]" })
            yield* TaskStore.use((tasks) => tasks.cancel(["h"]))
            yield* RecordStore.use((records) =>
              records.put([
                { kind: StepRecords.kind, id: "a", expects: 0, document: "{}" },
                { kind: StepRecords.kind, id: "h", expects: 0, document: "{}" },
                { kind: "schedule", id: "nightly", expects: 0, document: "{}" },
                { kind: "signal", id: "approval.secret", expects: 0, document: "{}" }
              ])
            )
          })
        )
        const before = readFileSync(join(folder, "tasks.db"))
        const { code, stdout } = yield* check(store, "--json", definitions)
        assert.strictEqual(code, 1)
        assert.notInclude(stdout, "secret")
        const report = JSON.parse(stdout)
        assert.deepInclude(report, { ok: false, checked: { task: 7, schedule: 1, step: 1, signal: 1 } })
        const found = report.faults.map(({ count, ids, kind, version }: any) => [kind, version, count, ids].join(" "))
        assert.sameMembers(found, [
          "task 1 2 c,b",
          "task 2 1 e",
          "task 3 1 f",
          "step  1 a",
          "schedule  1 nightly",
          "signal  1 approval"
        ])
        assert.deepStrictEqual(report.unknown.map(({ ids, type }: any) => [type, ids]), [["stranger", ["g"]]])
        assert.isTrue(before.equals(readFileSync(join(folder, "tasks.db"))))
        const shown = yield* check(store, definitions)
        assert.include(shown.stdout, "Cannot be read:")
        assert.include(shown.stdout, "Of types that no module has:")
        assert.include(shown.stderr, "7 stored items cannot be read")
      })
    ))

  it.live("exits 0 where all can be read, and 1 for types that no module has only if that is asked for", () =>
    inFolder((folder, store) =>
      Effect.gen(function*() {
        yield* filling(
          folder,
          Effect.andThen(
            OtherProcess.enqueue("a", { payload: `{"width":1}` }),
            OtherProcess.enqueue("b", { type: "stranger" })
          )
        )
        assert.strictEqual((yield* check(store, definitions)).code, 0)
        assert.strictEqual((yield* check(store, "--strict", definitions)).code, 1)
      })
    ))

  it.live("creates no store, and changes none of an earlier layout", () =>
    inFolder((folder, store) =>
      Effect.gen(function*() {
        const missing = yield* check(store, definitions)
        assert.strictEqual(missing.code, 66)
        assert.include(missing.stderr, "taskforge migrate")
        assert.isFalse(existsSync(join(folder, "tasks.db")))
        yield* filling(folder, Effect.void)
        const database = new DatabaseSync(join(folder, "tasks.db"))
        database.exec("PRAGMA user_version = 3")
        database.close()
        const earlier = yield* check(store, definitions)
        assert.notStrictEqual(earlier.code, 0)
        assert.include(earlier.stderr, "has layout 3")
        const again = new DatabaseSync(join(folder, "tasks.db"))
        assert.deepInclude(again.prepare("PRAGMA user_version").get()!, { user_version: 3 })
        again.close()
      })
    ))

  it.live("names a module that is not there, throws, or has no task type", () =>
    inFolder((folder, store) =>
      Effect.gen(function*() {
        yield* filling(folder, Effect.void)
        const module = (name: string, text: string) => {
          writeFileSync(join(folder, name), text)
          return join(folder, name)
        }
        const missing = yield* check(store, join(folder, "missing.ts"))
        assert.deepInclude(missing, { code: 66 })
        const throwing = yield* check(store, module("throwing.mjs", "throw new Error('no database')"))
        assert.strictEqual(throwing.code, 65)
        assert.include(throwing.stderr, "no database")
        const empty = yield* check(store, module("empty.mjs", "export const a = { type: 'work' }"))
        assert.strictEqual(empty.code, 65)
        assert.include(empty.stderr, "exports no task type")
      })
    ))
})
