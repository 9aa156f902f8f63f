/** Commands on a store itself: no server is asked, none is needed. */
import { Effect, Layer, type Option } from "effect"
import { Command, Flag } from "effect/cli"
import { existsSync } from "node:fs"
import type * as Settings from "../../config/Settings.ts"
import * as StoreUrl from "../../config/StoreUrl.ts"
import { quoted } from "../../domain/Quoting.ts"
import * as SelectedStore from "../../server/SelectedStore.ts"
import type { ServerServices } from "../../store/Driver.ts"
import { Failure, failureOf, failureToOpen } from "../Failure.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"

/** The flag that names the store. */
export const storeFlag = Flag.String("store").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription("The store: sqlite:PATH, postgres://… or redis://…; STORE_URL, or sqlite:data/taskforge.db"),
  Flag.optional
)

/** Makes a store ready. */
export const migrate = Command.make(
  "migrate",
  { store: storeFlag, json: Screen.jsonFlag },
  ({ json, store }) =>
    withStore(store, {
      creates: true,
      work: Effect.fnUntraced(function*(settings) {
        const url = StoreUrl.format(settings.store)
        if (json) return yield* Screen.json({ store: url, ready: true })
        const paint = yield* Screen.paint
        yield* Screen.line(`${paint.good("✓")} ${url} is ready for this version`)
      })
    })
).pipe(
  Command.withDescription(
    "Create a store, or bring it up to this version, as `serve` and `work` do when they start"
  ),
  Command.withShortDescription("Create a store, or bring it up to date"),
  Command.withExamples([
    {
      command: "taskforge migrate --store postgres://localhost/tasks",
      description: "Before a new version is rolled out"
    }
  ])
)

/** What is done with the store. */
interface Options<A, E, R> {
  /** Whether a store that is not there is made. */
  readonly creates: boolean
  readonly work: (settings: Settings.Settings) => Effect.Effect<A, E, R>
}

/** Opens the store that was given, or the one of the environment. */
export const withStore = <A, E, R>(
  given: Option.Option<string>,
  { creates, work }: Options<A, E, R>
): Effect.Effect<A, E | Failure, Exclude<R, ServerServices>> =>
  Effect.gen(function*() {
    const settings = yield* Effect.mapError(Target.settingsWith(given), (error) => failureOf(error, "The store"))
    const { store } = settings
    const url = StoreUrl.format(store)
    if (store._tag === "Memory") {
      return yield* new Failure({
        exit: "usage",
        problem: "A store in memory lives in one process, so there is nothing to work on",
        advice: "Name another one with --store, for example sqlite:data/taskforge.db."
      })
    }
    if (store._tag === "Sqlite" && !creates && !existsSync(store.path)) {
      return yield* new Failure({
        exit: "unknown",
        problem: `There is no store at ${store.path}`,
        advice: `Create it with: taskforge migrate --store ${quoted(url)}`
      })
    }
    const open = Layer.build(SelectedStore.layer(settings)).pipe(
      Effect.catchCause((cause) => Effect.fail(failureToOpen(cause, url)))
    )
    return yield* Effect.flatMap(open, (services) => Effect.provideContext(work(settings), services))
  }).pipe(Effect.scoped)
