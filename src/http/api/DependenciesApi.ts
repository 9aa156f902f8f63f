/** What tasks wait for and what waits for them, over HTTP. */
import { DateTime, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import * as Cursor from "../../domain/Cursor.ts"
import { OnFailure } from "../../domain/Dependencies.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import { TaskState } from "../../domain/TaskState.ts"
import type { BranchRerun, BranchSize, RerunBranchOptions } from "../../queue/Branches.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { cursorText, PageSize, within } from "./RequestValues.ts"

/** Tasks on a page unless it is said: each is read. */
export const defaultPage = 100

const LinkedJson = Schema.Struct({
  id: Schema.String,
  type: Schema.String,
  status: TaskState,
  waits_for: Schema.Int.annotate({ description: "How many tasks it waits for itself" })
}).annotate({ identifier: "LinkedTask" })

/** What a task depends on. */
const DependenciesJson = Schema.Struct({
  id: Schema.String,
  on_failure: Schema.NullOr(OnFailure).annotate({
    description: "What becomes of the task when one of these does not complete; null where it depends on none"
  }),
  waits_for: Schema.Int.annotate({ description: "How many of them the task waits for" }),
  total: Schema.Int.annotate({ description: "How many tasks it depends on" }),
  tasks: Schema.Array(LinkedJson).annotate({ description: "In the order of its field after; those that are stored" }),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" })
}).annotate({ identifier: "Dependencies" })

/** What depends on a task. */
const DependentsJson = Schema.Struct({
  id: Schema.String,
  tasks: Schema.Array(LinkedJson).annotate({ description: "Those that are stored, in no order" }),
  complete: Schema.Boolean.annotate({ description: "Whether no page follows" }),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" })
}).annotate({ identifier: "Dependents" })

const counted = (description: string) => Schema.Int.annotate({ description })
const members = counted("How many tasks are meant")
const own = counted(
  "Tasks of the engine's own that belong to batches, which are left alone with what they alone connect"
)

/** How large a branch is. */
const BranchJson = Schema.Struct({
  members,
  own,
  complete: Schema.Boolean.annotate({
    description: "Whether these are all: up to 10000, and 100000 dependencies between them, are looked at"
  })
}).annotate({ identifier: "Branch" })

/** Tasks of a graph at most. */
export const maxGraph = 1000

/** Tasks that are connected, and which depends on which. */
export const GraphJson = Schema.Struct({
  id: Schema.String,
  tasks: Schema.Array(LinkedJson).annotate({
    description: "The task, and those that are connected with it; 1000 at most"
  }),
  edges: Schema.Array(Schema.Tuple([Schema.Int, Schema.Int])).annotate({
    description: "Pairs of places in tasks: the second one depends on the first"
  }),
  complete: Schema.Boolean.annotate({ description: "Whether these are all" })
}).annotate({ identifier: "Graph" })

/** What became of a branch that was cancelled. */
const BranchCancelledJson = Schema.Struct({
  members,
  cancelled: counted("They waited, and will never start"),
  requested: counted("They ran, and are being interrupted"),
  finished: counted("There was nothing left to cancel"),
  unknown: counted("They were removed in between"),
  own
}).annotate({ identifier: "BranchCancelled" })

/** What became of a branch that runs again. */
const BranchRerunJson = Schema.Struct({
  members,
  rerun: counted("They are due now, or wait for others that have not ended"),
  waiting: counted("They had not started, and wait for those before them that run again"),
  running: counted("They run, and are left as they are"),
  completed: counted("They stay completed"),
  recent: counted("They have ended since, and are left as they are"),
  blocked: counted("They stay as they are: one that they depend on has ended without being completed"),
  blocked_by: Schema.Array(Schema.String).annotate({ description: "Some of those that block others" }),
  superseded: counted("A later task has their key"),
  unknown: counted("They were removed in between"),
  own
}).annotate({ identifier: "BranchRerun" })

const Scope = Schema.optionalKey(Schema.Literals(["branch", "graph"]))

/** What runs again of it. */
export const rerunQuery = ({ completed, endedBefore, scope }: RerunBranchOptions) => ({
  ...scope === undefined ? {} : { scope },
  ...completed === undefined ? {} : { completed: completed ? "true" as const : "false" as const },
  ...endedBefore === undefined ? {} : { ended_before: DateTime.toUtc(endedBefore) }
})

/** How large a branch is, as the queue has it. */
export const sizeFromJson = ({ complete, ...size }: typeof BranchJson.Type): BranchSize => ({
  ...size,
  isComplete: complete
})

/** What became of a branch that runs again, as the queue has it. */
export const rerunFromJson = ({ blocked_by: blockedBy, ...counts }: typeof BranchRerunJson.Type): BranchRerun => ({
  ...counts,
  blockedBy
})

const params = { id: Schema.String }
const branchErrors = [ApiErrors.TaskNotFound, ApiErrors.Unavailable] as const
const changeErrors = [...branchErrors, ApiErrors.BranchTooLarge] as const
const meant =
  "scope=branch, the default: the task and all that depend on it, directly or not. scope=graph: all tasks " +
  "that are connected with it. "

/** The endpoints of dependencies between tasks. */
export class DependenciesApi extends HttpApiGroup.make("dependencies").add(
  HttpApiEndpoint.get("after", "/tasks/:id/dependencies", {
    params,
    query: {
      limit: Schema.optionalKey(PageSize),
      cursor: Schema.optionalKey(cursorText((text) => Cursor.decodeName("dependency", text) !== undefined))
    },
    success: DependenciesJson,
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List the tasks that a task depends on, and how they are",
    description: "In the order of its field after, in pages."
  })),
  HttpApiEndpoint.get("before", "/tasks/:id/dependents", {
    params,
    query: {
      limit: Schema.optionalKey(PageSize),
      cursor: Schema.optionalKey(cursorText((text) => Cursor.decodeName("dependent", text) !== undefined))
    },
    success: DependentsJson,
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List the tasks that depend on a task, and how they are",
    description: "In pages. One that is run again between two pages may be on both."
  })),
  HttpApiEndpoint.get("branch", "/tasks/:id/branch", {
    params,
    query: { scope: Scope },
    success: BranchJson,
    error: branchErrors
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Count the tasks that are connected with a task",
    description: meant
  })),
  HttpApiEndpoint.get("graph", "/tasks/:id/graph", {
    params,
    success: GraphJson,
    error: branchErrors
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Get the tasks that are connected with a task, and which depends on which",
    description: "Those that are nearest to it, with the engine's own tasks of batches. Each is read, so ask rarely."
  })),
  HttpApiEndpoint.post("cancelBranch", "/tasks/:id/branch/cancel", {
    params,
    query: { scope: Scope },
    success: BranchCancelledJson,
    error: changeErrors
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Cancel a task and all that depend on it",
    description: `${meant}The last are cancelled first, so none starts because of it. It can be repeated.`
  })),
  HttpApiEndpoint.post("rerunBranch", "/tasks/:id/branch/rerun", {
    params,
    query: {
      scope: Scope,
      completed: Schema.optionalKey(Schema.Literals(["true", "false"])),
      ended_before: Schema.optionalKey(Rfc3339.check(within(Bounds.runAt)))
    },
    success: BranchRerunJson,
    error: changeErrors
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Run a task and all that depend on it again",
    description:
      `${meant}Those that have failed, were cancelled or have expired run again, with completed=true also those ` +
      "that were completed. Each waits for those that it depends on, and stays as it is where one of these has not been " +
      "completed and does not run again. With ended_before only those that had ended before: to repeat a request whose " +
      "answer was lost, give the time of the first one."
  }))
).prefix("/api/v1") {}
