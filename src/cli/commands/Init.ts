/** `taskforge init`: a new project that runs and is tested. */
import { Effect, FileSystem, Option, Path, type PlatformError } from "effect"
import { Argument, Command } from "effect/cli"
import { Failure } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as NewProject from "../NewProject.ts"
import * as Screen from "../Screen.ts"

/** What a folder may have already: the history of a project that is about to begin. */
const isIgnored = (name: string): boolean => name === ".git"

/** Makes a project. */
export const command = Command.make(
  "init",
  {
    json: Input.jsonFlag,
    from: Input.textFlag(
      "package",
      "SPEC",
      "Where npm finds taskforge: a version, a folder or an archive; this version if left out"
    ),
    folder: Argument.String("folder").pipe(Argument.withDescription("A new folder, or an empty one"))
  },
  Effect.fnUntraced(function*({ folder, from, json }) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = path.resolve(folder)
    const name = nameOf(path.basename(root))
    const given = Option.getOrUndefined(from)
    const files = NewProject.files(name, given === undefined ? undefined : yield* specOf(given, root))
    yield* Effect.mapError(
      fs.makeDirectory(root, { recursive: true }),
      (error) => error.reason._tag === "AlreadyExists" ? taken(folder, "is a file") : unwritable(folder, error)
    )
    const found = yield* Effect.mapError(fs.readDirectory(root), (error) => unwritable(folder, error))
    const [other] = found.filter((entry) => !isIgnored(entry)).sort()
    if (other !== undefined) return yield* taken(folder, `is not empty: it has ${Screen.plain(other)}`)
    for (const [file, text] of files) {
      const target = path.join(root, file)
      const written = Effect.andThen(
        fs.makeDirectory(path.dirname(target), { recursive: true }),
        fs.writeFileString(target, text, { flag: "wx" })
      )
      yield* Effect.mapError(written, (error) => unwritable(target, error))
    }
    if (json) return yield* Screen.json({ folder: root, name, files: [...files.keys()] })
    const paint = yield* Screen.paint
    yield* Screen.line(`${paint.good("✓")} Made ${paint.bold(Screen.plain(folder))}, a server with one type of task:\n`)
    for (const file of files.keys()) yield* Screen.line(`  ${paint.dim(file)}`)
    const steps = [`cd ${shellWord(folder)}`, "npm install", "npm test", "npm start"]
    yield* Screen.line(`\nNext:\n\n${steps.map((step) => `  ${paint.accent(step)}`).join("\n")}\n`)
    yield* Screen.line(
      paint.dim(`Then http://localhost:${NewProject.port} shows your tasks. src/tasks.ts is the place for more.`)
    )
  })
).pipe(
  Command.withDescription("Make a project: one type of task, a server that runs it, and a test"),
  Command.withShortDescription("Make a new project"),
  Command.withExamples([{ command: "taskforge init my-app", description: "A project in the folder my-app" }])
)

/** The name of a package for a folder: npm takes small letters, digits and some marks. */
const nameOf = (folder: string): string =>
  folder.normalize("NFKD").toLowerCase().replace(/[^a-z0-9._~-]+/g, "-").replace(/^[._~-]+|-+$/g, "").slice(0, 100) ||
  "tasks"

/** A folder or an archive is named from where the command runs, and npm looks from where the project is. */
const specOf = Effect.fnUntraced(function*(spec: string, root: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (/^[\w.^~<>=*| -]+$/.test(spec) && !spec.endsWith(".tgz") || /^[a-z+]+:/i.test(spec)) return spec
  const target = path.resolve(spec)
  const isThere = yield* Effect.orElseSucceed(fs.exists(target), () => false)
  if (!isThere) {
    return yield* new Failure({
      exit: "unknown",
      problem: `--package ${Screen.plain(spec)} does not exist`,
      advice: "Give a version such as 0.1.0, or the path of a folder or of a .tgz file."
    })
  }
  return `file:${path.relative(root, target)}`
})

const taken = (folder: string, why: string): Failure =>
  new Failure({
    exit: "input",
    problem: `${Screen.plain(folder)} ${why}`,
    advice: "Choose a new folder, or an empty one: nothing is overwritten."
  })

const unwritable = (target: string, { message, reason }: PlatformError.PlatformError): Failure =>
  new Failure({
    exit: "failed",
    problem: reason._tag === "PermissionDenied"
      ? `${Screen.plain(target)} cannot be written: this user has no permission`
      : `${Screen.plain(target)} cannot be written: ${Screen.plain(message)}`,
    advice: "Choose a folder of your own, on a disk with some space."
  })

/** A word as a shell takes it. */
const shellWord = (text: string): string => /^[\w./~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
