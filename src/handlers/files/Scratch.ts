/** A folder for what an attempt needs until it ends, outside of the folders for tasks. */
import { Effect, type Scope } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as AtomicFile from "./AtomicFile.ts"

/** What killed attempts have left: their names are those of {@link make}. */
const name = /^taskforge-([\da-f]{32})-(\d+)-\w{6}$/

/** Makes it; it goes with the scope, or with the task's next attempt on this machine if this one is killed. */
export const make = (writer: AtomicFile.Writer): Effect.Effect<string, never, Scope.Scope> =>
  Effect.andThen(
    AtomicFile.sweep(tmpdir(), writer, name),
    Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), `taskforge-${AtomicFile.nameOf(writer)}-`))),
      (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
  )
