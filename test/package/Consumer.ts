/** A program that exports all that it gets from an entry of the package, so that its own declarations have to name it. */
import type { Name } from "./PublicNames.ts"

/**
 * Two modules for each name that an import takes from the entry. The first one imports that name alone, as programs do; the
 * second one imports only what the first one has made, and exports it again.
 */
export const modulesOf = (entry: string, names: ReadonlyArray<Name>): ReadonlyArray<readonly [string, string]> =>
  [...Map.groupBy(names, ({ path }) => path.split(".")[0]!)].flatMap(([imported, members]) => {
    const module = `${entry === "." ? "main" : entry.replace("/", "-")}-${imported}`
    const uses = members.map(usesOf)
    const made = uses.flatMap(({ made }) => [...made])
    const shown = uses.flatMap(({ shown }) => shown)
    return [
      [
        `${module}.ts`,
        [
          `import { Effect } from "effect"`,
          `import { ${imported} } from "${specifierOf(entry)}"`,
          "export const none = Effect.void",
          ...made.map(([name, value]) => `export const ${name} = ${value}`),
          ...shown,
          ""
        ].join("\n")
      ],
      [
        `${module}-again.ts`,
        `import * as Made from "./${module}.ts"\n` +
        made.map(([name]) => `export const ${name} = [Made.${name}] as const\n`).join("")
      ]
    ] as const
  })

/** What a program imports an entry by. */
export const specifierOf = (entry: string): string => entry === "." ? "taskforge" : `taskforge/${entry}`

interface Uses {
  /** Values without an annotation, by their names. */
  readonly made: ReadonlyMap<string, string>
  /** Lines that export more. */
  readonly shown: ReadonlyArray<string>
}

const usesOf = (
  { isFunction, isInterface, isService, isValue, path, statics, typeParameters }: Name,
  index: number
): Uses => {
  const type = path + (typeParameters ? `<${Array.from({ length: typeParameters }, () => "any").join(", ")}>` : "")
  const made = new Map<string, string>()
  if (isFunction) made.set(`called${index}`, callOf(path))
  if (isService) {
    made.set(`service${index}`, `Effect.gen(function*() { return yield* ${path} })`)
    made.set(`members${index}`, `Effect.map(${path}, (service) => ({ ...service }))`)
  }
  for (const { isFunction, name } of statics) {
    made.set(`${name}${index}`, isFunction ? callOf(`${path}.${name}`) : `${path}.${name}`)
  }
  return {
    made,
    shown: [
      ...(isValue ? [`export const value${index} = ${path}`] : []),
      ...(typeParameters === undefined ? [] : [`export type Type${index} = ${type}`]),
      ...(isInterface ? [`export const fields${index} = (value: ${type}) => ({ ...value })`] : [])
    ]
  }
}

/** What a function gives, whatever it takes. */
const callOf = (path: string): string => `${path}(...({} as Parameters<typeof ${path}>))`
