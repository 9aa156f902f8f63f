import { readdirSync, readFileSync } from "node:fs"
import { join, posix, sep } from "node:path"
import { parseAst } from "rolldown/parseAst"

/** The text of source files by their path below `src`, with forward slashes. */
export type SourceTree = ReadonlyMap<string, string>

/** Something that one file takes from another, whichever way it is written. */
export interface Import {
  readonly specifier: string
  /** `import("…")`: followed for direction, but nothing is loaded until it runs. */
  readonly dynamic: boolean
  /** Erased before the file runs. */
  readonly typeOnly: boolean
}

export const readSourceTree = (root: string): SourceTree =>
  new Map(
    readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => [path.split(sep).join("/"), readFileSync(join(root, path), "utf8")] as const)
      .toSorted(([left], [right]) => left.localeCompare(right))
  )

/** Every import, re-export, dynamic import and type import of a file. */
export const importsOf = (path: string, text: string): ReadonlyArray<Import> => {
  const found: Array<Import> = []
  const add = (source: unknown, dynamic: boolean, typeOnly: boolean) => {
    if (isNode(source) && typeof source["value"] === "string") {
      found.push({ specifier: source["value"], dynamic, typeOnly })
    }
  }
  for (const node of nodesOf(path, text)) {
    switch (node.type) {
      case "ImportDeclaration":
        add(node["source"], false, node["importKind"] === "type")
        break
      case "ExportAllDeclaration":
      case "ExportNamedDeclaration":
        add(node["source"], false, node["exportKind"] === "type")
        break
      case "ImportExpression":
        add(node["source"], true, false)
        break
      case "TSImportType":
        add(node["source"], false, true)
        break
    }
  }
  return found
}

/** The path below `src` that a relative import names; nothing for a package or for a path outside `src`. */
export const resolveImport = (from: string, specifier: string): string | undefined => {
  if (!specifier.startsWith(".")) return undefined
  const path = posix.join(posix.dirname(from), specifier)
  return path.startsWith("..") ? undefined : path
}

/** Lines that hold `as any` or `<any>value`. */
export const anyCastsOf = (path: string, text: string): ReadonlyArray<number> =>
  nodesOf(path, text).flatMap((node) => {
    const type = node["typeAnnotation"]
    const cast = node.type === "TSAsExpression" || node.type === "TSTypeAssertion"
    return cast && isNode(type) && type.type === "TSAnyKeyword" ? [lineAt(text, type.start)] : []
  })

export const lineCount = (text: string): number => text.replace(/\n$/, "").split("\n").length

interface Node {
  readonly type: string
  readonly start: number
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"

const nodesOf = (path: string, text: string): ReadonlyArray<Node> => {
  const nodes: Array<Node> = []
  const visit = (value: unknown) => {
    if (Array.isArray(value)) return value.forEach(visit)
    if (!isNode(value)) return
    nodes.push(value)
    Object.values(value).forEach(visit)
  }
  visit(parseAst(text, { lang: "ts" }, path))
  return nodes
}

const lineAt = (text: string, offset: number) => text.slice(0, offset).split("\n").length
