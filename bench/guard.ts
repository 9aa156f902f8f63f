/** What has become slower since a commit: it is checked out in a temporary folder, and it and the working tree do the same work in turns, by `checkouts.ts`. */
import { Console, Effect, FileSystem, Path, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"
import { styleText } from "node:util"
import { percentile } from "./statistics.ts"
import { renderTable } from "./table.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

/** What is done in turns. More tasks where they take less. */
const works = ["memory", "sqlite", "redis", "postgres"].flatMap((store) =>
  [100, 10].map((concurrency) => ({ store, concurrency, tasks: store === "memory" ? 20_000 : 5000 }))
)

/** What is compared, and how it is called. The processor's time is of this process, not of a server's. */
const figures = { processMs: "processing", processCpuMs: "processor while processing", fillMs: "enqueueing" } as const

/** A figure this much above what it was is slower, if three quarters of the rounds say slower too. */
const tolerance = 1.05

const Answers = Schema.fromJsonString(Schema.Array(Schema.Array(Schema.Record(Schema.String, Schema.Finite))))

class GuardFailed extends Schema.TaggedError<GuardFailed>()("GuardFailed", {
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

const run = Effect.fnUntraced(function*(
  command: string,
  args: ReadonlyArray<string>,
  options: ChildProcess.CommandOptions = {}
) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  return yield* spawner.string(ChildProcess.make(command, args, { cwd: root, extendEnv: true, ...options }))
})

/** A checkout of the commit with its dependencies, gone with the scope. */
const checkout = Effect.fnUntraced(function*(commit: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const place = path.join(yield* fileSystem.makeTempDirectoryScoped({ prefix: "taskforge-guard-" }), "before")
  yield* Effect.acquireRelease(
    run("git", ["worktree", "add", "--quiet", "--detach", place, commit]),
    () => Effect.ignore(run("git", ["worktree", "remove", "--force", place]))
  )
  const lock = (directory: string) => fileSystem.readFileString(path.join(directory, "package-lock.json"))
  if ((yield* lock(place)) === (yield* lock(root))) {
    yield* fileSystem.symlink(path.join(root, "node_modules"), path.join(place, "node_modules"))
  } else yield* run("npm", ["ci", "--silent"], { cwd: place })
  return place
})

/** The quartiles of now to before, of each figure, round by round. */
const ratiosOf = (rounds: typeof Answers.Type) =>
  Object.entries(figures).map(([figure, name]) => {
    const ratios = rounds.map(([before, now]) => now![figure]! / before![figure]!)
    const [low, median, high] = [0.25, 0.5, 0.75].map((share) => percentile(ratios, share)) as [number, number, number]
    return {
      name,
      low,
      median,
      high,
      isSlower: median > tolerance && low > 1,
      isFaster: median < 1 / tolerance && high < 1
    }
  })

/** The command: exits with 1 where something is slower, and names it. */
export const guard = Command.make("guard", {
  commit: Argument.String("commit").pipe(
    Argument.withDescription("What the working tree is compared with"),
    Argument.withDefault("HEAD")
  ),
  rounds: Flag.Int("rounds").pipe(Flag.withDescription("Rounds of each work, in turns"), Flag.withDefault(12))
}, ({ commit, rounds }) =>
  Effect.gen(function*() {
    const hash = (yield* run("git", ["rev-parse", "--verify", "--quiet", `${commit}^{commit}`])).trim()
    if (hash === "") return yield* new GuardFailed({ reason: `${commit} is no commit of this repository` })
    yield* Console.error(`The working tree is compared with ${hash.slice(0, 10)}`)
    const before = yield* checkout(hash)
    const rows: Array<ReadonlyArray<string>> = []
    const slower: Array<string> = []
    for (const { concurrency, store, tasks } of works) {
      const work = `${store}, concurrency ${concurrency}`
      yield* Console.error(`${work} …`)
      const output = yield* run(process.execPath, [
        "--conditions=source",
        "--expose-gc",
        fileURLToPath(new URL("./checkouts.ts", import.meta.url)),
        store,
        ...[concurrency, tasks, rounds].map(String),
        before,
        root,
        "--json"
      ])
      const answers = yield* Effect.mapError(
        Schema.decodeEffect(Answers)(output.trimEnd().split("\n").at(-1)!),
        () => new GuardFailed({ reason: `${work}: there is no result. Is the server there?` })
      )
      for (const { high, isFaster, isSlower, low, median, name } of ratiosOf(answers)) {
        if (isSlower) slower.push(`${work}: ${name} takes ${median.toFixed(2)} × what it took`)
        rows.push([
          work,
          name,
          ...[low, median, high].map((ratio) => ratio.toFixed(3)),
          isSlower ? styleText("red", "slower") : isFaster ? styleText("green", "faster") : ""
        ])
      }
    }
    yield* Console.log(`\n${renderTable(["work", "figure", "lower", "median", "upper", ""], rows)}\n`)
    if (slower.length === 0) return yield* Console.log("Nothing is slower by more than 5 %.")
    yield* Console.log(slower.join("\n"))
    process.exitCode = 1
  }).pipe(Effect.scoped)).pipe(
    Command.withDescription("Compares the time that each store takes with what it took at a commit")
  )
