/** Many tasks from lines of JSON, in batches as they come, with a progress bar for people. */
import { Effect, type Schema, Stream } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { NewTaskJson } from "../http/api/NewTaskJson.ts"
import { Failure } from "./Failure.ts"
import * as Input from "./Input.ts"
import * as Progress from "./Progress.ts"
import * as RemoteTasks from "./RemoteTasks.ts"
import * as Screen from "./Screen.ts"
import * as Words from "./Words.ts"

/** Tasks in a request at most, and roughly the bytes: the server takes 1 MiB. */
const batch = { tasks: 1000, bytes: 400_000 }

/** What to enqueue, and how. */
export interface Options<E, R> {
  readonly lines: Stream.Stream<{ readonly number: number; readonly text: string }, Failure, R>
  readonly toTask: (json: Schema.Json) => Effect.Effect<NewTaskJson, E>
  readonly whenFull: "fail" | "wait"
  readonly json: boolean
}

/** A line that has become a task. */
interface Item {
  readonly number: number
  readonly bytes: number
  readonly task: NewTaskJson
}

/** Enqueues a task per line. A line that is none stops it; those before have been enqueued then. */
export const enqueue = Effect.fnUntraced(function*<R>({ json, lines, toTask, whenFull }: Options<Failure, R>) {
  const startedAt = yield* MonotonicClock.now
  const progress = yield* Progress.make("Enqueueing")
  let accepted = 0
  let duplicates = 0
  let lastLine = 0

  const send = Effect.fnUntraced(function*(items: ReadonlyArray<Item>) {
    if (items.length === 0) return
    const created = yield* Effect.mapError(
      RemoteTasks.submit(items.map(({ task }) => task), whenFull, accepted > 0),
      (failure) => stopped(failure, `lines ${items[0]!.number} to ${items.at(-1)!.number}`, lastLine)
    )
    accepted += created.length
    duplicates += created.filter(({ duplicate }) => duplicate).length
    lastLine = items.at(-1)!.number
    yield* progress.update(accepted)
  })

  let waiting: Array<Item> = []
  let bytes = 0
  yield* lines.pipe(
    Stream.runForEach(Effect.fnUntraced(function*({ number, text }) {
      const task = yield* Effect.flatMap(Input.json(text, `line ${number}`), toTask).pipe(
        // What comes before is good: it is sent before the command stops. If that fails, that is what stopped it
        Effect.catch((failure) =>
          Effect.andThen(
            send(waiting),
            Effect.failSync(() => stopped(failure, `line ${number}`, lastLine))
          )
        )
      )
      waiting.push({ number, task, bytes: text.length })
      bytes += text.length + 60
      if (waiting.length < batch.tasks && bytes < batch.bytes) return
      const full = waiting
      waiting = []
      bytes = 0
      yield* send(full)
    })),
    Effect.andThen(Effect.suspend(() => send(waiting))),
    Effect.ensuring(progress.clear)
  )

  const created = accepted - duplicates
  if (json) return yield* Screen.json({ accepted, created, duplicates })
  const paint = yield* Screen.paint
  if (accepted === 0) return yield* Screen.line("There were no lines, so nothing was enqueued.")
  const seconds = Math.max(1, (yield* MonotonicClock.now) - startedAt) / 1000
  const rate = paint.dim(`in ${Words.precise(seconds * 1000)} (${Words.count(Math.round(accepted / seconds))}/s)`)
  const known = duplicates === 0 ? "" : `; ${Words.count(duplicates)} existed already`
  yield* Screen.line(`${paint.good("✓")} Enqueued ${Words.counted(created, "task")} ${rate}${known}`)
})

const stopped = (failure: Failure, where: string, lastLine: number): Failure => {
  const ofInput = failure.exit === "input" && !failure.problem.startsWith(where)
  const progress = lastLine === 0
    ? "Nothing has been enqueued."
    : `Everything up to line ${lastLine} has been enqueued; go on with: tail -n +${lastLine + 1}`
  return new Failure({
    exit: failure.exit,
    ...(failure.code === undefined ? {} : { code: failure.code }),
    problem: ofInput ? `${where}: ${failure.problem}` : failure.problem,
    advice: ofInput || failure.advice === undefined ? progress : `${progress}\n${failure.advice}`
  })
}
