/**
 * The task types that a server accepts, whether or not this process has their handlers.
 */
import { Context, Effect, Layer } from "effect"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"

/** Definitions by task type. */
export class TaskCatalog extends Context.Service<TaskCatalog, {
  readonly find: (type: string) => AnyTaskDefinition | undefined
  /** Every definition, by type in alphabetical order. */
  readonly definitions: ReadonlyArray<AnyTaskDefinition>
  /** Their types. */
  readonly types: ReadonlyArray<string>
}>()("taskforge/http/TaskCatalog") {
  /** A catalog of these definitions. */
  static readonly layer = (definitions: ReadonlyArray<AnyTaskDefinition>): Layer.Layer<TaskCatalog> =>
    Layer.effect(
      TaskCatalog,
      Effect.suspend(() => {
        const byType = new Map(definitions.map((definition) => [definition.type, definition]))
        if (byType.size !== definitions.length) {
          const twice = definitions.find((definition) => byType.get(definition.type) !== definition)
          return Effect.die(new Error(`Task type ${JSON.stringify(twice?.type)} has two definitions in the catalog`))
        }
        const sorted = definitions.toSorted((one, other) => one.type < other.type ? -1 : 1)
        return Effect.succeed(TaskCatalog.of({
          find: (type) => byType.get(type),
          definitions: sorted,
          types: sorted.map((definition) => definition.type)
        }))
      })
    )
}
