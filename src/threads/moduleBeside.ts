import { extname } from "node:path"

/**
 * The URL of a module in the folder of another one, built the same way: `.ts` in the sources, `.js` in the package, `.cjs` in
 * the server's bundle.
 */
export const moduleBeside = (url: string, name: string): URL => new URL(`./${name}${extname(url)}`, url)
