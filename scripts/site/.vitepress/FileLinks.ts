/**
 * Pages link to files of the repository. A link to a page or to an example leads to its page here. Any other shows the path of the
 * file, because the site does not know where its reader has the repository.
 */
import type { MarkdownRenderer } from "vitepress"
import { examples } from "./Contents.ts"
import { sourceOf } from "./Pages.ts"

/** The page of a file, seen from the root of the site; `undefined` where the site has none. */
const pageOf = (path: string): string | undefined => {
  if (path === "README.md") return "/begin.md"
  if (path === "examples" || path === "examples/") return `/examples/${examples()[0]!.name}.md`
  if (path.startsWith("docs/")) return path.slice("docs".length).replace(/\/README\.md$/, "/index.md")
  const example = examples().find(({ file }) => path === `examples/${file}`)
  return example === undefined ? undefined : `/examples/${example.name}.md`
}

/** Teaches it to the renderer of pages. */
export const apply = (markdown: MarkdownRenderer): void => {
  markdown.core.ruler.after("inline", "file-links", ({ env, tokens }) => {
    const { relativePath } = env as { readonly relativePath?: string }
    // A title that is read for itself
    if (relativePath === undefined) return
    const source = sourceOf(relativePath)
    for (const { children } of tokens) {
      /** Of the links that are open, whether each has become a path. */
      const open: Array<boolean> = []
      for (const child of children ?? []) {
        const attribute = child.type === "image" ? "src" : "href"
        const href = child.attrGet(attribute)
        if (child.type === "link_close" && open.pop() === true) {
          Object.assign(child, { type: "file_close", tag: "span" })
        }
        if (child.type === "link_open") open.push(false)
        // Addresses, and places on the same page
        if (href === null || /^[a-z]+:|^#|^\//i.test(href)) continue
        const { hash, pathname } = new URL(href, `file:///${source}`)
        const path = decodeURIComponent(pathname.slice(1))
        const page = pageOf(path)
        if (page !== undefined) child.attrSet(attribute, page + hash)
        else if (child.type === "link_open") {
          Object.assign(child, { type: "file_open", tag: "span", attrs: [["class", "file"], ["title", path]] })
          open[open.length - 1] = true
        }
      }
    }
  })
}
