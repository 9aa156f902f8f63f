import { bundle } from "./rolldown.config.ts"

/** The command line: a bundle of its own, so that nothing that only it needs is in the server's. */
export default bundle({ taskforge: "src/cli/main.ts" }, "taskforge-")
