/**
 * The server program: settings, a store, the engine with the handlers that ship with it, and the HTTP API.
 *
 * SIGINT and SIGTERM stop it in order: HTTP stops accepting, claiming stops, running tasks get their time, the rest
 * is released, settlements are flushed, the store closes. Another signal, a second later or more, ends it at once; the
 * leases of its tasks then run out and they run again, so nothing is lost either way.
 *
 * Exit codes: 0 stopped by a signal, 78 the configuration cannot be used, 1 anything else that prevents it from
 * running. Ended by SIGINT or SIGTERM (130 or 143 in a shell): another signal while it stopped.
 */
import * as MainProcess from "./server/MainProcess.ts"
import * as ServerProgram from "./server/ServerProgram.ts"

MainProcess.run(ServerProgram.program)
