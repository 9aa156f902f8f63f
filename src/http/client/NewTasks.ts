/** Submissions as they are posted. What a definition says of its tasks is sent along: the server may know another. */
import { DateTime, Duration, type Schema } from "effect"
import * as Priority from "../../domain/Priority.ts"
import type { Submission } from "../../queue/Submission.ts"
import type { NewTaskJson } from "../api/TasksApi.ts"

/** The task to post. */
export const fromSubmission = ({ definition, options, payload }: Submission, id: string): NewTaskJson => {
  const { delay, key, runAt } = options
  const maxRetries = options.maxRetries ?? definition.retry.times
  const timeout = options.timeout ?? definition.timeoutMs
  return {
    id,
    type: definition.type,
    payload: JSON.parse(payload) as Schema.Json,
    queue: options.queue ?? definition.queue,
    priority: options.priority === undefined ? definition.priority : Priority.toNumber(options.priority),
    ...(key === undefined ? {} : { key }),
    ...(delay === undefined ? {} : { delay: wholeMillis(delay) }),
    ...(runAt === undefined ? {} : { run_at: DateTime.toUtc(runAt) }),
    ...(maxRetries === undefined ? {} : { max_retries: maxRetries }),
    ...(timeout === undefined ? {} : { timeout: wholeMillis(timeout) })
  }
}

/** Rounded up, as where a task is stored: the text that is sent says nothing of less than a millisecond. */
const wholeMillis = (input: Duration.Input): Duration.Duration =>
  Duration.millis(Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(input))))
