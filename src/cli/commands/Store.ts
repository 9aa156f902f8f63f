/** Commands on a store itself: no server is asked, none is needed. */
import { Clock, Effect, Layer, type Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as DefinitionModules from "../../check/DefinitionModules.ts"
import * as StoreCheck from "../../check/StoreCheck.ts"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import * as SelectedStore from "../../server/SelectedStore.ts"
import type { ServerServices } from "../../store/Driver.ts"
import { Failure, failureOf, failureToOpen } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

/** The flag that names the store. */
export const storeFlag = Input.textFlag(
  "store",
  "URL",
  "The store: sqlite:PATH, postgres://… or redis://…; STORE_URL, or sqlite:data/taskforge.db"
)

/** Makes a store ready. */
export const migrate = Command.make(
  "migrate",
  { store: storeFlag, json: Input.jsonFlag },
  ({ json, store }) =>
    withStore(
      store,
      Effect.fnUntraced(function*(name) {
        if (json) return yield* Screen.json({ store: name, ready: true })
        const paint = yield* Screen.paint
        yield* Screen.line(`${paint.good("✓")} ${name} is ready for this version`)
      }),
      "create"
    )
).pipe(
  Command.withDescription(
    "Create a store, or bring it up to this version, as `serve` and `work` do when they start"
  ),
  Command.withShortDescription("Create a store, or bring it up to date"),
  Command.withExamples([
    {
      command: "taskforge migrate --store postgres://app@localhost/tasks",
      description: "Before a new version is rolled out"
    }
  ])
)

/**
 * Opens the store that was given, or the one of the environment, for work that knows its name. To `restore` is to create, and has room
 * for however much there is.
 */
export const withStore = <A, E, R>(
  given: Option.Option<string>,
  work: (name: string) => Effect.Effect<A, E, R>,
  use: "create" | "change" | "read" | "restore"
): Effect.Effect<A, E | Failure, Exclude<R, ServerServices>> =>
  Effect.scoped(Effect.gen(function*() {
    const { name, settings } = yield* Target.storeOf(given, use === "create" || use === "restore")
    const choice = use === "restore"
      ? { ...settings, queueSize: Number.MAX_SAFE_INTEGER, queueMaxSize: undefined }
      : settings
    const services = yield* Layer.build(SelectedStore.layer(choice, { readOnly: use === "read", mayBeMarked: true }))
      .pipe(
        Effect.catchCause((cause) => Effect.fail(failureToOpen(cause, name)))
      )
    return yield* Effect.provideContext(work(name), services)
  }))

const checkFlags = {
  modules: Argument.String("module").pipe(
    Argument.withDescription("A file that exports task types, of JavaScript or TypeScript; it is run"),
    Argument.variadic({ min: 1 })
  ),
  store: storeFlag,
  strict: Input.toggleFlag("strict", "Types that no module has are faults too"),
  json: Input.jsonFlag
}

const columns = [
  { head: "WHAT" },
  { head: "TYPE", shrinksTo: 12 },
  { head: "VERSION" },
  { head: "COUNT", align: "right" },
  { head: "REASON", shrinksTo: 20 },
  { head: "FOR EXAMPLE", shrinksTo: 12 }
] as const

const rowOf = ({ count, ids, kind, reason, type, version }: StoreCheck.Fault): ReadonlyArray<string> => [
  kind,
  type === null ? "" : Screen.plain(type),
  version === null ? "" : String(version),
  Words.count(count),
  Screen.plain(reason),
  ids.map(Screen.plain).join(" ")
]

/** Reads a store with the task types of modules. */
export const check = Command.make(
  "check",
  checkFlags,
  ({ json, modules, store, strict }) =>
    Effect.gen(function*() {
      const definitions = yield* Effect.mapError(
        DefinitionModules.load(modules),
        ({ advice, isMissing, problem }) => new Failure({ exit: isMissing ? "unknown" : "input", problem, advice })
      )
      const clock = yield* Clock.Clock
      const begin = MonotonicClock.exactMillis(clock)
      const [name, report] = yield* withStore(
        store,
        (name) =>
          Effect.mapBoth(StoreCheck.run(definitions), {
            onFailure: (error) => failureOf(error, name),
            onSuccess: (report) => [name, report] as const
          }),
        "read"
      )
      const ms = Math.round(MonotonicClock.exactMillis(clock) - begin)
      const faults = strict ? [...report.faults, ...report.unknown] : report.faults
      const count = faults.reduce((sum, fault) => sum + fault.count, 0)
      if (json) yield* Screen.json({ store: name, ...report, ok: count === 0, ms })
      else yield* show(name, report, ms)
      if (count === 0) return
      return yield* new Failure({
        exit: "failed",
        code: "unreadable",
        problem: `${Words.counted(count, "stored item")} cannot be read by ${modules.join(" ")}`,
        advice: "Give the type the versions of its payload that are stored, and run this again before the deploy."
      })
    })
).pipe(
  Command.withDescription(
    "Decode what a store keeps for later with the task types that modules export: payloads of unfinished tasks and of " +
      "schedules, and the records of steps and signals. Nothing is changed. Exits 1 if something cannot be read"
  ),
  Command.withShortDescription("Check that code can read what is stored"),
  Command.withExamples([
    {
      command: "taskforge check --store postgres://app@localhost/tasks ./tasks.ts",
      description: "Before the new version of tasks.ts is rolled out"
    }
  ])
)

const show = Effect.fnUntraced(function*(name: string, { checked, faults, unknown }: StoreCheck.Report, ms: number) {
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  const { schedule, signal, step, task } = checked
  const mark = faults.length === 0 ? paint.good("✓") : paint.bad("✗")
  yield* Screen.line(
    `${mark} ${name}: ${Words.counted(task, "unfinished task")}, ${Words.counted(schedule, "schedule")}, steps of ${
      Words.counted(step, "task")
    } and ${Words.counted(signal, "signal")} read in ${Words.precise(ms)}`
  )
  const width = yield* screen.columns
  for (const [title, found] of [["Cannot be read:", faults], ["Of types that no module has:", unknown]] as const) {
    if (found.length === 0) continue
    yield* Screen.line()
    yield* Screen.line(title)
    for (const row of Table.format(columns, found.map(rowOf), width, paint.dim)) yield* Screen.line(row)
  }
})
