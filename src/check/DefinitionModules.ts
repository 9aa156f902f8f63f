/** The task types that modules of an application export: alone, or in an array or an object. */
import { Effect, Schema } from "effect"
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import * as Thrown from "../domain/Thrown.ts"

/** Task types by their names. */
export type Definitions = ReadonlyMap<string, AnyTaskDefinition>

/** Why the task types of a module cannot be had. */
export class ModuleUnfit extends Schema.TaggedError<ModuleUnfit>()("ModuleUnfit", {
  isMissing: Schema.Boolean,
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}

const input = (problem: string, advice: string) => new ModuleUnfit({ isMissing: false, problem, advice })

/** Runs modules and collects the task types that they export, each name once. */
export const load = Effect.fnUntraced(function*(
  paths: ReadonlyArray<string>
): Effect.fn.Return<Definitions, ModuleUnfit> {
  const definitions = new Map<string, AnyTaskDefinition>()
  for (const path of paths) {
    const found = definitionsIn(yield* loaded(path))
    if (found.length === 0) {
      return yield* input(
        `${path} exports no task type`,
        "Export what Task.make gives, alone or in an array or an object."
      )
    }
    for (const definition of found) {
      const { type } = definition
      const before = definitions.get(type)
      if (before !== undefined && before.codec !== definition.codec) {
        return yield* input(
          `${path} exports another task type ${JSON.stringify(type)} than before`,
          "Name one of them only."
        )
      }
      definitions.set(type, definition)
    }
  }
  return definitions
})

const loaded = (path: string): Effect.Effect<object, ModuleUnfit> =>
  Effect.suspend(() => {
    const file = resolve(path)
    if (!existsSync(file)) {
      return Effect.fail(
        new ModuleUnfit({ isMissing: true, problem: `There is no file ${file}`, advice: "Name a module by its path." })
      )
    }
    return Effect.tryPromise({
      try: () => import(pathToFileURL(file).href) as Promise<object>,
      catch: (cause) =>
        input(
          `${path} cannot be loaded: ${Thrown.show(cause).message}`,
          "It is run as Node runs it, which strips types: mend what it throws, and build it first if it has enums or decorators."
        )
    })
  })

/** How deep exports are looked into: a module, and arrays and objects in it. */
const maxDepth = 2

const definitionsIn = (value: unknown, depth = 0): ReadonlyArray<AnyTaskDefinition> => {
  if (typeof value !== "object" || value === null) return []
  if (isDefinition(value)) return [value]
  return depth === maxDepth ? [] : Object.values(value).flatMap((one) => definitionsIn(one, depth + 1))
}

/** The module may have another copy of this library, so its class says nothing. */
const isDefinition = (value: object): value is AnyTaskDefinition => {
  const { codec, type, version } = value as Partial<AnyTaskDefinition>
  return typeof type === "string" && typeof version === "number" && typeof codec?.decodePayload === "function"
}
