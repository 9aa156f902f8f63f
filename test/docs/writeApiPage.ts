import { writeFileSync } from "node:fs"
import { render } from "./ApiPage.ts"

writeFileSync(new URL("../../docs/api.md", import.meta.url), render())
