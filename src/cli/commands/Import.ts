/** Moving in from another job queue: its jobs become tasks, its timetables become schedules. */
import { Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { SecureRandom } from "effect/crypto"
import * as DefinitionModules from "../../check/DefinitionModules.ts"
import * as Bounds from "../../domain/Bounds.ts"
import * as Redaction from "../../domain/Redaction.ts"
import { NewTaskJson } from "../../http/api/NewTaskJson.ts"
import { NewScheduleJson } from "../../http/api/SchedulesApi.ts"
import { type Peer, peers, type Source, SourceError } from "../../import/ImportedJob.ts"
import type { MappedSchedule, MappedTask, Wishes } from "../../import/Mapping.ts"
import * as Sources from "../../import/Sources.ts"
import * as Survey from "../../import/Survey.ts"
import * as Transfer from "../../import/Transfer.ts"
import * as SelectedStore from "../../server/SelectedStore.ts"
import { Failure, invalidRequest, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Progress from "../Progress.ts"
import * as RemoteTasks from "../RemoteTasks.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const several = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.atLeast(0))

const flags = {
  peer: Argument.Literals("peer", Object.keys(peers) as Array<Peer>).pipe(
    Argument.withDescription("What is moved from")
  ),
  url: Argument.String("url").pipe(
    Argument.withDescription("The Redis or PostgreSQL that it uses: nothing of it is changed without --drain")
  ),
  yes: Input.toggleFlag("yes", "Does it. Without, only shows what would be done"),
  drain: Input.toggleFlag("drain", "With --yes, removes from there what has been stored here, job by job"),
  failed: Input.toggleFlag("failed", "Takes failed jobs too: they wait again"),
  queue: several("queue", "QUEUE", "Only this queue of it; may be repeated"),
  into: Input.textFlag("into", "QUEUE", "The queue for all tasks, instead of those with the names of theirs"),
  map: several("map", "OLD=NEW", "Jobs OLD, or QUEUE/OLD, become tasks of the type NEW; may be repeated"),
  namespace: Input.textFlag("namespace", "NAME", "The prefix of its keys, or its schema, if it is not the usual one"),
  module: several("module", "PATH", "With --store, a file that exports task types; may be repeated")
}

type Given = Target.Given<typeof flags>

/** Imports jobs. */
export const command = Command.make("import", { ...Target.flags, ...flags }, (input) => {
  const given = input as Given
  return Effect.flatMap(
    modules(given),
    (definitions) => Target.on(given, Effect.scoped(Effect.suspend(() => run(given))), definitions)
  )
}).pipe(
  Command.withDescription(
    "Read the waiting and delayed jobs of another job queue, and its timetables. Shows what would become of them, and does it with " +
      "--yes. A second import makes nothing twice"
  ),
  Command.withShortDescription("Move in from another job queue"),
  Command.withExamples([
    {
      command: "taskforge import bullmq redis://localhost:6379",
      description: "What would become tasks, and what not?"
    },
    {
      command: "taskforge import bullmq redis://localhost:6379 --queue mail --map send=email --yes --drain",
      description: "Moves one queue, while it is worked on"
    }
  ])
)

const modules = Effect.fnUntraced(function*({ module, store }: Given) {
  if (module.length === 0) return []
  if (Option.isNone(store)) {
    return yield* usage("--module goes with --store", "A server knows its own types.")
  }
  return yield* Effect.mapBoth(DefinitionModules.load(module), {
    onFailure: ({ advice, isMissing, problem }) =>
      new Failure({ exit: isMissing ? "unknown" : "input", problem, advice }),
    onSuccess: (found) => [...found.values()]
  })
})

const run = Effect.fnUntraced(function*(given: Given) {
  const { drain, failed, json, peer, queue, url, yes } = given
  const { api, ask } = yield* Target.Target
  if (drain && !yes) {
    return yield* usage("--drain goes with --yes", "Without --yes nothing is stored, so nothing is removed.")
  }
  const types = yield* typesOf(given.map)
  const into = Option.getOrUndefined(given.into)
  if (into !== undefined && !Bounds.name.accepts(into)) {
    return yield* usage(`--into is not ${Bounds.name.expected}`, "Give another name.")
  }
  const known = yield* ask(api.queues.definitions())
  const wishes: Wishes = {
    types,
    ...into !== undefined && { into },
    failed,
    known: new Set(known.definitions.map(({ type }) => type))
  }
  const { namespace } = given
  const source = yield* told(
    Sources.open(peer, { url, queues: queue, namespace: Option.getOrUndefined(namespace) }, loadDriver)
  )
  const looking = yield* Progress.make("Looking")
  const survey = yield* told(Effect.ensuring(Survey.run(source, wishes, looking.update), looking.clear))
  const name = `${peers[peer].name} ${source.version} at ${Redaction.url(url)}`
  if (!json) yield* showPreview(name, source, survey, wishes)
  if (!yes) {
    if (json) return yield* Screen.json(previewJson(source, survey))
    const paint = yield* Screen.paint
    return yield* Screen.line(
      paint.dim("Do it with --yes, and with --drain also remove there what is stored here.")
    )
  }
  const moving = yield* Progress.make("Importing", survey.tasks + survey.leftOut.total)
  const report = yield* Effect.ensuring(
    told(Transfer.run(source, survey, wishes, destination, drain, moving.update)),
    moving.clear
  )
  yield* json ? Screen.json(reportJson(source, report)) : showReport(report, survey, drain)
})

const typesOf = Effect.fnUntraced(function*(pairs: ReadonlyArray<string>) {
  const types = new Map<string, string>()
  for (const pair of pairs) {
    const at = pair.lastIndexOf("=")
    if (at < 1 || at === pair.length - 1) {
      return yield* usage(`--map ${Screen.plain(pair)} is not OLD=NEW`, "For instance: --map send=email")
    }
    types.set(pair.slice(0, at), pair.slice(at + 1))
  }
  return types
})

const loadDriver = <Module>(load: () => Promise<Module>) =>
  Effect.mapError(
    SelectedStore.load("source's", "redis @effect/sql-pg", load),
    ({ message }) => new SourceError({ kind: "usage", problem: message, advice: "Install it next to taskforge." })
  )

const exits = { unreachable: "unavailable", missing: "unknown", version: "input", usage: "usage" } as const

const told = <A, E, R>(effect: Effect.Effect<A, E | SourceError, R>) =>
  Effect.mapError(effect, (error) =>
    error instanceof SourceError
      ? new Failure({
        exit: exits[error.kind],
        code: `source_${error.kind}`,
        problem: Screen.plain(error.problem),
        advice: error.advice
      })
      : error as Exclude<E, SourceError>)

const decodeTask = Schema.decodeUnknownEffect(NewTaskJson, { onExcessProperty: "error" })
const decodeSchedule = Schema.decodeUnknownEffect(NewScheduleJson, { onExcessProperty: "error" })
const asField = (field: string): string => field

/** The tasks and schedules of the target. */
const destination: Transfer.Destination<Failure, SecureRandom.SecureRandom | Target.Target> = {
  submit: Effect.fnUntraced(function*(tasks: ReadonlyArray<MappedTask>) {
    const decoded = yield* Effect.forEach(
      tasks,
      (task) => Effect.mapError(decodeTask(task), (error) => invalidRequest(error, asField))
    )
    const created = yield* RemoteTasks.submit(decoded, "wait", true)
    return created.map(({ duplicate, id }) => ({ id, duplicate: duplicate === true }))
  }),
  setSchedule: Effect.fnUntraced(function*({ name, task, timetable }: MappedSchedule) {
    const { api, ask, problem, repeatable } = yield* Target.Target
    const payload = yield* Effect.mapError(
      decodeSchedule({ ...timetable, task }),
      (error) => invalidRequest(error, asField)
    )
    const isKnown = yield* repeatable(api.schedules.get({ params: { name } })).pipe(
      Effect.as(true),
      Effect.catch((error) => {
        const failure = problem(error)
        return failure.code === "schedule_not_found" ? Effect.succeed(false) : Effect.fail(failure)
      })
    )
    if (!isKnown) yield* ask(api.schedules.set({ params: { name }, payload }))
    return !isKnown
  }),
  refusal: ({ code, exit, problem }) =>
    exit === "input" || code === "key_conflict" || code === "batch_too_large"
      ? `refused here: ${Screen.plain(problem).slice(0, 200)}`
      : undefined
}

const tallyJson = ({ entries }: Survey.Tally) =>
  Array.from(entries, ([reason, { count, example }]) => ({ reason, count, example }))

const sourceJson = ({ parts, peer, version }: Source) => ({
  peer,
  version,
  queues: parts.map(({ count, isHeld, place, queue, state }) => ({ queue, state, place, count, held: isHeld }))
})

const previewJson = (source: Source, { backoffs, leftOut, sample, schedules, tasks }: Survey.Survey) => ({
  source: sourceJson(source),
  tasks,
  schedules,
  left_out: tallyJson(leftOut),
  backoffs: tallyJson(backoffs),
  sample
})

const reportJson = (source: Source, { leftOut, ...counts }: Transfer.Report) => ({
  source: sourceJson(source),
  created: counts.created,
  existed: counts.existed,
  merged: counts.merged,
  removed: counts.removed,
  taken: counts.taken,
  schedules_created: counts.schedulesCreated,
  schedules_existed: counts.schedulesExisted,
  left_out: tallyJson(leftOut)
})

const partColumns = [{ head: "QUEUE", shrinksTo: 12 }, { head: "STATE" }, { head: "JOBS", align: "right" }] as const
const taskColumns = [
  { head: "TYPE", shrinksTo: 12 },
  { head: "QUEUE", shrinksTo: 12 },
  { head: "PRIORITY", align: "right" },
  { head: "DUE" },
  { head: "ID", shrinksTo: 16 },
  { head: "PAYLOAD", shrinksTo: 12 }
] as const
const reasonColumns = [{ head: "JOBS", align: "right" }, { head: "REASON", shrinksTo: 30 }, {
  head: "FOR EXAMPLE",
  shrinksTo: 12
}] as const

/** Queues of the source that are shown. */
const maxParts = 50

const showPreview = Effect.fnUntraced(function*(name: string, source: Source, survey: Survey.Survey, wishes: Wishes) {
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  const width = yield* screen.columns
  const table = (columns: ReadonlyArray<Table.Column>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
    Effect.forEach(Table.format(columns, rows, width, paint.dim), (line) => Screen.line(line), { discard: true })
  yield* Screen.line(paint.bold(name))
  const stateOf = ({ isHeld, place, state }: Source["parts"][number]) =>
    isHeld ? "held by an import" : place === "paused" ? "waiting, paused" : state
  yield* table(
    partColumns,
    source.parts.slice(0, maxParts).map((part) => [Screen.plain(part.queue), stateOf(part), Words.count(part.count)])
  )
  if (source.parts.length > maxParts) yield* Screen.line(paint.dim(`… and ${source.parts.length - maxParts} more`))
  if (survey.sample.length > 0) {
    yield* Screen.line()
    yield* table(
      taskColumns,
      survey.sample.map(({ id, payload, priority, queue, run_at, type }) => [
        Screen.plain(type),
        queue === undefined ? "of its type" : Screen.plain(queue),
        String(priority),
        run_at ?? "now",
        Screen.plain(id),
        Screen.plain(JSON.stringify(payload).slice(0, 200))
      ])
    )
    if (survey.tasks > survey.sample.length) yield* Screen.line(paint.dim(`The first ${survey.sample.length}.`))
  }
  const unread = source.parts.filter(({ state }) => !Survey.isRead(state, wishes))
  yield* showLeftOut(survey.leftOut, "Left out:")
  for (const part of unread) {
    const why = part.state === "failed" ? "--failed makes them wait again" : unreadBecause[part.state]
    yield* Screen.line(
      `Not read: ${Words.counted(part.count, `${part.state} job`)} of ${Screen.plain(part.queue)}; ${why}`
    )
  }
  for (const [text, { count }] of survey.backoffs.entries) {
    yield* Screen.line(
      `The type says this here, of ${Words.counted(count, "job")}: ${Screen.plain(text)}`
    )
  }
  for (const { name, type } of survey.schedules) {
    yield* Screen.line(`Schedule of ${Screen.plain(type)}: ${Screen.plain(name)}`)
  }
  yield* Screen.line()
  yield* Screen.line(
    `${Words.counted(survey.tasks, "job")} and ${Words.counted(survey.schedules.length, "schedule")} can be imported.`
  )
})

const unreadBecause: Readonly<Record<string, string>> = {
  running: "a worker has them",
  parent: "they wait for other jobs of their flow"
}

const showLeftOut = Effect.fnUntraced(function*(leftOut: Survey.Tally, title: string) {
  if (leftOut.total === 0) return
  const screen = yield* Screen.Screen
  yield* Screen.line()
  yield* Screen.line(title)
  const rows = Array.from(leftOut.entries, ([reason, { count, example }]) => [
    Words.count(count),
    Screen.plain(reason),
    Screen.plain(example)
  ])
  for (const line of Table.format(reasonColumns, rows, yield* screen.columns, Screen.paintOn(screen).dim)) {
    yield* Screen.line(line)
  }
})

const showReport = Effect.fnUntraced(function*(report: Transfer.Report, survey: Survey.Survey, drain: boolean) {
  const paint = yield* Screen.paint
  // What the preview has shown is not said again
  if (report.leftOut.total > survey.leftOut.total) yield* showLeftOut(report.leftOut, "Left out in the end:")
  const parts = [
    `Imported ${Words.counted(report.created, "task")}`,
    ...report.existed === 0 ? [] : [`${Words.count(report.existed)} existed already`],
    ...report.merged === 0 ? [] : [`${Words.count(report.merged)} have a key that another task holds`],
    ...report.taken === 0 ? [] : [`${Words.count(report.taken)} were taken by its workers in the meantime`],
    ...drain ? [`${Words.count(report.removed)} removed there`] : []
  ]
  yield* Screen.line(`${paint.good("✓")} ${parts.join("; ")}`)
  const { schedulesCreated, schedulesExisted } = report
  if (schedulesCreated + schedulesExisted > 0) {
    yield* Screen.line(
      `${paint.good("✓")} Set ${Words.counted(schedulesCreated, "schedule")}${
        schedulesExisted === 0 ? "" : `; ${Words.count(schedulesExisted)} existed already`
      }`
    )
  }
})
