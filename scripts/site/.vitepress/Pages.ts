/**
 * Puts the pages of the site into one folder: those of `docs/`, the README, the programs of `examples/`, and the front page.
 * The builder finds neither its packages nor a page that is outside of its own folder.
 */
import { cpSync, globSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { examples } from "./Contents.ts"

const at = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

/** Where the pages are, in the folder of the site. */
export const folder = "pages"

/** Writes them anew. */
export const gather = (): void => {
  const pages = at(`scripts/site/${folder}`)
  rmSync(pages, { recursive: true, force: true })
  cpSync(at("docs"), pages, { recursive: true })
  cpSync(at("README.md"), `${pages}/begin.md`)
  // What the repository shows for a folder, the site does too
  for (const readme of globSync("*/README.md", { cwd: pages })) {
    renameSync(`${pages}/${readme}`, `${pages}/${readme.replace("README", "index")}`)
  }
  cpSync(at("scripts/site/index.md"), `${pages}/index.md`)
  // The front page names its pictures where no builder looks for them
  cpSync(at("docs/dashboard"), `${pages}/public/dashboard`, {
    recursive: true,
    filter: (path) => !path.endsWith(".png") || /overview-(light|dark)\.png$/.test(path)
  })
  cpSync(at("dashboard/icon.svg"), `${pages}/public/icon.svg`)
  mkdirSync(`${pages}/examples`)
  for (const { about, code, file, name, title } of examples()) {
    const how = `In a clone, \`node --conditions=source examples/${file}\` runs it.`
    writeFileSync(`${pages}/examples/${name}.md`, `# ${title}\n\n${about}\n\n${how}\n\n\`\`\`ts\n${code}\`\`\`\n`)
  }
}

/** The file of the repository that a page is made of. */
export const sourceOf = (page: string): string =>
  page === "begin.md" ? "README.md" : `docs/${page.replace(/\/index\.md$/, "/README.md")}`
