/** What goes over the wire comes back as it was, whatever it is. */
import { describe, it } from "@effect/vitest"
import { Equal, Exit, Schema } from "effect"
import { NewTaskJson } from "../../src/http/api/NewTaskJson.ts"
import { TaskJson, TaskPageJson, TaskResultJson } from "../../src/http/api/TaskJson.ts"

/** Through JSON text, as over HTTP. */
const comesBack = <A, E>(schema: Schema.ConstraintCodec<A, E>, value: A): boolean => {
  const json = Schema.toCodecJson(schema)
  const encoded = Schema.encodeUnknownExit(json)(value)
  if (Exit.isFailure(encoded)) return false
  const received: unknown = JSON.parse(JSON.stringify(encoded.value))
  return Equal.equals(Schema.decodeUnknownExit(json)(received), Exit.succeed(value))
}

describe("over the wire comes back", () => {
  it.prop("a task", [TaskJson], ([task]) => comesBack(TaskJson, task))

  it.prop("a page of tasks", [TaskPageJson], ([page]) => comesBack(TaskPageJson, page))

  it.prop("a result", [TaskResultJson], ([result]) => comesBack(TaskResultJson, result))

  it.prop("a new task", [Schema.toEncoded(NewTaskJson)], ([posted]) => {
    const task = Schema.decodeExit(NewTaskJson)(posted)
    // Bounds may refuse it; what is accepted is the same task again when it is sent on.
    return Exit.isFailure(task) || comesBack(NewTaskJson, task.value)
  })

  it.prop("anything else, as an error", [Schema.Json], ([json]) => {
    const task = Schema.decodeUnknownExit(NewTaskJson)(json)
    return Exit.isFailure(task) || typeof task.value.type === "string"
  })
})
