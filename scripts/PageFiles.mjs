/**
 * Builds the dashboard of the folder `dashboard`: one script, one style sheet, one picture, and the page that names them.
 * Scripts and styles are named by their content, so a browser may keep them for ever. `node scripts/PageFiles.mjs FILE`
 * writes the module of them in the place of the empty one that the sources have.
 */
import { createHash } from "node:crypto"
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"
import { rolldown } from "rolldown"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = join(root, "dashboard")

/** What the page may be in a browser that does not know the newest syntax. */
const target = "es2022"

/** The text of a module that has the files. */
export const moduleText = async () => `export const files = ${JSON.stringify((await files()).map(packed))}\n`

/** The page and what it loads, each with its content. */
const files = async () => {
  const script = named("app", "js", "text/javascript; charset=utf-8", await scriptText())
  const style = named("app", "css", "text/css; charset=utf-8", styleText())
  const picture = named("icon", "svg", "image/svg+xml", readFileSync(join(folder, "icon.svg"), "utf8"))
  const page = readFileSync(join(folder, "index.html"), "utf8")
    .replace("app.js", script.path)
    .replace("app.css", style.path)
    .replace("icon.svg", picture.path)
  return [{ path: "", contentType: "text/html; charset=utf-8", text: page }, script, style, picture]
}

const named = (name, extension, contentType, text) => {
  const hash = createHash("sha256").update(text).digest("base64url").replace(/[_-]/g, "").slice(0, 10)
  return { path: `assets/${name}-${hash}.${extension}`, contentType, text }
}

const packed = ({ contentType, path, text }) => ({
  path,
  contentType,
  gzip: gzipSync(text, { level: 9 }).toString("base64"),
  br: brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).toString("base64")
})

const scriptText = async () => {
  const build = await rolldown({
    input: join(folder, "main.tsx"),
    platform: "browser",
    transform: { target }
  })
  const { output } = await build.generate({ format: "esm", minify: true, codeSplitting: false })
  await build.close()
  if (output.length !== 1) throw new Error(`The dashboard is ${output.length} files, and should be one`)
  return output[0].code
}

/** The style sheets in the order of their names, behind that of the charts, without comments and indentation. */
const styleText = () =>
  [
    fileURLToPath(import.meta.resolve("uplot/dist/uPlot.min.css")),
    ...globSync("styles/*.css", { cwd: folder }).sort().map((name) => join(folder, name))
  ]
    .map((path) => readFileSync(path, "utf8"))
    .join("\n")
    .replace(/\/\*[^]*?\*\//g, "")
    .replace(/\s*\n\s*/g, "\n")

const [, script, destination] = process.argv
if (script === fileURLToPath(import.meta.url)) writeFileSync(destination, await moduleText())
