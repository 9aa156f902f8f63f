/** The dashboard: begins here, and is one page. */
import { render } from "preact"
import { Shell } from "./Shell.tsx"
import "./Theme.ts"

const app = document.getElementById("app")!
// What stood there while this script was on its way
app.replaceChildren()
render(<Shell />, app)
