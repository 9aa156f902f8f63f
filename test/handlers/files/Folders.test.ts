import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Folders, PathRefused } from "../../../src/handlers/files/Folders.ts"

/** Two folders for tasks beside one that is not, with links between them. */
const withFolders = <A, E>(
  test: (
    paths: { readonly home: string; readonly other: string; readonly outside: string }
  ) => Effect.Effect<A, E, Folders>
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "taskforge-")))),
    (base) => {
      const [home, other, outside] = [join(base, "home"), join(base, "other"), join(base, "outside")]
      for (const folder of [home, other, outside]) mkdirSync(folder)
      writeFileSync(join(home, "a.txt"), "a")
      writeFileSync(join(other, "b.txt"), "b")
      writeFileSync(join(outside, "secret.txt"), "secret")
      symlinkSync(outside, join(home, "out"))
      symlinkSync(join(outside, "secret.txt"), join(home, "secret.txt"))
      symlinkSync(join(outside, "nothing"), join(home, "dangling"))
      symlinkSync(join(home, "a.txt"), join(home, "link.txt"))
      return Effect.provide(test({ home, other, outside }), Folders.layer([home, other]), { local: true })
    },
    (base) => Effect.sync(() => rmSync(base, { recursive: true, force: true }))
  )

const existing = (path: string) => Folders.use((folders) => folders.existing(path))
const target = (path: string) => Folders.use((folders) => folders.target(path))

const isRefused = <A>(effect: Effect.Effect<A, PathRefused, Folders>, reason: RegExp) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, PathRefused)
    assert.match(error.reason, reason)
  })

describe("the folders for tasks", () => {
  it.live("hold what is in them, by relative and absolute paths, also over links inside", () =>
    withFolders(({ home, other }) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* existing("a.txt"), join(home, "a.txt"))
        assert.strictEqual(yield* existing("./x/../a.txt"), join(home, "a.txt"))
        assert.strictEqual(yield* existing(join(other, "b.txt")), join(other, "b.txt"))
        assert.strictEqual(yield* existing("link.txt"), join(home, "a.txt"))
        assert.strictEqual(yield* existing("."), home)
        assert.strictEqual(yield* target("new/deep/file.txt"), join(home, "new/deep/file.txt"))
        assert.isTrue(existsSync(join(home, "new/deep")))
        yield* isRefused(existing("none.txt"), /there is no such/)
      })
    ))

  it.live("have no file below a file", () =>
    withFolders(() =>
      Effect.gen(function*() {
        yield* isRefused(target("a.txt/b.txt"), /is a file/)
        yield* isRefused(target("a.txt/b/c.txt"), /its folder/)
        yield* isRefused(target("link.txt/b.txt"), /is a file/)
      })
    ))

  it.live("are not left by any path", () =>
    withFolders(({ home, outside }) =>
      Effect.gen(function*() {
        const outsiders = [
          "../outside/secret.txt",
          "../outside/none.txt",
          join(outside, "secret.txt"),
          "/etc/passwd",
          "out/secret.txt",
          "out/none.txt",
          "secret.txt",
          "..",
          "/",
          `${home}-else`,
          `${home}/../outside`
        ]
        for (const path of outsiders) yield* isRefused(existing(path), /lies outside/)
        for (
          const path of ["../new.txt", "out/new.txt", "out/deep/new.txt", "/tmp/new.txt", join(outside, "new.txt")]
        ) {
          yield* isRefused(target(path), /lies outside/)
        }
        yield* Effect.flip(target("dangling/new.txt"))
        for (const name of ["new.txt", "deep", "nothing"]) assert.isFalse(existsSync(join(outside, name)), name)
      })
    ))
})
