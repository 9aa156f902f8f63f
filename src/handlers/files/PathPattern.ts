/**
 * Patterns for the paths of files, with a bound on the work: `Glob` of Effect follows all that a pattern may stand for at
 * once. A pattern that becomes a regular expression has no such bound: a few characters of it can keep a process busy for
 * minutes.
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
import { Glob, Result } from "effect"

/** Characters of a pattern. */
export const maxLength = 500

/** Patterns that braces may stand for. */
const maxAlternatives = 64

/** Names between slashes in all of these patterns: each may have to be compared with each name of a path. */
const maxNames = 512

/** Whether a path, with slashes between its names, fits. */
export type Matches = (path: string) => boolean

/** Reads a pattern; the failure completes the sentence "not one with …". */
export const compile = (pattern: string): Result.Result<Matches, string> => {
  const problem = problemIn(pattern)
  if (problem !== undefined) return Result.fail(problem)
  const glob = Glob.make(pattern, { dot: true })
  return Result.succeed(
    pattern.includes("/")
      ? (path) => Glob.match(glob, path)
      : (path) => Glob.match(glob, path.slice(path.lastIndexOf("/") + 1))
  )
}

/** Why a pattern is refused: `Glob` would take it to the letter, which is hardly meant, or at too great a cost. */
const problemIn = (pattern: string): string | undefined => {
  if (pattern.length > maxLength) return `more than ${maxLength} characters`
  /** For each open brace, and for the whole: texts before the last comma, and what the text behind it stands for. */
  const levels = [{ before: 0, last: 1 }]
  for (let at = 0; at < pattern.length; at++) {
    const level = levels.at(-1)!
    const isInBraces = levels.length > 1
    const character = pattern[at]
    if (character === "\\") {
      if (pattern[++at] === undefined || pattern[at] === "/") return "a backslash at the end of a name"
    } else if (character === "[") {
      // A bracket at once behind the first one, or behind its "!", is one of the characters
      const name = pattern.slice(at).split("/", 1)[0]!
      const end = name.indexOf("]", /^\[[!^]/.test(name) ? 3 : 2)
      if (end === -1) return "an unclosed bracket"
      at += end
    } else if (character === "{") levels.push({ before: 0, last: 1 })
    else if (character === "," && isInBraces) {
      level.before += level.last
      level.last = 1
    } else if (character === "}" && isInBraces) {
      levels.pop()
      levels.at(-1)!.last *= level.before + level.last
    }
  }
  if (levels.length > 1) return "an unclosed brace"
  const alternatives = levels[0]!.last
  return alternatives > maxAlternatives
    ? `braces that stand for more than ${maxAlternatives} patterns`
    : alternatives * pattern.split("/").length > maxNames
    ? `braces and slashes that stand for more than ${maxNames} names`
    : undefined
}
