/** What the API's description says about parameters, beyond the definitions. */
import { maxIdLength, maxNameLength } from "../domain/Bounds.ts"
import { names } from "../domain/Priority.ts"
import { all } from "../domain/TaskState.ts"
import { pageSize } from "./api/RequestValues.ts"
import * as BatchTexts from "./BatchTexts.ts"
import * as BreakerTexts from "./BreakerTexts.ts"
import * as ClaimTexts from "./ClaimTexts.ts"
import * as LimitTexts from "./LimitTexts.ts"
import * as OperationTexts from "./OperationTexts.ts"
import * as ScheduleTexts from "./ScheduleTexts.ts"
import * as SignalTexts from "./SignalTexts.ts"
import * as StatisticsHandlers from "./StatisticsHandlers.ts"
import * as TaskTexts from "./TaskTexts.ts"

/** What is said about one parameter. */
interface Parameter {
  readonly description: string
  /** Replaces what the definition says, which is what the text of a URL is before it is read. */
  readonly schema?: object
  readonly example?: unknown
}

const listOf = (items: object) => ({ type: "array", items })
const nameSchema = { type: "string", minLength: 1, maxLength: maxNameLength }
const limitOf = (items: string): Parameter => ({
  description: `Maximum number of ${items} on the page`,
  schema: { type: "integer", minimum: 1, maximum: pageSize.max, default: pageSize.default }
})

const several = "repeated, or separated by commas; one that has commas stands in double quotes"

const instance: Parameter = { description: "The instance's id", schema: nameSchema }

const modules: Parameter = {
  description: `Only these modules; ${several}; all that are set when left out`,
  schema: listOf({ type: "string" }),
  example: "claimer"
}

/** By name, for every operation. */
const common: Readonly<Record<string, Parameter>> = {
  id: { description: "The task's id", schema: { type: "string", minLength: 1, maxLength: maxIdLength } },
  status: {
    description: "Only tasks in these states; repeated, or separated by commas",
    schema: listOf({ type: "string", enum: all })
  },
  type: { description: `Only these task types; ${several}`, schema: listOf(nameSchema) },
  queue: { description: `Only these queues; ${several}`, schema: listOf(nameSchema) },
  task: {
    description: `Only tasks with these ids; ${several}`,
    schema: listOf({ type: "string" })
  },
  limit: limitOf("tasks"),
  cursor: { description: "The field next of the previous page" },
  scope: { description: "branch, or graph" },
  only: { description: "finished: an unfinished task is not cancelled but answered with 409" },
  wait: { description: "How long to wait for the result: 500ms, 10s; 30s at most", example: "10s" },
  after: {
    description: "The number of the last event seen, as in the header Last-Event-ID",
    schema: { type: "integer", minimum: 0 }
  },
  access_token: { description: "An API key, for browsers, which cannot send headers here" }
}

/** By operation, where a name means something else there. */
const ofParameters: Readonly<Record<string, Readonly<Record<string, Parameter>>>> = {
  "dependencies.rerunBranch": {
    completed: { description: "Whether completed tasks run again too: true or false" },
    ended_before: { description: "Only tasks that had ended before this time" }
  },
  "tasks.list": {
    ...TaskTexts.filterParameters,
    brief: { description: "true leaves long payloads and results out: left_out of a task names them" },
    cursor: { description: "The field next of the previous page, which had the same filter" }
  },
  "tasks.logs": TaskTexts.logParameters,
  ...LimitTexts.parameters,
  "limits.list": { limit: limitOf("limits") },
  ...BatchTexts.parameters,
  ...BreakerTexts.parameters,
  ...ClaimTexts.parameters,
  "breakers.list": { limit: limitOf("breakers") },
  ...OperationTexts.parameters,
  ...ScheduleTexts.parameters,
  ...SignalTexts.parameters,
  ...StatisticsHandlers.parameters,
  "schedules.list": { limit: limitOf("schedules") },
  "deadLetters.groups": TaskTexts.deadLetterParameters,
  "deadLetters.list": TaskTexts.deadLetterParameters,
  "queues.list": { limit: limitOf("queues") },
  "queues.get": {
    queue: { description: "The queue; tasks without one are in default", schema: nameSchema, example: "default" },
    limit: limitOf("types")
  },
  "queues.explain": { queue: { description: "The queue; tasks without one are in default", example: "default" } },
  "queues.types": { limit: limitOf("types") },
  "queues.definition": { type: { description: "The type", schema: nameSchema, example: "sleep" } },
  "queues.pause": { queue: { description: "The queue; tasks without one are in default", example: "default" } },
  "queues.resume": { queue: { description: "The queue; tasks without one are in default", example: "default" } },
  "instances.scaling": {
    queue: { description: "Only this queue, and the instances that work on it; all by default", schema: nameSchema },
    within: {
      description: "The time in which what waits is to be done: 30s, 5m; 1m by default",
      schema: { type: "string", default: "1m" },
      example: "1m"
    }
  },
  "instances.setSlots": { id: instance },
  "instances.unsetSlots": { id: instance },
  "instances.drain": { id: instance },
  "instances.resume": { id: instance },
  "logLevels.unset": { module: modules },
  "logLevels.getOfInstance": { id: instance },
  "logLevels.setOfInstance": { id: instance },
  "logLevels.unsetOfInstance": { id: instance, module: modules },
  "older.submitJob": {
    type: { description: "The task type; default by default", schema: nameSchema, example: "echo" },
    priority: {
      description: "The priority; normal by default",
      schema: { type: "string", enum: Object.keys(names), default: "normal" }
    }
  }
}

/** What is said about a parameter of an operation. */
export const parameterOf = (operationId: string, parameter: string): Parameter | undefined =>
  ofParameters[operationId]?.[parameter] ?? common[parameter]
