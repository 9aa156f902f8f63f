/** Everything in a store as one stream of lines, and back into an empty store. */
import { Effect, Option, Stream } from "effect"
import { Argument, Command } from "effect/cli"
import { randomUUID } from "node:crypto"
import { type FileHandle, open, rename, rm } from "node:fs/promises"
import * as Backup from "../../backup/Backup.ts"
import { BackupInvalid, Reader } from "../../backup/Check.ts"
import { MarkChanged } from "../../backup/Mark.ts"
import * as Restore from "../../backup/Restore.ts"
import { TaskRefused } from "../../backup/RestoredTasks.ts"
import { unsupported } from "../../store/Archive.ts"
import { TaskStore } from "../../store/TaskStore.ts"
import { exitCodes, Failure, failureOf, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Progress from "../Progress.ts"
import * as Screen from "../Screen.ts"
import * as Words from "../Words.ts"
import { storeFlag, withStore } from "./Store.ts"

/** The part of the driver that backups are made with. */
const archiveOf = (name: string) =>
  Effect.flatMap(TaskStore, ({ archive }) =>
    archive === undefined
      ? Effect.fail(new Failure({ exit: "failed", problem: `${name}: ${unsupported}` }))
      : Effect.succeed(archive))

/** Writes a backup. */
export const backup = Command.make(
  "backup",
  {
    store: storeFlag,
    out: Input.textFlag("out", "FILE", "The file to write, which appears once it is whole; stdout unless given"),
    json: Input.jsonFlag
  },
  ({ json, out, store }) =>
    Effect.gen(function*() {
      const screen = yield* Screen.Screen
      if (Option.isNone(out) && screen.isTerminal) {
        return yield* usage(
          "A backup has payloads and the hashes of keys, which a terminal is no place for",
          "Name a file with --out, or write stdout to one: taskforge backup > tasks.jsonl"
        )
      }
      const trailer = yield* withStore(
        store,
        (name) =>
          Effect.scoped(Effect.gen(function*() {
            const archive = yield* archiveOf(name)
            const progress = yield* Progress.make("Backing up")
            const target = Option.isNone(out)
              ? yield* onStdout(screen)
              : yield* fileAt(out.value)
            const trailer = yield* Backup.run(
              archive,
              { id: randomUUID(), store: name },
              (text, done) => Effect.andThen(target.write(text), progress.update(done))
            ).pipe(
              Effect.mapError((error) => failureOf(error, name))
            )
            yield* target.done
            yield* progress.clear
            return { ...trailer, store: name, isSnapshot: archive.snapshot !== undefined }
          })),
        "read"
      )
      const { claim: _, kind: __, ...told } = trailer
      const text = json
        ? JSON.stringify(told)
        : `${trailer.store}: ${Words.counted(trailer.tasks, "task")} and ${Words.counted(trailer.records, "record")}` +
          `${trailer.isSnapshot ? " as of one moment" : ""}, digest ${trailer.content.slice(0, 12)}`
      yield* Option.isSome(out) ? Screen.line(text) : Screen.lineError(text)
    })
).pipe(
  Command.withDescription(
    "Write everything in a store as lines of JSON: tasks with their history, schedules, API keys, limits and the rest. " +
      "Instances may go on. Of SQLite and PostgreSQL it is one moment, of Redis each task is as it was when it was read"
  ),
  Command.withShortDescription("Write everything in a store to a file"),
  Command.withExamples([
    { command: "taskforge backup --store sqlite:data/taskforge.db --out tasks.jsonl", description: "To a file" },
    { command: "taskforge backup | gzip > tasks.jsonl.gz", description: "Through a pipe" }
  ])
)

/** Restores one. */
export const restore = Command.make(
  "restore",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription(
        "The file; it is read twice, so that nothing is stored of one that is not whole. - is stdin"
      ),
      Argument.withDefault("-")
    ),
    store: storeFlag,
    json: Input.jsonFlag
  },
  ({ file, json, store }) =>
    Effect.gen(function*() {
      const lines = Stream.map(Input.lines(file), ({ text }) => text)
      if (file !== "-") yield* Effect.mapError(check(lines), (error) => problem(error, file, file))
      const restored = yield* withStore(
        store,
        (name) =>
          Effect.gen(function*() {
            const archive = yield* archiveOf(name)
            const progress = yield* Progress.make("Restoring")
            const { header, trailer } = yield* Restore.run(archive, lines, progress.update).pipe(
              Effect.mapError((error) => problem(error, name, file === "-" ? "stdin" : file))
            )
            yield* progress.clear
            return { store: name, of: header.store, takenAt: header.takenAt, ...trailer }
          }),
        "restore"
      )
      const { claim: _, kind: __, ...told } = restored
      if (json) return yield* Screen.json(told)
      const paint = yield* Screen.paint
      yield* Screen.line(
        `${paint.good("✓")} ${restored.store} has the ${Words.counted(restored.tasks, "task")} and ${
          Words.counted(restored.records, "record")
        } of ${Screen.plain(restored.of)}, digest ${restored.content.slice(0, 12)}`
      )
    })
).pipe(
  Command.withDescription(
    "Put a backup into an empty store, of any kind. What ran when it was made waits, and late reports of that attempt are refused. " +
      "Until all of it is there, servers refuse the store; a restore that was ended is done once more"
  ),
  Command.withShortDescription("Put a backup into an empty store"),
  Command.withExamples([
    { command: "taskforge restore tasks.jsonl --store postgres://app@localhost/tasks", description: "From a file" },
    { command: "gunzip < tasks.jsonl.gz | taskforge restore", description: "Through a pipe" }
  ])
)

