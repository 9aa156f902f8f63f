/** Commands on a store itself: no server is asked, none is needed. */
import { ConfigProvider, Effect, Layer, Option } from "effect"
import { Flag } from "effect/cli"
import { existsSync } from "node:fs"
import * as Settings from "../config/Settings.ts"
import * as StoreUrl from "../config/StoreUrl.ts"
import { quoted } from "../domain/ShellWord.ts"
import * as SelectedStore from "../server/SelectedStore.ts"
import type { StoreServices } from "../store/Driver.ts"
import { Failure } from "./Failure.ts"
import * as Problem from "./Problem.ts"

/** The flag that names the store. */
export const flag = Flag.String("store").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription("The store: sqlite:PATH, postgres://… or redis://…; STORE_URL, or sqlite:data/taskforge.db"),
  Flag.optional
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
): Effect.Effect<A, E | Failure, Exclude<R, StoreServices>> =>
  Effect.gen(function*() {
    const settings = yield* Effect.mapError(settingsWith(given), (error) => Problem.of(error, "The store"))
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
      Effect.catchCause((cause) => Effect.fail(Problem.ofCause(cause, url)))
    )
    return yield* Effect.flatMap(open, (services) => Effect.provideContext(work(settings), services))
  }).pipe(Effect.scoped)

/** The settings of the environment, on this store if one is given. */
export const settingsWith = Effect.fnUntraced(function*(store: Option.Option<string>) {
  const environment = yield* ConfigProvider.ConfigProvider
  const provider = Option.match(store, {
    onNone: () => environment,
    onSome: (url) => ConfigProvider.orElse(ConfigProvider.fromUnknown({ STORE_URL: url }), environment)
  })
  return yield* Effect.provideService(Settings.load, ConfigProvider.ConfigProvider, provider)
})
