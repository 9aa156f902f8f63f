/** The command about instances: who runs tasks, with how many slots, and who drains. */
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { quoted } from "../../domain/Quoting.ts"
import type { WorkersJson } from "../../http/api/SystemApi.ts"
import { usage } from "../Failure.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const named = {
  instances: Argument.String("instance").pipe(
    Argument.withDescription("The instance, by its id"),
    Argument.variadic({ min: 1 })
  )
}

const sized = {
  instance: Argument.String("instance").pipe(Argument.withDescription("The instance, by its id")),
  slots: Argument.String("slots").pipe(
    Argument.withDescription("How many: 20; or auto: as many as it began with, or as its load asks for")
  )
}

const slots = Target.command("slots", sized, (given) => setSlots(given)).pipe(
  Command.withDescription("Give an instance more or fewer slots while it runs; running tasks go on"),
  Command.withExamples([
    { command: "taskforge instances slots reports-1 40", description: "Until that is changed, also after a restart" },
    { command: "taskforge instances slots reports-1 auto", description: "Leaves the number to the instance" }
  ])
)

const drain = Target.command("drain", named, (given) => drainEach(given)).pipe(
  Command.withDescription("Let an instance take no more tasks and finish those that it runs"),
  Command.withExamples([
    { command: "taskforge instances drain reports-1", description: "Until it is resumed, also after a restart" }
  ])
)

const resume = Target.command("resume", named, (given) => resumeEach(given)).pipe(
  Command.withDescription("Let an instance take tasks again"),
  Command.withExamples([{ command: "taskforge instances resume reports-1", description: "When it is to work again" }])
)

/** Shows who runs tasks, and tells single instances what to do. */
export const command = Target.command("instances", {}, (given) => instances(given)).pipe(
  Command.withDescription("Show the instances that run tasks, and what they run now; or tell one what to do"),
  Command.withShortDescription("Show the instances that run tasks, and what they run now"),
  Command.withExamples([{ command: "taskforge instances", description: "All instances on the store" }]),
  Command.withSubcommands([slots, drain, resume])
)

const setSlots = Effect.fnUntraced(function*({ instance, json, slots }: Target.Given<typeof sized>) {
  const { api, ask } = yield* Target.Target
  const { bold, good } = yield* Screen.paint
  const count = slots === "auto" ? null : Number(slots)
  if (count !== null && !(/^\d{1,6}$/.test(slots) && count > 0)) {
    return yield* usage(
      `slots ${Screen.plain(slots)}: expected a whole number from 1, or auto`,
      "taskforge instances slots --help"
    )
  }
  const params = { id: instance }
  yield* ask(
    count === null
      ? api.instances.unsetSlots({ params })
      : api.instances.setSlots({ params, payload: { slots: count } })
  )
  if (json) return yield* Screen.json({ instance, slots: count })
  const what = count === null ? "decides by itself how many slots it has" : `gets ${Words.counted(count, "slot")}`
  yield* Screen.line(`${good("✓")} ${bold(Screen.plain(instance))} ${what}, ${soon}`)
})

const drainEach = Effect.fnUntraced(function*({ instances, json }: Target.Given<typeof named>) {
  const { api, ask } = yield* Target.Target
  const { bold, warn } = yield* Screen.paint
  for (const id of instances) {
    yield* ask(api.instances.drain({ params: { id } }))
    if (json) yield* Screen.json({ instance: id, draining: true })
    else {
      const name = Screen.plain(id)
      yield* Screen.line(
        `${warn("‖")} ${bold(name)} takes no more tasks, ${soon}; go on with: taskforge instances resume ${
          quoted(name)
        }`
      )
    }
  }
})

const resumeEach = Effect.fnUntraced(function*({ instances, json }: Target.Given<typeof named>) {
  const { api, ask } = yield* Target.Target
  const { bold, good } = yield* Screen.paint
  for (const id of instances) {
    yield* ask(api.instances.resume({ params: { id } }))
    if (json) yield* Screen.json({ instance: id, draining: false })
    else yield* Screen.line(`${good("▸")} ${bold(Screen.plain(id))} takes tasks again, ${soon}`)
  }
})

/** When an instance does what it is told. */
const soon = "within a third of a lease"

const instances = Effect.fnUntraced(function*({ json }: Target.Given) {
  const { api, ask } = yield* Target.Target
  const found = yield* ask(api.system.workers())
  if (json) return yield* Screen.json(found)
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  const width = yield* screen.columns
  const now = Date.parse(found.timestamp)
  if (found.instances.length === 0) {
    yield* Screen.line(`No instance runs tasks. Start one:\n\n  ${paint.accent("taskforge work --store URL")}`)
    if (found.queue_size > 0) {
      yield* Screen.line(`\n${Words.counted(found.queue_size, "task")} ${found.queue_size === 1 ? "waits" : "wait"}.`)
    }
    return
  }
  const rows = found.instances.map((one) => [
    Screen.plain(one.id),
    Screen.plain(`${one.host}:${one.pid}`),
    `${one.slots_active}/${one.slot_count}`,
    one.draining ? paint.warn("draining") : paint.dim(sizing(one)),
    Words.age(now - Date.parse(one.started_at)),
    Words.relative(Date.parse(one.seen_at), now),
    paint.dim(one.leads.join(", "))
  ])
  yield* lines(Table.format(
    [
      { head: "INSTANCE", shrinksTo: 12 },
      { head: "HOST", shrinksTo: 8 },
      { head: "BUSY", align: "right" },
      { head: "SLOTS", shrinksTo: 8 },
      { head: "UP", align: "right" },
      { head: "SEEN" },
      { head: "CHORES", shrinksTo: 6 }
    ],
    rows,
    width,
    paint.dim
  ))
  const busy = found.workers.filter(({ task }) => task !== null)
  yield* Screen.line()
  if (busy.length === 0) return yield* Screen.line(paint.dim("Nothing runs at the moment."))
  yield* lines(running(busy, "RUNNING", width, paint))
})

/** How the number of its slots is decided, unless it is the one that it began with. */
const sizing = (
  { max_slots, min_slots, sized_by }: (typeof WorkersJson.Type)["instances"][number]
): string => sized_by === "hand" ? "by hand" : sized_by === "load" ? `${min_slots} to ${max_slots}` : ""

const lines = (texts: ReadonlyArray<string>) => Effect.forEach(texts, Screen.line, { discard: true })

/** What slots run, as a table of at most `width` cells. */
export const running = (
  busy: (typeof WorkersJson.Type)["workers"],
  head: string,
  width: number,
  paint: Screen.Paint
): ReadonlyArray<string> =>
  Table.format(
    [{ head }, { head: "TYPE", shrinksTo: 8 }, { head: "FOR", align: "right" }, { head: "SLOT", shrinksTo: 8 }],
    busy.map(({ id, task }) => [
      Screen.plain(task!.id),
      Screen.plain(task!.type),
      Words.precise(task!.running_for_ms),
      paint.dim(Screen.plain(id))
    ]),
    width,
    paint.dim
  )
