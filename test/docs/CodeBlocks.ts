/** The TypeScript blocks of the pages as modules that the compiler can check. */
import { posix } from "node:path"

/** What one or more blocks of a page are checked as. */
export interface PageModule {
  /** Where it is written, beside the modules of the other pages in the same folder. */
  readonly path: string
  /** The page that the blocks stand on. */
  readonly page: string
  /** Each line stands where it stands on the page, so an error of the compiler names the line of the page. */
  readonly text: string
}

/**
 * All blocks of a page make one module, because they continue each other: `docs/tasks.md` is `docs/tasks.ts`, which other
 * pages may import. A block that begins with the name of a file, as in `// Mandelbrot.ts`, belongs to a module of that name.
 */
export const modulesOf = (page: string, markdown: string): ReadonlyArray<PageModule> => {
  const lines = markdown.split("\n")
  const modules = new Map<string, Array<string>>()
  let module: Array<string> | undefined
  for (const [index, line] of lines.entries()) {
    if (module !== undefined) {
      if (line === "```") module = undefined
      else module[index] = line
    } else if (line === "```ts") {
      const name = /^\/\/ (\S+\.ts)$/.exec(lines[index + 1] ?? "")?.[1] ?? posix.basename(page, ".md") + ".ts"
      const path = posix.join(posix.dirname(page), name)
      module = modules.get(path) ?? Array.from(lines, () => "")
      modules.set(path, module)
    }
  }
  return Array.from(modules, ([path, code]) => ({ path, page, text: withEachImportOnce(code.join("\n")) }))
}

/** Each block shows the imports that it needs; a module has each name once. */
const withEachImportOnce = (text: string): string => {
  const known = new Set<string>()
  return text.replace(/^import \{([^}]*)\} from ("[^"]+")$/gm, (statement, names: string, from: string) => {
    const fresh = names.split(",").map((name) => name.trim()).filter((name) => !known.has(`${name} ${from}`))
    for (const name of fresh) known.add(`${name} ${from}`)
    const lineEnds = "\n".repeat(statement.split("\n").length - 1)
    return `import { ${fresh.join(", ")} } from ${from}${lineEnds}`
  })
}
