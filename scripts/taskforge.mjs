/**
 * The command line of a clone: once it is built, it starts as fast as the published one. What V8 compiled is kept with the
 * bundle, which is as much time as the look at the sources takes.
 */
import { createRequire, enableCompileCache } from "node:module"
import { dirname, join } from "node:path"
import * as Bundle from "./Bundle.mjs"

const file = Bundle.file("taskforge")
if (file.startsWith(Bundle.cache)) enableCompileCache(join(dirname(file), "compiled"))
createRequire(import.meta.url)(file)
