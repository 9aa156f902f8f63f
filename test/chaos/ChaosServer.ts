/** The server as it ships, with one more task type: it writes into the ledger of the chaos suite. */
import { Effect } from "effect"
import * as MainProcess from "../../src/server/MainProcess.ts"
import * as ServerProgram from "../../src/server/ServerProgram.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { append, Ledger } from "./Ledger.ts"

const file = process.env["CHAOS_LEDGER"] ?? "ledger"

const LedgerLive = Ledger.toLayer(Effect.fnUntraced(function*({ ms }) {
  const { claim, id } = yield* TaskContext
  append(file, "start", id, claim)
  yield* Effect.sleep(ms)
  append(file, "end", id, claim)
  return { claim }
}))

MainProcess.run(ServerProgram.programWith({ definitions: [Ledger], handlers: LedgerLive }))
