/** A small disk for tests that fill one: a file system in memory, which only root may mount. */
import { Effect, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ServerMissing } from "./Program.ts"

/** A folder that is a disk of its own. */
export interface SmallDisk {
  readonly folder: string
  /** Writes a file until no byte more fits. */
  readonly fill: Effect.Effect<string>
}

/** Mounts it; it goes with the scope. */
export const mount = (mebibytes: number): Effect.Effect<SmallDisk, ServerMissing, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const folder = mkdtempSync(join(tmpdir(), "taskforge-disk-"))
        execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "none", folder], { stdio: "pipe" })
        return folder
      },
      catch: (cause) => new ServerMissing({ reason: `A tmpfs cannot be mounted; run the tests as root: ${cause}` })
    }),
    (folder) =>
      Effect.sync(() => {
        execFileSync("umount", ["-l", folder])
        rmdirSync(folder)
      })
  ).pipe(Effect.map((folder) => ({ folder, fill: Effect.sync(() => fill(join(folder, "filler"))) })))

/** Whether this user may mount one. */
export const find: Effect.Effect<typeof mount, ServerMissing, Scope.Scope> = Effect.as(
  Effect.scoped(mount(1)),
  mount
)

/** Gives the room back that a file takes. */
export const remove = (path: string): Effect.Effect<void> => Effect.sync(() => rmSync(path))

const fill = (path: string): string => {
  for (const size of [64 * 1024, 4096]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: "a" })
    } catch {
      // no more of this size
    }
  }
  return path
}
