/** The command line of a clone: it starts as fast as the published one, once it is built. */
import { createRequire } from "node:module"
import * as Bundle from "./Bundle.mjs"

createRequire(import.meta.url)(await Bundle.commandLine())
