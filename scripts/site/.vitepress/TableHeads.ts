import type { MarkdownRenderer } from "vitepress"

/** A table without a head has empty cells there: they are no headings, or a screen reader would announce nothing with each cell. */
export const apply = (markdown: MarkdownRenderer): void => {
  markdown.core.ruler.after("inline", "table-heads", ({ tokens }) => {
    for (const [index, token] of tokens.entries()) {
      if (token.type !== "th_open" || tokens[index + 1]?.content !== "") continue
      token.tag = "td"
      tokens[index + 2]!.tag = "td"
    }
  })
}
