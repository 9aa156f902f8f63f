import { Effect } from "effect"
import { Command } from "effect/cli"
import * as StoreUrl from "../../config/StoreUrl.ts"
import * as Json from "../Json.ts"
import * as OpenStore from "../OpenStore.ts"
import * as Paint from "../Paint.ts"
import * as Screen from "../Screen.ts"

/** Makes a store ready. */
export const command = Command.make(
  "migrate",
  { store: OpenStore.flag, json: Json.flag },
  ({ json, store }) =>
    OpenStore.withStore(store, {
      creates: true,
      work: Effect.fnUntraced(function*(settings) {
        const url = StoreUrl.format(settings.store)
        if (json) return yield* Screen.json({ store: url, ready: true })
        const paint = Paint.make(yield* Screen.Screen)
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
