/** The command that changes a task that waits. */
import { Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { RescheduleJson } from "../../http/api/NewTaskJson.ts"
import { invalidRequest, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"

const flags = {
  id: Argument.String("id").pipe(Argument.withDescription("The task")),
  payload: Input.textFlag("payload", "JSON", "The whole payload, or - to read it from stdin"),
  priority: Input.textFlag("priority", "PRIORITY", "low, normal, high, critical, or 0 to 9").pipe(Flag.withAlias("p")),
  delay: Input.textFlag("delay", "DURATION", "Due after this time from now: 30s, 5m, 1h30m"),
  at: Input.textFlag("at", "TIME", "Due at this time: 2026-01-31T12:00:00Z"),
  startWithin: Input.textFlag("start-within", "DURATION", "Within which time it should start once it is due")
}

/** Changes a task. */
export const command = Target.command("reschedule", flags, (given) => reschedule(given)).pipe(
  Command.withDescription(
    "Change a task that waits: its payload, its priority, when it is due, or when it should start"
  ),
  Command.withShortDescription("Change a task that waits"),
  Command.withExamples([
    { command: "taskforge reschedule 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae --delay 10m", description: "Later" },
    {
      command: `taskforge reschedule $ID --payload '{"duration": "1s"}' --priority critical --delay 0s`,
      description: "Something else, now"
    }
  ])
)

const decode = Schema.decodeUnknownEffect(RescheduleJson, { onExcessProperty: "error" })

const reschedule = Effect.fnUntraced(function*(
  { at, delay, id, json, payload, priority, startWithin }: Target.Given<typeof flags>
) {
  if ([at, delay, payload, priority, startWithin].every(Option.isNone)) {
    return yield* usage("What is to be changed?", "Give --payload, --priority, --delay, --at or --start-within.")
  }
  const text = Option.getOrUndefined(payload)
  const change = {
    ...(text === undefined
      ? {}
      : {
        payload: yield* Input.json(text === "-" ? yield* Input.text("-") : text, text === "-" ? "-" : "the payload")
      }),
    ...Option.match(priority, {
      onNone: () => ({}),
      onSome: (given) => ({ priority: /^\d+$/.test(given) ? Number(given) : given })
    }),
    ...Option.match(delay, { onNone: () => ({}), onSome: (delay) => ({ delay }) }),
    ...Option.match(at, { onNone: () => ({}), onSome: (at) => ({ run_at: at }) }),
    ...Option.match(startWithin, { onNone: () => ({}), onSome: (within) => ({ start_within: within }) })
  }
  const decoded = yield* Effect.mapError(
    decode(change),
    (error) =>
      invalidRequest(error, (field) => `--${field === "run_at" ? "at" : field.replaceAll("_", "-")}`, undefined)
  )
  const { api, ask } = yield* Target.Target
  const task = yield* ask(api.tasks.reschedule({ params: { id }, payload: decoded }))
  if (json) return yield* Screen.json(task)
  const paint = yield* Screen.paint
  yield* Screen.line(
    `${paint.state(task.status, Screen.mark[task.status])} Rescheduled ${Screen.plain(task.type)} ${
      paint.bold(Screen.plain(task.id))
    }: priority ${task.priority}, due at ${task.due_at}`
  )
})
