/** Levels by module as people write them: `claimer=debug, http=warn, handlers:email=trace`. */
import { Result } from "effect"
import { type Level, type Levels, levels, maxModules } from "./LogLevels.ts"
import * as LogModule from "./LogModule.ts"
import { nearest, shortened } from "./Quoting.ts"

/** What is expected, in words. */
export const expected = "modules with levels, such as claimer=debug, http=warn, handlers:email=trace"

/** Characters of a level that a refusal shows. */
const maxShown = 40

/** Several entries with commas between them; a sentence where one is wrong, or a module is named twice. */
export const parse = (text: string): Result.Result<Levels, string> => parseEach(text.split(","))

/** The same of entries that have been told apart: a type may have commas. */
export const parseEach = (entries: ReadonlyArray<string>): Result.Result<Levels, string> => {
  const found: Record<string, Level> = Object.create(null)
  for (const entry of entries) {
    const at = entry.lastIndexOf("=")
    if (at < 0) {
      return Result.fail(`${JSON.stringify(shortened(entry.trim(), maxShown))} has no level: write module=level`)
    }
    const module = LogModule.normalized(entry.slice(0, at))
    const level = entry.slice(at + 1).trim().toLowerCase()
    const problem = LogModule.problemOf(module) ?? problemOf(level)
    if (problem !== undefined) return Result.fail(problem)
    if (Object.hasOwn(found, module)) return Result.fail(`${module} is named twice`)
    found[module] = level as Level
  }
  return Object.keys(found).length > maxModules
    ? Result.fail(`there may be ${maxModules} modules at most`)
    : Result.succeed({ ...found })
}

/** Why a text is no level, and which one was meant; nothing where it is one. */
export const problemOf = (level: string): string | undefined => {
  if (levels.some((known) => known === level)) return undefined
  const meant = nearest(level, levels)
  return `${JSON.stringify(shortened(level, maxShown))} is no level` +
    (meant === undefined ? "." : `; did you mean ${meant}?`) + ` The levels are ${levels.join(", ")}`
}

/** The text of levels. */
export const format = (levels: Levels): string =>
  Object.entries(levels).map(([module, level]) => `${module}=${level}`).join(", ")
