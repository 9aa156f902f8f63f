/**
 * The server program: settings, a store, the engine with the handlers that ship with it, and the HTTP API.
 *
 * SIGINT and SIGTERM stop it in order: HTTP stops accepting, claiming stops, running tasks get their time, the rest
 * is released, settlements are flushed, the store closes. A second signal ends it at once; the leases of its tasks
 * then run out and they run again, so nothing is lost either way.
 *
 * Exit codes: 0 stopped by a signal, 78 the configuration cannot be used, 1 anything else that prevents it from
 * running, 130 or 143 a second SIGINT or SIGTERM.
 */
import * as MainProcess from "./server/MainProcess.ts"
import * as ServerProgram from "./server/ServerProgram.ts"

MainProcess.run(ServerProgram.program)
