/** What `npm start` does first. */
import * as Bundle from "./Bundle.mjs"

await Bundle.server()
