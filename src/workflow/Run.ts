/** How one run of the body of a workflow ended. */
import { Cause, Exit } from "effect"
import type { Workflow, WorkflowEngine } from "effect/workflow"
import type * as ExecutionRecords from "../flow/ExecutionRecords.ts"
import * as ExitJson from "./ExitJson.ts"

/** With an exit, or it waits, or something came that it has to see. */
export type Run =
  | { readonly _tag: "Ended"; readonly exit: Exit.Exit<unknown, unknown> }
  | { readonly _tag: "Waits"; readonly failed: ExecutionRecords.Document["failed"] }
  | { readonly _tag: "Again" }

/**
 * What became of a run, by how its fiber ended. `bodyExit` is how the body ended before its compensations ran, and `again` says that
 * something came which the run has to see.
 */
export const runOf = (
  instance: WorkflowEngine.WorkflowInstance["Service"],
  exit: Exit.Exit<Workflow.Result<unknown, unknown>, never>,
  bodyExit: Exit.Exit<unknown, unknown> | undefined,
  again: boolean
): Run => {
  if (Exit.isSuccess(exit)) {
    if (exit.value._tag === "Complete") return { _tag: "Ended", exit: exit.value.exit }
    if (again) return { _tag: "Again" }
    const { cause, failed } = exit.value
    return {
      _tag: "Waits",
      failed: failed === true ? { cause: cause === undefined ? [] : ExitJson.ofCause(cause) } : null
    }
  }
  if (instance.suspended && Cause.hasInterruptsOnly(exit.cause)) return { _tag: "Again" }
  // A compensation died, or defects are not captured: both are final, and shown
  const first = bodyExit !== undefined && Exit.isFailure(bodyExit) ? bodyExit.cause.reasons : []
  const more = exit.cause.reasons.filter((reason) => reason._tag === "Die" && !first.some((one) => isSame(one, reason)))
  return {
    _tag: "Ended",
    exit: Exit.failCause(Cause.fromReasons([...first, ...more.length + first.length === 0 ? exit.cause.reasons : more]))
  }
}

const isSame = (one: Cause.Reason<unknown>, other: Cause.Reason<unknown>): boolean =>
  one._tag === "Die" && other._tag === "Die" && one.defect === other.defect
