/** The command about levels of the log: what is set, and what holds in each instance. */
import { Effect, Option, Record, Result, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { userInfo } from "node:os"
import * as LogLevelText from "../../domain/LogLevelText.ts"
import { others } from "../../domain/LogModule.ts"
import { type LogLevelsJson, NewLogLevelsJson } from "../../http/api/LogLevelsApi.ts"
import { invalidRequest, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const whose = { instance: Input.textFlag("instance", "ID", "Only this instance; all of them by default") }

const given = {
  levels: Argument.String("module=level").pipe(
    Argument.withDescription("A module and its level: claimer=debug, handlers:email=trace, *=warn"),
    Argument.variadic({ min: 1 })
  ),
  ...whose,
  for: Input.textFlag("for", "DURATION", "They end by themselves after this time: 10m, 1h"),
  until: Input.textFlag("until", "TIME", "They end by themselves at this time: 2026-01-31T12:00:00Z"),
  by: Input.textFlag("by", "NAME", "Who sets them, if it is not you; the name of an API key takes its place")
}

const named = {
  modules: Argument.String("module").pipe(
    Argument.withDescription("The module; all that are set when none is named"),
    Argument.variadic()
  ),
  ...whose
}

const set = Target.command("set", given, (input) => setLevels(input)).pipe(
  Command.withDescription("Set levels of the log by module, while the instances run; those of other modules stay"),
  Command.withExamples([
    { command: "taskforge log-levels set claimer=debug --for 10m", description: "On all instances, for ten minutes" },
    { command: "taskforge log-levels set handlers:email=trace --instance web-1", description: "What one handler logs" }
  ])
)

const unset = Target.command("unset", named, (input) => unsetLevels(input)).pipe(
  Command.withDescription("Forget levels that were set: what was said at the start of the instances holds again"),
  Command.withExamples([
    { command: "taskforge log-levels unset claimer", description: "One module" },
    { command: "taskforge log-levels unset", description: "All that is set for all instances" }
  ])
)

/** Shows the levels of the log, and sets them. */
export const command = Target.command("log-levels", whose, (input) => show(input)).pipe(
  Command.withDescription("Show the levels of the log by module, those that are set and those that hold; or set them"),
  Command.withShortDescription("Show and set the levels of the log by module"),
  Command.withExamples([
    { command: "taskforge log-levels", description: "What is set for all instances, and what holds in each" }
  ]),
  Command.withSubcommands([set, unset])
)

/** The user of this process, where the machine knows a name. */
const userName = Option.liftThrowable(() => userInfo().username)()

/** When instances obey. */
const soon = "within a third of a lease"

const decode = Schema.decodeUnknownEffect(NewLogLevelsJson)

const setLevels = Effect.fnUntraced(
  function*({ by, for: time, instance, json, levels, until }: Target.Given<typeof given>) {
    const { api, ask } = yield* Target.Target
    const said = LogLevelText.parseEach(levels)
    if (Result.isFailure(said)) {
      return yield* usage(
        `${Screen.plain(levels.join(" "))}: ${Screen.plain(said.failure)}`,
        "taskforge log-levels set --help"
      )
    }
    const terms = Record.getSomes({ for: time, until, by: Option.orElse(by, () => userName) })
    const payload = yield* Effect.mapError(
      decode({ levels: said.success, ...terms }),
      (error) => invalidRequest(error, (field) => `--${field}`)
    )
    yield* ask(
      Option.isNone(instance)
        ? api.logLevels.set({ payload })
        : api.logLevels.setOfInstance({ params: { id: instance.value }, payload })
    )
    if (json) return yield* Screen.json({ instance: Option.getOrNull(instance), levels: said.success })
    const { bold, good } = yield* Screen.paint
    const duration = Option.match(time, { onNone: () => "", onSome: (time) => `, for ${Screen.plain(time)}` })
    yield* Screen.line(
      `${good("✓")} ${bold(Screen.plain(LogLevelText.format(said.success)))} ${told(instance)}${duration}`
    )
  }
)

const told = (instance: Option.Option<string>): string =>
  `on ${Option.isNone(instance) ? "all instances" : Screen.plain(instance.value)}, ${soon}`

const unsetLevels = Effect.fnUntraced(function*({ instance, json, modules }: Target.Given<typeof named>) {
  const { api, ask } = yield* Target.Target
  const query = modules.length === 0 ? {} : { module: modules }
  yield* ask(
    Option.isNone(instance)
      ? api.logLevels.unset({ query })
      : api.logLevels.unsetOfInstance({ params: { id: instance.value }, query })
  )
  if (json) return yield* Screen.json({ instance: Option.getOrNull(instance), unset: modules })
  const { bold, good } = yield* Screen.paint
  const what = modules.length === 0 ? "What was set" : modules.join(", ")
  yield* Screen.line(`${good("✓")} ${bold(Screen.plain(what))} is forgotten ${told(instance)}`)
})

const show = Effect.fnUntraced(function*({ instance, json }: Target.Given<typeof whose>) {
  const { api, ask } = yield* Target.Target
  const found = yield* ask(
    Option.isNone(instance)
      ? api.logLevels.get()
      : api.logLevels.getOfInstance({ params: { id: instance.value } })
  )
  if (json) return yield* Screen.json(found)
  const paint = yield* Screen.paint
  for (const line of setLines(found, instance, paint)) yield* Screen.line(line)
  const { instances } = yield* ask(api.system.workers())
  const shown = instances.filter(({ id }) => Option.isNone(instance) || id === instance.value)
  if (shown.length > 0) yield* Screen.line()
  for (const { id, log_levels } of shown) yield* Screen.line(`${paint.bold(Screen.plain(id))} ${heldText(log_levels)}`)
  yield* Screen.line(paint.dim(`\nModules: ${found.modules.join(", ")}, handlers:TYPE`))
})

const heldText = (levels: Readonly<Record<string, string>> | undefined): string => {
  if (levels === undefined) return "has its own way to log"
  const { [others]: common, ...modules } = levels
  const own = Object.entries(modules).map(([module, level]) => `${module} from ${level}`)
  return Screen.plain([`logs from ${common} on`, ...own].join(", "))
}

const setLines = (
  { levels, timestamp }: typeof LogLevelsJson.Type,
  instance: Option.Option<string>,
  paint: Screen.Paint
): ReadonlyArray<string> =>
  levels.length === 0
    ? [`No level is set for ${Option.isNone(instance) ? "all instances" : Screen.plain(instance.value)}.`]
    : Table.format(
      [{ head: "MODULE", shrinksTo: 12 }, { head: "LEVEL" }, { head: "FOR" }, { head: "BY", shrinksTo: 8 }],
      levels.map(({ by, level, module, until }) => [
        Screen.plain(module),
        level,
        until === null ? "ever" : `${Words.left(Date.parse(until) - Date.parse(timestamp))} more`,
        paint.dim(Screen.plain(by ?? ""))
      ]),
      100,
      paint.dim
    )
