/** What must hold of the logs of tasks on every store. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import * as TaskLogs from "../../src/logs/TaskLogs.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { type ClaimRef, TaskStore } from "../../src/store/TaskStore.ts"
import { type Driver, scenario } from "../store/conformance/driver.ts"
import {
  add,
  addOne,
  again,
  complete,
  hour,
  record,
  rerun,
  running,
  settled,
  takeOne
} from "../store/conformance/fixtures.ts"

const lineOf = (n: number, text: string) => ({ n, at: 1_700_000_000_000, level: "Info", text }) as const

/** What an attempt has logged. */
const part = (
  { attempt, claim, id }: ClaimRef & { readonly attempt: number },
  texts: ReadonlyArray<string>,
  version?: number
): TaskLogs.Part => {
  const lines = JSON.stringify(texts.map((text, index) => lineOf(index + 1, text)))
  const entry = TaskLogs.entryOf({ attempt, claim, instance: "instance-1" }, texts.length, lines)
  return { id, claim, attempt, entry, version }
}

const write = (...parts: ReadonlyArray<TaskLogs.Part>) => TaskLogs.write(parts, hour)

/** The lines of each attempt at a task, by the number of the attempt. */
const logsOf = Effect.fnUntraced(function*(id: string) {
  const attempts = yield* TaskLogs.read(yield* record(id))
  return attempts.map(({ attempt, lines }) => [attempt, ...lines.map(({ text }) => text)])
})

const stored = Effect.map(RecordStore.use((store) => store.list(TaskLogs.kind)), ({ records }) => records)

const sweep = (keepForMs = 14 * 24 * hour) =>
  Effect.gen(function*() {
    const tasks = yield* TaskStore
    let removed = 0
    for (;;) {
      const swept = yield* TaskLogs.sweep(tasks, { keepForMs, againInMs: 6 * hour })
      removed += swept.removed
      if (swept.nextInMs !== 0) return { removed, nextInMs: swept.nextInMs }
    }
  })

/** Texts that stores have trouble with. */
const texts = ["\ufffd", "'\"\\`$1 ${x} %s", "漢字 😀", "a\nb\tc", "{\"attempts\":[]}", "null", ""]

