/**
 * Patterns for the paths of files, with a bound on the work: a match looks at each character of the pattern and of the
 * path together once at most. A pattern that becomes a regular expression has no such bound: a few characters of it can
 * keep a process busy for minutes.
 *
 * | in a pattern | stands for |
 * |---|---|
 * | `*` | any characters but a slash |
 * | `?` | one character but a slash |
 * | `[a-z]`, `[!a-z]` | one of these characters, or none of them |
 * | `{a,b}` | one of these texts |
 * | `**` between slashes | any folders, also none |
 * | `\` | the next character as it is |
 *
 * A pattern without a slash is about the name alone. Names that begin with a dot are matched like any other.
 */
import { Result } from "effect"

/** Characters of a pattern. */
export const maxLength = 500

/** Patterns that braces may stand for. */
const maxAlternatives = 64

/** What one character of a name has to be; `many` is a star. */
type Piece = "many" | "any" | {
  readonly not: boolean
  readonly ranges: ReadonlyArray<readonly [from: string, to: string]>
}

/** The pieces of one name, or `**` for any number of names. */
type Segment = "folders" | ReadonlyArray<Piece>

/** Whether a path, with slashes between its names, fits. */
export type Matches = (path: string) => boolean

/** Reads a pattern; the failure completes the sentence "not one with …". */
export const compile = (pattern: string): Result.Result<Matches, string> => {
  if (pattern.length > maxLength) return Result.fail(`more than ${maxLength} characters`)
  const alternatives = expand(pattern)
  if (alternatives === undefined) return Result.fail("an unclosed brace")
  if (alternatives.length > maxAlternatives) {
    return Result.fail(`braces that stand for more than ${maxAlternatives} patterns`)
  }
  const compiled: Array<ReadonlyArray<Segment>> = []
  for (const alternative of alternatives) {
    const segments = alternative.split("/").map(segmentOf)
    if (segments.includes(undefined)) return Result.fail("an unclosed bracket, or a backslash at the end of a name")
    compiled.push(segments as ReadonlyArray<Segment>)
  }
  const isName = !pattern.includes("/")
  return Result.succeed((path) => {
    const names = isName ? [path.slice(path.lastIndexOf("/") + 1)] : path.split("/")
    return compiled.some((segments) => fits(segments, names, isFolders, fitsName))
  })
}

const isFolders = (segment: Segment): boolean => segment === "folders"

const fitsName = (segment: Segment, name: string): boolean =>
  segment !== "folders" && fits(segment, Array.from(name), (piece) => piece === "many", fitsCharacter)

const fitsCharacter = (piece: Piece, character: string): boolean =>
  piece === "any" ||
  (piece !== "many" && piece.ranges.some(([from, to]) => from <= character && character <= to) !== piece.not)

/**
 * Whether pieces fit items one by one, where some pieces stand for any number of items. Only the last such piece is ever
 * tried again, so the work is bounded by the product of both lengths.
 */
const fits = <P, I>(
  pieces: ReadonlyArray<P>,
  items: ReadonlyArray<I>,
  isMany: (piece: P) => boolean,
  fitsOne: (piece: P, item: I) => boolean
): boolean => {
  let piece = 0
  let item = 0
  let many = -1
  let taken = 0
  while (item < items.length) {
    if (piece < pieces.length && isMany(pieces[piece]!)) {
      many = piece++
      taken = item
    } else if (piece < pieces.length && fitsOne(pieces[piece]!, items[item]!)) {
      piece++
      item++
    } else if (many >= 0) {
      piece = many + 1
      item = ++taken
    } else return false
  }
  while (piece < pieces.length && isMany(pieces[piece]!)) piece++
  return piece === pieces.length
}

/** The pieces of a name; `undefined` when it cannot be read. */
const segmentOf = (text: string): Segment | undefined => {
  if (text === "**") return "folders"
  const pieces: Array<Piece> = []
  const characters = Array.from(text)
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!
    if (character === "*") {
      if (pieces.at(-1) !== "many") pieces.push("many")
    } else if (character === "?") pieces.push("any")
    else if (character === "[") {
      const end = characters.indexOf("]", at + 2)
      if (end === -1) return undefined
      pieces.push(setOf(characters.slice(at + 1, end)))
      at = end
    } else {
      if (character === "\\") at++
      const literal = characters[at]
      if (literal === undefined) return undefined
      pieces.push({ not: false, ranges: [[literal, literal]] })
    }
  }
  return pieces
}

const setOf = (characters: ReadonlyArray<string>): Piece => {
  const not = characters[0] === "!" || characters[0] === "^"
  const ranges: Array<readonly [string, string]> = []
  for (let at = not ? 1 : 0; at < characters.length; at++) {
    const from = characters[at]!
    const isRange = characters[at + 1] === "-" && at + 2 < characters.length
    ranges.push([from, isRange ? characters[at + 2]! : from])
    if (isRange) at += 2
  }
  return { not, ranges }
}

/** The patterns that braces stand for, more than {@link maxAlternatives} only to say so; `undefined` for an open brace. */
const expand = (pattern: string): ReadonlyArray<string> | undefined => {
  const done: Array<string> = []
  const waiting = [pattern]
  for (let text = waiting.pop(); text !== undefined; text = waiting.pop()) {
    if (done.length + waiting.length > maxAlternatives) return [...done, text, ...waiting]
    const open = unescaped(text, "{", 0)
    if (open === -1) {
      done.push(text)
      continue
    }
    const parts: Array<string> = []
    let depth = 0
    let start = open + 1
    let end = -1
    for (let at = open; at < text.length && end === -1; at++) {
      const character = text[at]
      if (character === "\\") at++
      else if (character === "{") depth++
      else if (character === "," && depth === 1) {
        parts.push(text.slice(start, at))
        start = at + 1
      } else if (character === "}" && --depth === 0) end = at
    }
    if (end === -1) return undefined
    parts.push(text.slice(start, end))
    for (const part of parts) waiting.push(text.slice(0, open) + part + text.slice(end + 1))
  }
  return done
}

const unescaped = (text: string, character: string, from: number): number => {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") at++
    else if (text[at] === character) return at
  }
  return -1
}
