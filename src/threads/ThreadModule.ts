/**
 * Where the modules of threads are. They are named by a URL, which compilers and bundlers leave as it is, although they
 * give files another ending; so the ending is found, and what is missing is an error when the threads are set up, not
 * when the first task runs.
 */
import { existsSync } from "node:fs"
import { extname } from "node:path"
import { fileURLToPath } from "node:url"

/** The endings that one module has from source, after a compiler and in bundles. */
const endings = [".ts", ".mts", ".js", ".mjs", ".cjs"]

/** Every module that a handler of this process has named, and where it was found. */
const named = new Map<string, URL | undefined>()

/**
 * Remembers a module and answers where it is: under its own name, else with another ending, else in the folder above, as
 * bundlers put what several entries share into a folder below these.
 */
export const find = (module: URL): URL => {
  const known = named.get(module.href)
  if (known !== undefined) return known
  const found = [module, new URL(`../${nameOf(module)}`, module)].flatMap(withEndings).find(exists)
  named.set(module.href, found)
  return found ?? module
}

/**
 * The URL of a module in the folder of another one, built the same way: `.ts` in the sources, `.js` in the package, `.cjs` in
 * the server's bundle.
 */
export const moduleBeside = (url: string, name: string): URL => new URL(`./${name}${extname(url)}`, url)

/** The modules that were named and are not there. */
export const missing = (): ReadonlyArray<string> =>
  [...named].filter(([, found]) => found === undefined).map(([href]) => href)

const nameOf = ({ pathname }: URL): string => pathname.slice(pathname.lastIndexOf("/") + 1)

const withEndings = (module: URL): ReadonlyArray<URL> => {
  const withoutEnding = module.href.replace(/\.[cm]?[jt]s$/, "")
  return [module, ...endings.map((ending) => new URL(withoutEnding + ending))]
}

/** What is no file cannot be looked for. */
const exists = (module: URL): boolean => module.protocol !== "file:" || existsSync(fileURLToPath(module))
