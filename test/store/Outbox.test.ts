import { assert, describe, it } from "@effect/vitest"
import { Outbox } from "../../src/store/Notifier.ts"

/** What PostgreSQL refuses: the payload of a notification is shorter. */
const tooManyBytes = 8000

describe("what waits to be sent fits notifications, whatever the ids are", () => {
  const kinds = {
    "short ones": Array.from({ length: 5000 }, (_, index) => index.toString(36)),
    "long ones": Array.from({ length: 40 }, (_, index) => String(index).padEnd(255, "x")),
    "those of three bytes a character": Array.from({ length: 40 }, (_, index) => String(index).padEnd(255, "漢")),
    "those that JSON escapes": Array.from({ length: 40 }, (_, index) => String(index).padEnd(255, "\u0001"))
  }
  for (const [what, ids] of Object.entries(kinds)) {
    it(what, () => {
      const outbox = new Outbox()
      outbox.post({ _tag: "Work" })
      for (const kind of ["cancel", "finished", "awaited"] as const) outbox.add(kind, ids)
      const sent = { cancel: [] as Array<string>, finished: [] as Array<string>, awaited: [] as Array<string> }
      while (!outbox.isEmpty) {
        const hints = outbox.take()
        const payload = JSON.stringify({ from: "4e1c2f6c-6a7e-4f29-8a53-8a3f4cf4cf11", ...hints })
        assert.isBelow(Buffer.byteLength(payload), tooManyBytes)
        for (const kind of ["cancel", "finished", "awaited"] as const) sent[kind].push(...hints[kind] ?? [])
      }
      assert.deepStrictEqual(sent, { cancel: ids, finished: ids, awaited: ids })
    })
  }

  it("an id that no notification holds is left to polling", () => {
    const outbox = new Outbox()
    outbox.add("finished", ["x".repeat(tooManyBytes), "a"])
    assert.deepStrictEqual(outbox.take(), { finished: ["a"] })
    assert.isTrue(outbox.isEmpty)
  })
})
