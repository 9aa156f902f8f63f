import server, { bundle } from "./rolldown.config.ts"

const { server: _, ...threads } = server.input as Record<string, string>
const config = bundle({ taskforge: "src/cli/main.ts", ...threads })

/**
 * The command line in a folder of its own, with what its threads load: nothing that only it needs is in the server's
 * bundle, and a package needs only one of both.
 */
export default { ...config, output: { ...config.output, dir: "dist/cli", sourcemap: false } }
