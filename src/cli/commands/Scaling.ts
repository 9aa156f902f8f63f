import { Effect, Record } from "effect"
import { Command } from "effect/cli"
import type { ScalingJson } from "../../http/api/InstancesApi.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const asked = {
  queue: Input.textFlag("queue", "QUEUE", "Only this queue, and the instances that work on it"),
  within: Input.durationFlag("within", "The time in which what waits is to be done: 30s, 5m; 1m by default")
}

/** Shows how many slots are needed. */
export const command = Target.command("scaling", asked, (given) => scaling(given)).pipe(
  Command.withDescription("Show how many slots the waiting tasks need, how long they take and since when they wait"),
  Command.withShortDescription("Show how many slots are needed"),
  Command.withExamples([
    { command: "taskforge scaling", description: "More slots, or fewer" },
    {
      command: "taskforge scaling --queue mail --within 30s --json | jq .slots_wanted",
      description: "For a script that starts and stops instances"
    }
  ])
)

const scaling = Effect.fnUntraced(function*({ json, queue, within }: Target.Given<typeof asked>) {
  const { api, ask } = yield* Target.Target
  const found = yield* ask(
    api.instances.scaling({ query: { ...Record.getSomes({ queue }), ...Record.getSomes({ within }) } })
  )
  if (json) return yield* Screen.json(found)
  for (const line of lines(found, yield* Screen.paint)) yield* Screen.line(line)
})

const lines = (found: typeof ScalingJson.Type, paint: Screen.Paint): ReadonlyArray<string> => {
  const { drain_ms, ended_per_second, oldest_age_ms, slots, slots_active, slots_wanted, task_ms, waiting } = found
  const wanted = `${Words.counted(slots_wanted, "slot")} wanted`
  const need = slots_wanted > slots ? paint.warn(wanted) : paint.good(wanted)
  const waits = waiting === 0
    ? "No task waits."
    : `${Words.counted(waiting, "task")} ${waiting === 1 ? "waits" : "wait"}, the first for ${
      Words.age(oldest_age_ms)
    }` +
      (drain_ms === null ? "." : `; these slots need ${Words.precise(drain_ms)} for ${waiting === 1 ? "it" : "them"}.`)
  const done = task_ms === null
    ? "Nothing ran in the last minute."
    : `In the last minute ${Words.count(ended_per_second)} attempts ended each second, after ${
      Words.precise(task_ms)
    } on average.`
  return [
    `${need}; there are ${Words.count(slots)}, of which ${Words.count(slots_active)} are busy.`,
    waits,
    paint.dim(done)
  ]
}
