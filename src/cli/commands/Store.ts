/** Commands on a store itself: no server is asked, none is needed. */
import { Effect, Layer, type Option } from "effect"
import { Command } from "effect/cli"
import * as SelectedStore from "../../server/SelectedStore.ts"
import type { ServerServices } from "../../store/Driver.ts"
import { type Failure, failureToOpen } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"

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
      command: "taskforge migrate --store postgres://localhost/tasks",
      description: "Before a new version is rolled out"
    }
  ])
)

/** Opens the store that was given, or the one of the environment, for work that knows its name. */
export const withStore = <A, E, R>(
  given: Option.Option<string>,
  work: (name: string) => Effect.Effect<A, E, R>,
  use: "create" | "change" | "read"
): Effect.Effect<A, E | Failure, Exclude<R, ServerServices>> =>
  Effect.scoped(Effect.gen(function*() {
    const { name, settings } = yield* Target.storeOf(given, use === "create")
    const services = yield* Layer.build(SelectedStore.layer(settings, use === "read")).pipe(
      Effect.catchCause((cause) => Effect.fail(failureToOpen(cause, name)))
    )
    return yield* Effect.provideContext(work(name), services)
  }))
