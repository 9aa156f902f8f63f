/** The commands that change tasks: some by their ids, or all that match. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { TaskState } from "../../domain/TaskState.ts"
import { pageSize } from "../../http/api/RequestValues.ts"
import type { TaskPageJson } from "../../http/api/TaskJson.ts"
import { Failure, usage } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Listing from "../Listing.ts"
import * as Progress from "../Progress.ts"
import * as Screen from "../Screen.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

/** Stops tasks. */
export const cancel = changingBranches("cancel", {}, ({ api, repeatable }, id, { scope }) => {
  const request = { params: { id }, query: { scope } }
  return Effect.map(repeatable(api.dependencies.cancelBranch(request)), (counts) => ({ ...counts, blocked_by: [] }))
}, {
  doing: "Cancelling",
  selectable: ["scheduled", "pending", "running"],
  one: ({ api, repeatable }, id) =>
    Effect.map(repeatable(api.tasks.cancel({ params: { id } })), ({ status }) => status),
  many: ({ api, repeatable }, ids) => repeatable(api.tasks.cancelAll({ payload: { ids } })),
  words: {
    cancelled: "Cancelled; it will not start",
    requested: "Running; it is being stopped",
    finished: "Finished already, nothing to cancel"
  }
}).pipe(
  Command.withDescription("Cancel tasks: waiting ones never start, running ones are interrupted"),
  Command.withShortDescription("Stop tasks, waiting or running"),
  Command.withExamples([
    { command: "taskforge cancel 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "One task" },
    { command: "taskforge cancel --status pending --type email", description: "All waiting tasks of one type" },
    { command: "taskforge cancel load-42 --scope branch", description: "A task and all that depend on it" }
  ])
)

/** Runs finished tasks again. */
export const rerun = changingBranches("rerun", {
  completed: Input.toggleFlag("completed", "With --scope: completed tasks run again too, and lose their results")
}, ({ api }, id, { completed, scope }) => {
  const query = { scope, completed: completed ? "true" as const : "false" as const }
  return api.dependencies.rerunBranch({ params: { id }, query })
}, {
  doing: "Rerunning",
  selectable: ["failed", "cancelled", "expired"],
  one: ({ api }, id) => Effect.as(api.tasks.rerun({ params: { id } }), "rerun"),
  many: ({ api }, ids) => api.tasks.rerunAll({ payload: { ids } }),
  words: { rerun: "Due now, with all its retries" }
}).pipe(
  Command.withDescription("Run failed, cancelled or expired tasks again, with all their retries"),
  Command.withShortDescription("Run failed, cancelled or expired tasks again"),
  Command.withExamples([
    { command: "taskforge rerun 01a20f47-7cd7-71dc-9fb0-f0ff6cbf4cae", description: "One task" },
    { command: "taskforge rerun --status failed --type email", description: "All failed tasks of one type" },
    {
      command: "taskforge rerun load-42 --scope branch",
      description: "A task and all that depend on it, each in its turn"
    }
  ])
)

/** Forgets finished tasks. */
export const remove = changing("remove", {
  doing: "Removing",
  selectable: ["completed", "failed", "cancelled", "expired"],
  one: ({ api }, id) => Effect.as(api.tasks.remove({ params: { id }, query: { only: "finished" } }), "removed"),
  many: ({ api }, ids) => api.tasks.removeAll({ payload: { ids } }),
  words: { removed: "Removed" }
}).pipe(
  Command.withDescription("Remove finished tasks and their results"),
  Command.withAlias("rm"),
  Command.withExamples([
    { command: "taskforge remove --status cancelled", description: "All cancelled tasks" }
  ])
)

/** A command that does something to tasks: to those that are named, or to all that match. */
function changing<Answer extends string, E>(name: string, action: Action<Answer, E>) {
  return Target.command(name, flags(action.selectable), (given) => each(given, action))
}

/** The same for a command that may also do it to all tasks that are connected with one. */
function changingBranches<Answer extends string, E, BranchError, More extends Command.Command.Config>(
  name: string,
  more: More,
  act: (
    target: Target.Target["Service"],
    id: string,
    given: { readonly scope: "branch" | "graph" } & Target.Given<More>
  ) => Effect.Effect<BranchAnswer, BranchError>,
  action: Action<Answer, E>
) {
  const scope = Flag.Literals("scope", ["branch", "graph"]).pipe(
    Flag.withDescription(
      "Which tasks are meant with it: branch, all that depend on it, directly or not; graph, all that are connected"
    ),
    Flag.optional
  )
  return Target.command(name, { ...flags(action.selectable), scope, ...more }, (all) => {
    const given = all as Given & { readonly scope: Option.Option<"branch" | "graph"> } & Target.Given<More>
    const scope = Option.getOrUndefined(given.scope)
    return scope === undefined
      ? each(given, action)
      : branches(given, (target, id) => act(target, id, { ...given, scope }))
  })
}

/** What became of a branch: how many members it has, and how many of them ended up how. */
interface BranchAnswer extends Readonly<Record<string, number | ReadonlyArray<string>>> {
  readonly members: number
  readonly own: number
  readonly blocked_by: ReadonlyArray<string>
}

/** Does it to the branches of the tasks that are named. */
const branches = Effect.fnUntraced(function*<E>(
  { ids, json, queue, status, type }: Given,
  act: (target: Target.Target["Service"], id: string) => Effect.Effect<BranchAnswer, E>
) {
  if (ids.length === 0 || status.length + type.length + queue.length > 0) {
    return yield* usage("Whose branch or graph?", "Give the ids of tasks, and no other filter, with --scope.")
  }
  const target = yield* Target.Target
  const paint = yield* Screen.paint
  for (const id of ids) {
    const { blocked_by: blockedBy, members, own, ...counts } = yield* Effect.mapError(act(target, id), target.problem)
    if (json) {
      yield* Screen.json({ id, members, own, ...counts, ...blockedBy.length === 0 ? {} : { blocked_by: blockedBy } })
      continue
    }
    const parts = Object.entries(counts).flatMap(([answer, count]) =>
      typeof count === "number" && count > 0 ? [`${Words.count(count)} ${answer}`] : []
    )
    yield* Screen.line(`${paint.bold(Screen.plain(id))}  ${[Words.counted(members, "task"), ...parts].join(", ")}`)
    if (blockedBy.length > 0) {
      yield* Screen.line(`  blocked by ${blockedBy.map(Screen.plain).join(", ")}: run these again first`)
    }
    if (own > 0) {
      yield* Screen.line(`  ${Words.counted(own, "task")} of batches left alone: see taskforge batches`)
    }
  }
})

/** The flags that name tasks; `states` are those in which there is something to do. */
function flags(states: ReadonlyArray<TaskState>) {
  const ids = Argument.String("id").pipe(Argument.withDescription("The task"), Argument.variadic())
  return { ids, ...Listing.filters(states, "All tasks", "With --status: only tasks") }
}

type Given = Target.Given<ReturnType<typeof flags>>

/** What is done to each. */
interface Action<Answer extends string, E> {
  readonly doing: string
  readonly selectable: ReadonlyArray<TaskState>
  readonly one: (target: Target.Target["Service"], id: string) => Effect.Effect<Answer, E>
  /** With one request. What another one was faster with has an answer without a word. */
  readonly many: (
    target: Target.Target["Service"],
    ids: ReadonlyArray<string>
  ) => Effect.Effect<{ readonly results: ReadonlyArray<{ readonly status: string }> }, E>
  readonly words: Record<Answer, string>
}

/** Does it to the tasks that are named, or to those that match. What fails for one does not keep it from the others. */
const each = Effect.fnUntraced(function*<Answer extends string, E>(given: Given, action: Action<Answer, E>) {
  const { ids, queue, status, type } = given
  if (ids.length > 0 && status.length + type.length + queue.length > 0) {
    return yield* wrong("Tasks are named by ids or by what they have in common, not by both")
  }
  if (ids.length > 0) return yield* named(given, action)
  if (status.length > 0) return yield* matching(given, action)
  return yield* wrong("Which tasks?")

  function wrong(problem: string) {
    return usage(problem, `Give their ids, or --status with one of: ${action.selectable.join(", ")}.`)
  }
})

const named = Effect.fnUntraced(function*<Answer extends string, E>(
  { ids, json }: Given,
  { one, words }: Action<Answer, E>
) {
  const target = yield* Target.Target
  const paint = yield* Screen.paint
  const failures: Array<Failure> = []
  for (const id of ids) {
    const failure = yield* one(target, id).pipe(
      Effect.flatMap((answer) =>
        json
          ? Screen.json({ id, status: answer })
          : Screen.line(`${paint.bold(Screen.plain(id))}  ${words[answer]}`)
      ),
      Effect.as(undefined),
      Effect.catch((error) => Effect.succeed(target.problem(error)))
    )
    if (failure === undefined) continue
    if (ids.length === 1 || failure.exit === "unavailable" || failure.exit === "forbidden") return yield* failure
    failures.push(failure)
    yield* json
      ? Screen.json({ id, error: { code: failure.code, message: failure.problem } })
      : Screen.line(`${paint.bold(Screen.plain(id))}  ${paint.bad(failure.problem)}`)
  }
  if (failures.length > 0) {
    return yield* new Failure({
      exit: "failed",
      code: "not_all",
      problem: `${failures.length} of ${Words.counted(ids.length, "task")} failed`
    })
  }
})

const matching = Effect.fnUntraced(function*<Answer extends string, E>(
  given: Given,
  { doing, many, words }: Action<Answer, E>
) {
  const target = yield* Target.Target
  const { api, ask, problem } = target
  const progress = yield* Progress.make(doing)
  const answers: Record<string, number> = {}
  let done = 0
  const query = { ...Listing.filterOf(given), limit: pageSize.max }
  let cursor: string | undefined
  do {
    const page: typeof TaskPageJson.Type = yield* ask(
      api.tasks.list({ query: cursor === undefined ? query : { ...query, cursor } })
    )
    if (page.tasks.length > 0) {
      const { results } = yield* Effect.mapError(many(target, page.tasks.map(({ id }) => id)), problem)
      // Another operator or an instance was faster with those whose answer has no word: they are not what was asked for
      for (const { status } of results) {
        const answer = status in words ? status : "gone"
        answers[answer] = (answers[answer] ?? 0) + 1
      }
      done += results.length
      yield* progress.update(done)
    }
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  yield* progress.clear
  if (given.json) return yield* Screen.json({ matched: done, ...answers })
  const parts = Object.entries(answers).map(([answer, count]) => `${Words.count(count)} ${answer}`)
  yield* Screen.line(done === 0 ? "No task matches." : `${Words.counted(done, "task")}: ${parts.join(", ")}`)
})
