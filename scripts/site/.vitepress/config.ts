/** The site of the documents, which `npm run site` builds. */
import { slug } from "github-slugger"
import { defineConfig } from "vitepress"
import * as Contents from "./Contents.ts"
import * as FileLinks from "./FileLinks.ts"
import * as Pages from "./Pages.ts"
import * as TableHeads from "./TableHeads.ts"

Pages.gather()

/** Any folder of any server may hold the site. */
const base = process.env["SITE_BASE"] ?? "/"

export default defineConfig({
  lang: "en",
  title: "TaskForge",
  description: "A durable task queue for TypeScript on Effect",
  base,
  head: [["link", { rel: "icon", href: `${base}icon.svg` }]],
  srcDir: Pages.folder,
  metaChunk: true,
  // The theme gives its front page no main part
  transformHtml: (html) => html.replace("<div class=\"VPHome\"", "<div role=\"main\" class=\"VPHome\""),
  markdown: {
    config: (markdown) => {
      FileLinks.apply(markdown)
      TableHeads.apply(markdown)
    },
    linkify: false,
    // A heading may end with a path such as /tasks/{id}
    attrs: { disable: true },
    // The pages link to headings by the names that they have in the repository
    anchor: { slugify: slug },
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" }
  },
  vite: {
    // The compiler options of the project say nothing about the pages
    esbuild: { tsconfigRaw: "{}" },
    // The reference of the HTTP API and of the command line are long pages
    build: { chunkSizeWarningLimit: 8000 }
  },
  themeConfig: {
    logo: "/icon.svg",
    outline: { level: [2, 3] },
    search: { provider: "local", options: { detailedView: true } },
    nav: [
      { text: "Begin", link: "/begin" },
      { text: "Writing tasks", link: "/tasks" },
      { text: "Operating", link: "/instances" },
      { text: "HTTP API", link: "/api" },
      { text: "Examples", link: `/examples/${Contents.examples()[0]!.name}` }
    ],
    sidebar: Contents.sidebar(),
    footer: { message: "MIT licensed." }
  }
})
