/** The dashboard: begins here, and is one page. */
import { render } from "preact"
import { Shell } from "./Shell.tsx"
import "./Theme.ts"

render(<Shell />, document.getElementById("app")!)
