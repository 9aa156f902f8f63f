/** What tasks wait for and what waits for them, over HTTP. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Cursor from "../../domain/Cursor.ts"
import { OnFailure } from "../../domain/Dependencies.ts"
import { TaskState } from "../../domain/TaskState.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { cursorText, PageSize } from "./RequestValues.ts"

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

const params = { id: Schema.String }

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
  }))
).prefix("/api/v1") {}
