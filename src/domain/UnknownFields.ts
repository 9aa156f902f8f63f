/**
 * A quick look for fields that a schema does not know.
 *
 * Effect's parser finds them with `onExcessProperty: "error"`, but then leaves its fast path and takes three times as
 * long. Nearly all payloads have no such fields, so they are looked at here first; only where this look is not sure does
 * the parser have to search.
 */
import { Exit, type Schema, SchemaAST } from "effect"

/** Whether a value that fits its schema surely has no unknown field. `false` means that it may have some. */
export type Look = (value: unknown) => boolean

/** Nothing in such a value can be unknown. */
const nothing: Look = () => true

/** Only the parser can tell. */
const unsure: Look = () => false

/** The look for values of this schema, by its side that the values are on (`SchemaAST.toType` or `toEncoded`). */
export const lookFor = (ast: SchemaAST.AST): Look => compile(ast, new Map())

const compile = (ast: SchemaAST.AST, known: Map<SchemaAST.AST, Look>): Look => {
  if (SchemaAST.isObjects(ast)) return ofObjects(ast, known)
  if (SchemaAST.isArrays(ast)) return ofArrays(ast, known)
  if (SchemaAST.isUnion(ast)) return ofUnion(ast, known)
  if (SchemaAST.isSuspend(ast)) return ofSuspend(ast, known)
  // With parameters, such as Option or a class, it has parts with schemas of their own
  if (SchemaAST.isDeclaration(ast)) return ast.typeParameters.length === 0 ? nothing : unsure
  return nothing
}

const ofObjects = (
  { indexSignatures, propertySignatures }: SchemaAST.Objects,
  known: Map<SchemaAST.AST, Look>
): Look => {
  if (indexSignatures.length > 0) return unsure
  // As for the type {} of TypeScript, anything goes
  if (propertySignatures.length === 0) return nothing
  const fields = new Map(propertySignatures.map(({ name, type }) => [name, compile(type, known)]))
  return (value) => {
    if (typeof value !== "object" || value === null || Object.getOwnPropertySymbols(value).length > 0) return false
    for (const name in value) {
      const look = fields.get(name)
      if (look === undefined || look !== nothing && !look((value as Record<string, unknown>)[name])) return false
    }
    return true
  }
}

const ofArrays = ({ elements, rest }: SchemaAST.Arrays, known: Map<SchemaAST.AST, Look>): Look => {
  const looks = [...elements, ...rest].map((item) => compile(item, known)).filter((look) => look !== nothing)
  if (looks.length === 0) return nothing
  const [look] = looks
  // Which schema a tuple's item has is the parser's to find out
  return elements.length > 0 || rest.length !== 1 ? unsure : (value) => Array.isArray(value) && value.every(look!)
}

/** A value that all members would take as it is, is taken as it is by whichever the parser chooses. */
const ofUnion = ({ types }: SchemaAST.Union, known: Map<SchemaAST.AST, Look>): Look => {
  const looks = types.map((member) => compile(member, known)).filter((look) => look !== nothing)
  return looks.length === 0
    ? nothing
    : (value) => typeof value !== "object" || value === null || looks.every((look) => look(value))
}

const ofSuspend = (ast: SchemaAST.Suspend, known: Map<SchemaAST.AST, Look>): Look => {
  const found = known.get(ast)
  if (found !== undefined) return found
  let inner: Look | undefined
  const look: Look = (value) => (inner ??= compile(ast.thunk(), known))(value)
  known.set(ast, look)
  return look
}

/** All that is wrong with a payload, unknown fields included; or in a large one, which can be wrong everywhere, the first. */
const strict = (value: unknown): SchemaAST.ParseOptions => ({
  onExcessProperty: "error",
  errors: partsIn(value, maxSearchedParts) < maxSearchedParts ? "all" : "first"
})

/** Values inside a value, counted so far, in which all that is wrong is looked for. */
const maxSearchedParts = 1000

/** How many values are inside a value, as far as `max`. */
const partsIn = (value: unknown, max: number): number => {
  const waiting = [value]
  let parts = 0
  while (waiting.length > 0 && parts < max) {
    const next = waiting.pop()
    parts++
    if (typeof next !== "object" || next === null) continue
    if (Array.isArray(next) && next.length > max) return max
    for (const key in next) {
      if (waiting.push((next as Record<string, unknown>)[key]) > max) return max
    }
  }
  return parts
}

/** Parses quickly, and a second time and strictly where that may find more. The side is the one that the input is on. */
export const closed = <A>(
  parse: (input: unknown, options?: SchemaAST.ParseOptions) => Exit.Exit<A, Schema.SchemaError>,
  side: SchemaAST.AST
): (input: unknown) => Exit.Exit<A, Schema.SchemaError> => {
  const hasNoUnknownField = lookFor(side)
  return (input) => {
    const exit = parse(input)
    return Exit.isSuccess(exit) && hasNoUnknownField(input) ? exit : parse(input, strict(input))
  }
}
