/**
 * Help that was written when the command was built. What a person asks first is answered in the time that Node takes to start: neither
 * Effect nor a command is loaded for it. Where there is none, as in a clone, the commands themselves say the same.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import { wrapped } from "./Wrapping.ts"

/** The name of the file next to the bundle: an object of {@link keyOf} and the page in colours, as wide as it likes. */
export const fileName = "help.json"

/** What a page is found by: the words of a command line, with short flags written out. */
export const keyOf = (args: ReadonlyArray<string>): string =>
  args.length === 0 ? "--help" : args.join(" ").replace(/(^| )-h$/, "$1--help").replace(/^-v$/, "--version")

/** What a terminal can show. */
export interface Terminal {
  readonly colours: boolean
  /** Columns; infinite where nothing has to fit. */
  readonly columns: number
}

/** A page as a terminal shows it. */
export const shown = (page: string, { colours, columns }: Terminal): string =>
  wrapped(colours ? page : stripVTControlCharacters(page), columns, (text) => stripVTControlCharacters(text).length)

/** The page that a command line asks for, `undefined` if it asks for something else or no pages were written. */
export const find = (args: ReadonlyArray<string>, folder: string): string | undefined => {
  const key = keyOf(args)
  if (!/(^| )--help$|^--version$/.test(key) || args.some((arg) => arg.includes(" "))) return undefined
  try {
    const pages = JSON.parse(readFileSync(join(folder, fileName), "utf8"))
    return Object.hasOwn(pages, key) ? pages[key] : undefined
  } catch {
    return undefined
  }
}

/** The terminal of the process, by the same rules as `TerminalCapabilities` of `effect/cli`. */
export const terminal = (): Terminal => {
  // Config is a part of Effect
  // oxlint-disable-next-line eslint/no-restricted-properties, node/no-process-env
  const { FORCE_COLOR = "", NO_COLOR = "", TERM } = process.env
  const isTerminal = process.stdout.isTTY === true
  const isForced = !["", "0", "false"].includes(FORCE_COLOR.toLowerCase())
  return {
    colours: TERM !== "dumb" && NO_COLOR === "" && (isForced || isTerminal),
    columns: isTerminal ? process.stdout.columns || 80 : Infinity
  }
}
