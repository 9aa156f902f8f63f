import { type Import, importsOf, resolveImport, type SourceTree } from "./SourceTree.ts"

/** What modules may import, besides themselves. A module is a folder, some of the folders in it, or a file at the top. */
export interface ImportTable {
  readonly modules: Readonly<Record<string, ReadonlyArray<string>>>
  /** Modules of which only types may be imported: what compilers erase. */
  readonly types?: Readonly<Record<string, ReadonlyArray<string>>>
  /** Packages by module; `default` is for the others. `node` stands for all that Node has built in. */
  readonly packages: Readonly<Record<string, ReadonlyArray<string>>>
}

/** Each import that the table does not allow, as a sentence. */
export const forbiddenImports = (tree: SourceTree, table: ImportTable): ReadonlyArray<string> =>
  [...tree].flatMap(([path, text]) => {
    const from = moduleOf(path)
    if (!(from in table.modules)) return [`${path} belongs to no module of the import table`]
    return importsOf(path, text).flatMap((found) => {
      const reason = whyForbidden(path, found, tree, table)
      return reason === undefined ? [] : [`${path} imports ${found.specifier}: ${reason}`]
    })
  })

/** The packages that are loaded as soon as `entry` is: what a user of that entry has to install. */
export const packagesReachedFrom = (entry: string, tree: SourceTree): ReadonlyArray<string> => {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const visit = (path: string) => {
    const text = tree.get(path)
    if (text === undefined || seen.has(path)) return
    seen.add(path)
    for (const { specifier } of importsOf(path, text).filter(isLoadedAtOnce)) {
      const target = resolveImport(path, specifier)
      if (target === undefined) packages.add(packageOf(specifier))
      else visit(target)
    }
  }
  visit(entry)
  return [...packages].toSorted()
}

/** The shortest way on which each file imports itself by way of others, types included: who reads one has to read all. */
export const circlesIn = (tree: SourceTree): ReadonlyArray<string> => {
  const targets = new Map(
    [...tree].map(([path, text]) => [
      path,
      importsOf(path, text).flatMap(({ specifier }) => resolveImport(path, specifier) ?? [])
    ])
  )
  const circleOf = (start: string): ReadonlyArray<string> | undefined => {
    const seen = new Set<string>()
    const ways = [[start]]
    for (const way of ways) {
      for (const target of targets.get(way.at(-1)!) ?? []) {
        if (target === start) return [...way, start]
        if (!seen.has(target)) ways.push([...way, target])
        seen.add(target)
      }
    }
    return undefined
  }
  return [...tree.keys()].flatMap((path) => circleOf(path)?.join(" → ") ?? [])
}

const whyForbidden = (path: string, { specifier, typeOnly }: Import, tree: SourceTree, table: ImportTable) => {
  const from = moduleOf(path)
  if (!specifier.startsWith(".")) {
    const allowed = table.packages[from] ?? table.packages["default"] ?? []
    return allowed.includes(packageOf(specifier)) ? undefined : `${from} may use ${list(allowed)}`
  }
  const target = resolveImport(path, specifier)
  if (target === undefined) return "it lies outside src"
  if (!tree.has(target)) return "there is no such file"
  const to = moduleOf(target)
  const allowed = [...table.modules[from] ?? [], ...(typeOnly ? table.types?.[from] ?? [] : [])]
  return to === from || allowed.includes(to) ? undefined : `${from} may import ${list(allowed)}`
}

/**
 * Drivers, what the shipped handlers stand on, and the definitions of the HTTP API are modules of their own; else the top
 * folder or file is.
 */
const moduleOf = (path: string): string => {
  const [first = "", second = "", ...rest] = path.split("/")
  const ownModule = rest.length > 0 &&
    (first === "store" || first === "handlers" || `${first}/${second}` === "http/api")
  return ownModule ? `${first}/${second}` : first
}

const packageOf = (specifier: string): string => {
  if (specifier.startsWith("node:")) return "node"
  const parts = specifier.split("/")
  return parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/")
}

const isLoadedAtOnce = ({ dynamic, typeOnly }: Import) => !dynamic && !typeOnly

const list = (names: ReadonlyArray<string>) => names.length === 0 ? "nothing else" : `only ${names.join(", ")}`
