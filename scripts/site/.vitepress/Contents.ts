/** What there is to read, and in which order: the table of pages in the README says it, and nothing else does. */
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const at = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

/** A page of the site. */
export interface Page {
  readonly text: string
  readonly link: string
}

/** Pages for one kind of reader. */
export interface Group {
  readonly text: string
  readonly items: Array<Page>
}

/** A program of `examples/`. */
export interface Example {
  /** The file without its extension. */
  readonly name: string
  readonly file: string
  readonly title: string
  /** The first sentence that the program says about itself. */
  readonly about: string
  readonly code: string
}

/** The groups of the README's table. */
const groups = (): ReadonlyArray<Group> => {
  const readme = readFileSync(at("README.md"), "utf8")
  const groups: Array<{ text: string; items: Array<Page> }> = []
  for (const line of readme.slice(readme.indexOf("\n## Pages")).split("\n")) {
    const [, group] = /^\| \*\*(.+)\*\* \|/.exec(line) ?? []
    if (group !== undefined) groups.push({ text: group, items: [] })
    const [, text, path] = /^\| \[(.+?)\]\(docs\/(.+?)\.md\)/.exec(line) ?? []
    if (text !== undefined) groups.at(-1)!.items.push({ text, link: `/${path!.replace(/README$/, "")}` })
  }
  if (groups.length === 0) throw new Error("The README has no table of pages: look for the heading \"Pages\"")
  return groups
}

/** The programs of `examples/` in the order in which one learns, with what they say about themselves. */
export const examples = (): ReadonlyArray<Example> =>
  readdirSync(at("examples")).filter((file) => /^\d\d-.*\.ts$/.test(file)).toSorted().map((file) => {
    const code = readFileSync(at(`examples/${file}`), "utf8")
    const comment = /^\/\*\*([^]*?)\*\//.exec(code)?.[1]?.replaceAll(/^ *\* ?/gm, "").trim() ?? ""
    const about = comment.split(/\n\n/)[0]!.replaceAll("\n", " ")
    const name = file.replace(/\.ts$/, "")
    const words = name.slice(3).replaceAll("-", " ")
    return { name, file, title: words[0]!.toUpperCase() + words.slice(1), about, code }
  })

/** The list at the side. */
export const sidebar = (): Array<Group> => [
  { text: "Begin", items: [{ text: "Install and first task", link: "/begin" }] },
  ...groups(),
  {
    text: "Examples",
    items: examples().map(({ name, title }) => ({ text: title, link: `/examples/${name}` }))
  },
  {
    text: "Work on it",
    items: [{ text: "Contributing", link: "/CONTRIBUTING" }, { text: "Changelog", link: "/CHANGELOG" }]
  }
]
