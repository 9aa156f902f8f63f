import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { fill } from "../backup/filled.ts"
import { taskforge } from "./CommandLine.ts"

/** A folder for one test, with a store that has something. */
const inFolder = <A, E>(
  test: (
    at: { readonly folder: string; readonly from: string; readonly to: string; readonly file: string }
  ) => Effect.Effect<A, E>
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "backup-"))),
    (folder) =>
      Effect.andThen(
        Effect.provide(fill, SqliteStore.layer({ path: join(folder, "from.db") })),
        test({
          folder,
          from: `sqlite:${join(folder, "from.db")}`,
          to: `sqlite:${join(folder, "to.db")}`,
          file: join(folder, "tasks.jsonl")
        })
      ),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

/** The lines of a file, without what tells two backups of the same apart. */
const contentOf = (text: string) => text.trimEnd().split("\n").slice(1).map((line) => line.replace(/,"sha256":.*/, ""))

describe("taskforge backup and restore", () => {
  it.live("copy a store by way of a file that only its owner may read", () =>
    inFolder(({ file, folder, from, to }) =>
      Effect.gen(function*() {
        const out = yield* taskforge(["backup", "--store", from, "--out", file, "--json"])
        assert.strictEqual(out.code, 0)
        const { content, isSnapshot, records, tasks } = JSON.parse(out.stdout)
        assert.deepStrictEqual({ isSnapshot, records, tasks }, { isSnapshot: true, records: 5, tasks: 29 })
        assert.strictEqual(statSync(file).mode & 0o777, 0o600)
        assert.deepStrictEqual(readdirSync(folder).filter((name) => name.includes("partial")), [])
        const back = yield* taskforge(["restore", file, "--store", to])
        assert.strictEqual(back.code, 0)
        assert.include(back.stdout, "29 tasks and 5 records")
        const again = yield* taskforge(["backup", "--store", to])
        assert.deepStrictEqual(contentOf(again.stdout), contentOf(readFileSync(file, "utf8")))
        assert.include(again.stderr, content.slice(0, 12))
        const refused = yield* taskforge(["restore", file, "--store", to, "--json"])
        assert.strictEqual(refused.code, 1)
        assert.strictEqual(JSON.parse(refused.stderr).error.code, "restore_not_empty")
      })
    ))

  it.live(
    "store nothing of a file that was cut or changed anywhere",
    () =>
      inFolder(({ file, from, to }) =>
        Effect.gen(function*() {
          yield* taskforge(["backup", "--store", from, "--out", file])
          const whole = readFileSync(file, "utf8")
          const lines = whole.trimEnd().split("\n")
          const broken = [
            "",
            "{}\n",
            whole.slice(0, 100),
            whole.slice(0, whole.length / 2),
            whole.slice(0, -20),
            lines.slice(0, -1).join("\n"),
            [...lines.slice(0, 7), ...lines.slice(8)].join("\n"),
            [...lines.slice(0, 7), lines[8], lines[7], ...lines.slice(9)].join("\n"),
            whole.replace("\"priority\":9", "\"priority\":8"),
            whole.replace("\"format\":1", "\"format\":2"),
            `${whole}${lines[7]}\n`,
            `${whole}${whole}`
          ]
          for (const text of broken) {
            writeFileSync(file, text)
            const { code, stderr } = yield* taskforge(["restore", file, "--store", to, "--json"])
            assert.deepStrictEqual([code, JSON.parse(stderr).error.code], [65, "invalid_backup"], text.slice(-200))
          }
          writeFileSync(file, whole)
          assert.strictEqual((yield* taskforge(["restore", file, "--store", to])).code, 0)
        })
      ),
    60_000
  )

  it.live("refuse a store that is not whole, until the backup is restored once more", () =>
    inFolder(({ from, to }) =>
      Effect.gen(function*() {
        const { stdout: whole } = yield* taskforge(["backup", "--store", from])
        const cut = yield* taskforge(["restore", "--store", to], { stdin: whole.slice(0, whole.length / 2) })
        assert.strictEqual(cut.code, 65)
        assert.match(cut.stderr, /stdin is no whole backup: Line \d+ is no JSON: the backup was cut or changed there/)
        const list = yield* taskforge(["list", "--store", to])
        assert.strictEqual(list.code, 78)
        assert.include(list.stderr, "is not whole")
        assert.strictEqual((yield* taskforge(["restore", "--store", to], { stdin: whole })).code, 0)
        assert.strictEqual((yield* taskforge(["list", "--store", to])).code, 0)
        const again = yield* taskforge(["backup", "--store", to])
        assert.deepStrictEqual(contentOf(again.stdout), contentOf(whole))
      })
    ))

  it.live("do not fill a terminal, and leave no file where none can be written", () =>
    inFolder(({ folder, from }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* taskforge(["backup", "--store", from], { terminal: true })).code, 64)
        const nowhere = yield* taskforge(["backup", "--store", from, "--out", join(folder, "no", "file")])
        assert.strictEqual(nowhere.code, 69)
        assert.include(nowhere.stderr, "cannot be written")
      })
    ))
})
