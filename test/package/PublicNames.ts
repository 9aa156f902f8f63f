/** What the entries of the package export, and which types their signatures show, as the checker of TypeScript sees it. */
import { join, relative } from "node:path"
import { isIdentifier, type Node } from "typescript/unstable/ast"
import { API, type Project, SignatureKind, type Symbol, SymbolFlags, type Type } from "typescript/unstable/sync"

/** Something that a program names with an import from an entry. */
export interface Name {
  /** As a program writes it: `Engine.layer`. */
  readonly path: string
  readonly isValue: boolean
  readonly isFunction: boolean
  readonly isService: boolean
  readonly isInterface: boolean
  /** `undefined` for what is no type. */
  readonly typeParameters: number | undefined
  /** Those of a class that it has not from Effect, such as `layer`. */
  readonly statics: ReadonlyArray<{ readonly name: string; readonly isFunction: boolean }>
}

/** The exports of each entry, and the types that signatures show but no entry exports, each with where it is shown. */
export interface PublicNames {
  readonly entries: ReadonlyMap<string, ReadonlyArray<Name>>
  readonly unnamed: ReadonlyArray<string>
}

const types = SymbolFlags.TypeAlias | SymbolFlags.Interface | SymbolFlags.Class | SymbolFlags.Enum

/** A signature may show a type by way of a value: `typeof codec`, or the base of a class. */
const followed = types | SymbolFlags.Variable | SymbolFlags.Function

/** Reads the entries of a package that the program of a folder imports. */
export const read = (folder: string, installed: string, files: ReadonlyMap<string, string>): PublicNames => {
  const api = new API({ cwd: folder })
  try {
    const config = join(folder, "tsconfig.json")
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config)
    if (project === undefined) throw new Error(`${config} is no project`)
    return new Reader(project, installed).read(files)
  } finally {
    api.close()
  }
}

class Reader {
  private readonly project: Project
  private readonly checker: Project["checker"]
  /** Where the package is, as the checker writes paths. */
  private readonly installed: string
  private readonly named = new Set<number>()
  private readonly seen = new Set<number>()
  private readonly unnamed = new Map<string, string>()

  constructor(project: Project, installed: string) {
    this.project = project
    this.checker = project.checker
    this.installed = installed
  }

  read(files: ReadonlyMap<string, string>): PublicNames {
    const entries = new Map<string, ReadonlyArray<Name>>()
    const exported: Array<readonly [string, Symbol]> = []
    for (const [entry, path] of files) {
      const file = this.project.program.getSourceFile(join(this.installed, path))
      const module = file && this.checker.getSymbolAtLocation(file)
      if (module === undefined) throw new Error(`${path} is no module of the program`)
      const found = this.exportsOf(module, "")
      entries.set(entry, found.map(([path, symbol, isTypeOnly]) => this.describe(path, symbol, isTypeOnly)))
      for (const [name, symbol] of found) {
        this.named.add(symbol.id)
        exported.push([`${entry} ${name}`, symbol])
      }
    }
    for (const [name, symbol] of exported) this.follow(name, symbol)
    return { entries, unnamed: [...this.unnamed].map(([name, shownBy]) => `${name}, shown by ${shownBy}`).toSorted() }
  }

  private exportsOf(
    module: Symbol,
    prefix: string
  ): ReadonlyArray<readonly [path: string, symbol: Symbol, isTypeOnly: boolean]> {
    return this.checker.getExportsOfModule(module).flatMap((symbol) => {
      const target = this.resolve(symbol)
      const path = `${prefix}${symbol.name}`
      return (target.flags & SymbolFlags.ValueModule) !== 0
        ? this.exportsOf(target, `${path}.`)
        : [[path, target, this.isTypeOnly(symbol)] as const]
    })
  }

  private resolve(symbol: Symbol): Symbol {
    return (symbol.flags & SymbolFlags.Alias) === 0 ? symbol : this.checker.getAliasedSymbol(symbol)
  }

  /** Whether it is exported by `export type`, which hides the value of the same name. */
  private isTypeOnly(symbol: Symbol): boolean {
    type Specifier = {
      readonly isTypeOnly?: boolean
      readonly parent: { readonly parent: { readonly isTypeOnly?: boolean } }
    }
    return (symbol.flags & SymbolFlags.Alias) !== 0 && this.declarationsOf(symbol).some((node) => {
      const specifier = node as Node & Specifier
      return specifier.isTypeOnly === true || specifier.parent.parent.isTypeOnly === true
    })
  }

  private describe(path: string, symbol: Symbol, isTypeOnly: boolean): Name {
    const isValue = !isTypeOnly && (symbol.flags & SymbolFlags.Value) !== 0
    const type = isValue ? this.checker.getTypeOfSymbol(symbol) : undefined
    const isType = (symbol.flags & types) !== 0
    return {
      path,
      isValue,
      isFunction: this.isFunction(type),
      isService: type !== undefined && this.checker.getPropertyOfType(type, "Service") !== undefined,
      isInterface: (symbol.flags & SymbolFlags.Interface) !== 0,
      typeParameters: isType ? this.typeParametersOf(symbol) : undefined,
      statics: type === undefined || (symbol.flags & SymbolFlags.Class) === 0 ? [] : this.staticsOf(type)
    }
  }

  /** Whatever the declarations of a symbol name is shown by it, and what the declarations of that name. */
  private follow(shownBy: string, symbol: Symbol): void {
    if (this.seen.has(symbol.id)) return
    this.seen.add(symbol.id)
    const identifiers = this.declarationsOf(symbol).flatMap(identifiersOf)
    if (identifiers.length === 0) return
    for (const found of this.checker.getSymbolAtLocation(identifiers)) {
      if (found === undefined) continue
      const target = this.resolve(found)
      if ((target.flags & followed) === 0 || !this.isOurs(target)) continue
      if ((target.flags & types) !== 0 && !this.named.has(target.id)) this.unnamed.set(this.whereOf(target), shownBy)
      this.follow(shownBy, target)
    }
  }

  private isFunction(type: Type | undefined): boolean {
    return type !== undefined && this.checker.getSignaturesOfType(type, SignatureKind.Call).length > 0
  }

  private staticsOf(type: Type): Name["statics"] {
    return this.checker.getPropertiesOfType(type)
      .filter((property) => (property.flags & SymbolFlags.Prototype) === 0 && this.isOurs(property))
      .map((property) => ({ name: property.name, isFunction: this.isFunction(this.checker.getTypeOfSymbol(property)) }))
  }

  private typeParametersOf(symbol: Symbol): number {
    const lengths = this.declarationsOf(symbol).map((declaration) =>
      (declaration as { readonly typeParameters?: ReadonlyArray<Node> }).typeParameters?.length ?? 0
    )
    return Math.max(...lengths)
  }

  private declarationsOf(symbol: Symbol): ReadonlyArray<Node> {
    return symbol.declarations.flatMap((handle) => handle.resolve(this.project) ?? [])
  }

  private isOurs(symbol: Symbol): boolean {
    return symbol.declarations.some(({ path }) => path.startsWith(`${this.installed}/`))
  }

  private whereOf(symbol: Symbol): string {
    return `${symbol.name} of ${relative(this.installed, symbol.declarations[0]!.path)}`
  }
}

const identifiersOf = (node: Node): ReadonlyArray<Node> => {
  const found: Array<Node> = []
  const visit = (child: Node): void => {
    if (isIdentifier(child)) found.push(child)
    child.forEachChild(visit)
  }
  visit(node)
  return found
}