/** Reads all lines, and stores nothing. */
const check = <E, R>(lines: Stream.Stream<string, E, R>) =>
  Effect.suspend(() => {
    const reader = new Reader()
    return Effect.andThen(
      Stream.runForEach(lines, (text) => reader.read(text)),
      Effect.suspend(() => reader.end)
    )
  })

/** What went wrong, and what to do about it. */
const problem = (error: unknown, store: string, file: string): Failure => {
  if (error instanceof BackupInvalid) {
    return new Failure({
      exit: "input",
      code: "invalid_backup",
      problem: `${file} is no whole backup: ${error.message}`,
      advice: "Take another one with: taskforge backup"
    })
  }
  if (error instanceof Restore.RestoreRefused) {
    return new Failure({
      exit: "failed",
      code: `restore_${error.why.replaceAll("-", "_")}`,
      problem: `${store} ${error.reason}`,
      advice: error.why === "under-way"
        ? "Wait for it to end, or for half a minute if it was ended."
        : "Name an empty store: another file, database or TASKFORGE_NAMESPACE."
    })
  }
  if (error instanceof MarkChanged) {
    return new Failure({ exit: "failed", problem: `${store} is worked on by another command`, advice: "Try again." })
  }
  if (error instanceof TaskRefused) {
    return new Failure({ exit: "input", code: "task_refused", problem: error.message })
  }
  return failureOf(error, store)
}

/** Stdout. A file that is cut because its disk is full, or its reader has gone, must not look like a success. */
const onStdout = (screen: Screen.Screen["Service"]) => {
  const end = (error: Error) => {
    process.stderr.write(`✗ stdout cannot be written: ${error.message}\n  What was written is no whole backup.\n`)
    process.exit(exitCodes.unavailable)
  }
  return Effect.as(
    Effect.acquireRelease(
      Effect.sync(() => process.stdout.prependListener("error", end)),
      () => Effect.sync(() => process.stdout.off("error", end))
    ),
    { write: screen.write, done: Effect.void }
  )
}

/** A file that gets its name once it is whole and on disk, and is gone if it is never. Only its owner may read it. */
const fileAt = (path: string) =>
  Effect.gen(function*() {
    const partial = `${path}.${process.pid}.partial`
    const attempt = <A>(work: () => Promise<A>) =>
      Effect.tryPromise({ try: work, catch: (cause) => cannotWrite(path, cause) })
    let isWhole = false
    const file: FileHandle = yield* Effect.acquireRelease(
      attempt(() => open(partial, "wx", 0o600)),
      (file) =>
        attempt(() => file.close()).pipe(
          Effect.andThen(Effect.suspend(() => isWhole ? Effect.void : attempt(() => rm(partial, { force: true })))),
          Effect.ignore
        )
    )
    return {
      write: (text: string) => attempt(() => file.writeFile(text)),
      done: attempt(() => file.sync()).pipe(
        Effect.andThen(attempt(() => rename(partial, path))),
        Effect.andThen(Effect.sync(() => {
          isWhole = true
        }))
      )
    }
  })

const cannotWrite = (path: string, cause: unknown): Failure => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  return new Failure({
    exit: "unavailable",
    code: "unwritable",
    problem: code === "ENOSPC"
      ? `${path} cannot be written: its disk is full`
      : `${path} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
    advice: "Nothing is left of it. Name another file with --out."
  })
}
