/** What a backup of a store sees of what others write meanwhile. */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Backup from "../../src/backup/Backup.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { addOne } from "../store/conformance/fixtures.ts"
import { content, lines } from "./backups.ts"
import { fill } from "./filled.ts"

/** A store that is filled, and changed as soon as a backup of it has begun: the backup is the same as one from before. */
export const seesOneMoment = <E>(
  writer: Layer.Layer<TaskStore | RecordStore, E>,
  reader: Layer.Layer<TaskStore | RecordStore, E>
) =>
  Effect.scoped(Effect.gen(function*() {
    const writing = yield* Layer.build(writer)
    yield* Effect.provideContext(fill, writing)
    const change = Effect.provideContext(
      Effect.gen(function*() {
        yield* addOne({ id: "new" })
        const store = yield* TaskStore
        assert.deepStrictEqual(yield* store.remove(["failed"]), ["removed"])
        assert.deepStrictEqual(yield* store.cancel(["soon"]), ["cancelled"])
      }),
      writing
    )
    const reading = yield* Layer.build(Layer.fresh(reader))
    const before = yield* Effect.provideContext(lines(), reading)
    const { archive } = Context.get(reading, TaskStore)
    const texts: Array<string> = []
    yield* Effect.provideContext(
      Backup.run(archive!, { id: "two", store: "test" }, (text) =>
        Effect.andThen(
          Effect.sync(() => texts.push(text)),
          texts.length === 1 ? change : Effect.void
        )),
      reading
    )
    assert.include(texts[0], "\"isSnapshot\":true")
    assert.deepStrictEqual(contentWithoutTimes(texts.join("").trimEnd().split("\n")), contentWithoutTimes(before))
    const after = yield* Effect.provideContext(lines(), reading)
    assert.isTrue(after.some((line) => line.includes("\"id\":\"new\"")))
  }))

/** What ran was released when the backup began. */
const contentWithoutTimes = (texts: ReadonlyArray<string>) =>
  content(texts).map((line) =>
    line.startsWith("{\"kind\":\"end\"") ? "" : line.replaceAll(/"(endedAt|completedAt)":\d+/g, "")
  )