export const keepsLogs = (name: string, driver: Driver) =>
  describe(name, () => {
    scenario(driver, "gives back what attempts have logged, and nothing of a task without a log", () =>
      Effect.gen(function*() {
        const one = yield* running()
        const [two] = yield* add({})
        yield* write(part(one, texts, 0))
        assert.deepStrictEqual(yield* logsOf(one.id), [[1, ...texts]])
        assert.deepStrictEqual(yield* logsOf(two), [])
      }))

    scenario(driver, "adds attempt to attempt, and replaces what the same attempt has written", () =>
      Effect.gen(function*() {
        const first = yield* running()
        yield* write(part(first, ["a"], 0))
        yield* write(part(first, ["a", "b"]))
        yield* settled(again(first, 0))
        const second = yield* takeOne()
        yield* write(part(second, ["c"]))
        assert.deepStrictEqual(yield* logsOf(first.id), [[1, "a", "b"], [2, "c"]])
        // An instance that stood still writes what it had, after another one
        yield* write(part(first, ["a", "b", "late"]))
        assert.deepStrictEqual(yield* logsOf(first.id), [[1, "a", "b", "late"], [2, "c"]])
      }))

    scenario(driver, "writes many tasks together, though the versions of some are not what was thought", () =>
      Effect.gen(function*() {
        const tasks = yield* Effect.forEach(Array.from({ length: 250 }), () =>
          running())
        const parts = tasks.map((task) =>
          part(task, [task.id], 0)
        )
        const versions = yield* write(...parts)
        assert.strictEqual(versions.size, 250)
        yield* write(part(tasks[7]!, ["changed"]))
        yield* write(...parts.map((one) => ({ ...one, version: versions.get(one.id) })))
        assert.deepStrictEqual(yield* logsOf(tasks[7]!.id), [[1, tasks[7]!.id]])
        // Two attempts of one task in one write
        yield* settled(again(tasks[0]!, 0))
        const next = yield* takeOne()
        yield* write(part(tasks[0]!, ["one"]), part(next, ["two"]), part(tasks[1]!, ["other"]))
        assert.deepStrictEqual(yield* logsOf(next.id), [[1, "one"], [2, "two"]])
        assert.deepStrictEqual(yield* logsOf(tasks[1]!.id), [[1, "other"]])
      }))

    scenario(driver, "writes from several instances at the same time, and loses none", () =>
      Effect.gen(function*() {
        const first = yield* running()
        yield* settled(again(first, 0))
        const second = yield* takeOne()
        yield* settled(again(second, 0))
        const third = yield* takeOne()
        yield* Effect.forEach([first, second, third], (one) =>
          write(part(one, [`of ${one.attempt}`])), {
          concurrency: "unbounded",
          discard: true
        })
        assert.deepStrictEqual(yield* logsOf(first.id), [[1, "of 1"], [2, "of 2"], [3, "of 3"]])
      }))

    scenario(driver, "keeps the latest attempts within the bytes of a task, and as many as a task remembers", () =>
      Effect.gen(function*() {
        let one = yield* running({ maxRetries: -1 })
        const long = ["x".repeat(40_000)]
        for (let attempt = 1; attempt <= 6; attempt++) {
          yield* write(part(one, long))
          yield* settled(again(one, 0))
          one = yield* takeOne()
        }
        const kept = (yield* logsOf(one.id)).map(([attempt]) =>
          attempt
        )
        assert.deepStrictEqual(kept, [3, 4, 5, 6])
        for (let attempt = 7; attempt <= 40; attempt++) {
          yield* write(part(one, ["short"]))
          yield* settled(again(one, 0))
          one = yield* takeOne()
        }
        assert.deepStrictEqual(
          (yield* logsOf(one.id)).map(([attempt]) =>
            attempt
          ),
          Array.from({ length: 20 }, (_, index) =>
            index + 21)
        )
        assert.isAtMost(Buffer.byteLength((yield* stored)[0]!.document), TaskLogs.maxTaskBytes + 64 * 1024)
      }))

    scenario(driver, "hides what a removed task with the same id has logged, and writes over it", () =>
      Effect.gen(function*() {
        const before = yield* running({ id: "daily" })
        yield* write(part(before, ["yesterday"], 0))
        yield* settled(complete(before))
        yield* TaskStore.use((store) =>
          store.remove(["daily"])
        )
        const after = yield* running({ id: "daily" })
        assert.deepStrictEqual(yield* logsOf("daily"), [])
        yield* write(part(after, ["today"], 0))
        assert.deepStrictEqual(yield* logsOf("daily"), [[1, "today"]])
        assert.notInclude((yield* stored)[0]!.document, "yesterday")
      }))

    scenario(driver, "keeps the log of a task that is run again", () =>
      Effect.gen(function*() {
        const one = yield* running()
        yield* write(part(one, ["a"], 0))
        yield* TaskStore.use((store) =>
          store.cancel([one.id])
        )
        yield* settled({ _tag: "Cancel", id: one.id, claim: one.claim })
        yield* rerun(one.id)
        assert.deepStrictEqual(yield* logsOf(one.id), [[1, "a"]])
        yield* write(part(yield* takeOne(), ["b"]))
        assert.deepStrictEqual(yield* logsOf(one.id), [[1, "a"], [2, "b"]])
      }))

    scenario(driver, "removes logs with their tasks, at once and by sweeping; nothing stays for ever", () =>
      Effect.gen(function*() {
        const tasks = yield* Effect.forEach(Array.from({ length: 60 }), () =>
          running())
        yield* write(...tasks.map((task) =>
          part(task, ["a"], 0)
        ))
        yield* TaskLogs.remove([
          ...tasks.slice(0, 10).map(({ id }) =>
            id
          ),
          "nobody",
          "nobody"
        ])
        assert.lengthOf(yield* stored, 50)
        // Retention takes tasks away without a word about it
        for (const task of tasks.slice(10, 40)) {
          yield* settled(complete(task))
        }
        yield* TaskStore.use((store) =>
          store.remove(
            tasks.slice(10, 40).map(({ id }) =>
              id
            )
          )
        )
        assert.strictEqual((yield* sweep()).removed, 0)
        yield* driver.advance("61 minutes")
        const { nextInMs, removed } = yield* sweep()
        assert.strictEqual(removed, 30)
        assert.isAtLeast(nextInMs, 5 * hour)
        assert.lengthOf(yield* stored, 20)
        yield* driver.advance("6 hours")
        assert.strictEqual((yield* sweep()).removed, 0)
        // A task that stays keeps its log for its time alone
        yield* driver.advance("7 hours")
        assert.strictEqual((yield* sweep(12 * hour)).removed, 20)
        assert.deepStrictEqual(yield* stored, [])
        assert.strictEqual((yield* sweep()).nextInMs, Infinity)
      }))

    scenario(driver, "is written while another one sweeps", () =>
      Effect.gen(function*() {
        const one = yield* running()
        const versions = yield* write(part(one, ["a"], 0))
        yield* driver.advance("61 minutes")
        yield* sweep()
        yield* write(part(one, ["a", "b"], versions.get(one.id)))
        assert.deepStrictEqual(yield* logsOf(one.id), [[1, "a", "b"]])
        // What a newer version has written hides nothing that this one can read
        const [record] = yield* stored
        const document = record!.document.replace("[", "[{\"claim\":\"?\"},7,")
        yield* RecordStore.use((store) =>
          store.put([{ kind: TaskLogs.kind, id: one.id, expects: record!.version, document }])
        )
        assert.deepStrictEqual(yield* logsOf(one.id), [[1, "a", "b"]])
        yield* TaskLogs.remove([one.id])
        assert.deepStrictEqual(yield* logsOf(one.id), [])
        yield* addOne()
      }))
  })
