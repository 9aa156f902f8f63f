import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as StoreOutOfReach from "../../src/server/StoreOutOfReach.ts"

const withFolder = <A, E>(test: (base: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "taskforge-")))),
    test,
    (base) => Effect.sync(() => rmSync(base, { recursive: true, force: true }))
  )

const check = (path: string, ...folders: ReadonlyArray<string>) =>
  StoreOutOfReach.check({ store: { _tag: "Sqlite", path }, folders })

describe("the store's file", () => {
  it.live("does not lie in a folder for tasks, whichever way either is written", () =>
    withFolder((base) =>
      Effect.gen(function*() {
        const at = (path: string) => join(base, path)
        for (const folder of ["files", "data", "data/deep"]) mkdirSync(at(folder), { recursive: true })
        writeFileSync(at("data/there.db"), "")
        symlinkSync(at("data"), at("link"))
        symlinkSync(at("data/there.db"), at("files/link.db"))
        symlinkSync(at("data/there.db"), at("outside.db"))
        symlinkSync(at("files/later.db"), at("dangling.db"))
        symlinkSync(at("circle.db"), at("circle.db"))
        const refused: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
          [at("data/there.db"), at("data")],
          [at("data/new.db"), at("data")],
          [at("data/new/deep.db"), at("data/")],
          [at("data/../data/there.db"), at("files"), at("data/.")],
          [at("data/there.db"), base],
          [at("data/there.db"), "/"],
          // The folder is a link, the way to the file has one, the file is one, or the link lies in the folder
          [at("data/there.db"), at("link")],
          [at("link/new.db"), at("data")],
          [at("outside.db"), at("data")],
          [at("files/link.db"), at("files")],
          [at("dangling.db"), at("files")]
        ]
        for (const [path, ...folders] of refused) {
          const error = yield* Effect.flip(check(path, ...folders))
          assert.include(error.message, `TASKFORGE_FOLDERS=${folders.join(",")}`)
          assert.include(error.message, path)
        }
        yield* check(at("data/there.db"), at("files"), at("data/deep"))
        yield* check(at("files.db"), at("files"))
        yield* check(at("circle.db"), at("files"))
        yield* check(at("data/there.db"), at("nothing/yet"))
        yield* check("data/taskforge.db", "data/files")
        yield* StoreOutOfReach.check({ store: { _tag: "Memory" }, folders: ["/"] })
      })
    ))
})
