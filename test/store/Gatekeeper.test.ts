import { assert, describe, it } from "@effect/vitest"
import * as Gate from "../../src/domain/Gate.ts"
import { Gatekeeper } from "../../src/store/Gatekeeper.ts"
import { type GatedTask, Lines } from "../../src/store/Lines.ts"
import type { Heap } from "../../src/store/Order.ts"

/** A lane whose lines are in this process's memory, and how often a gate was looked at. */
const laneWith = (limits: ReadonlyMap<string, Gate.Limit>) => {
  const buckets = new Map<Gate.Pass, Gate.Bucket>()
  const waiting = new Map<string, Array<GatedTask>>()
  const keeper: Gatekeeper<GatedTask> = new Gatekeeper({
    rulesVersion: () => 0,
    headStartMs: 0,
    isPaused: () => false,
    limitOf: (pass) => limits.get(Gate.limitOf(pass)),
    bucketOf: (pass) => buckets.get(pass),
    setBucket: (pass, bucket) => buckets.set(pass, bucket),
    holderOf: () => undefined,
    holderIn: () => undefined,
    setHolder: () => {},
    setTurn: () => {},
    reopened: () => {}
  })
  let looks = 0
  const original = keeper.refusalOf.bind(keeper)
  keeper.refusalOf = (line, task) => {
    looks++
    return original(line, task)
  }
  const lines = new Lines("queue", "type", keeper, (gate) => {
    const tasks: Array<GatedTask> = []
    waiting.set(gate, tasks)
    return { first: () => tasks[0], shift: () => tasks.shift(), stepOver: () => {}, left: () => {}, parked: () => {} }
  })
  let seq = 0
  const tasks = new Map<string, GatedTask>()
  const add = (...passes: ReadonlyArray<Gate.Pass>): string => {
    const { costs, gate } = Gate.gated(passes.map((pass) => [pass, 1]))
    const task = { id: `task ${++seq}`, rank: seq, seq, priority: 0, gate, costs, standings: undefined }
    tasks.set(task.id, task)
    lines.file(gate!, task)
    waiting.get(gate!)!.push(task)
    return task.id
  }
  const takeAll = (now: number): ReadonlyArray<string> => {
    const taken: Array<string> = []
    keeper.begin(now)
    for (let open = lines.open(undefined); open !== undefined; open = lines.open(undefined)) {
      lines.take(open.line, open.task)
      taken.push(open.task.id)
    }
    return taken
  }
  const looksOf = <A>(action: () => A): readonly [A, number] => {
    looks = 0
    const answer = action()
    return [answer, looks]
  }
  const end = (id: string): void => keeper.end(tasks.get(id)!)
  return { keeper, lines, add, end, takeAll, looksOf }
}

describe("parked lines", () => {
  it("come back as many as a pass that they share has room for, in the order of work", () => {
    const { add, end, looksOf, takeAll } = laneWith(new Map([["smtp", { max: 3 }], ["tenant", { max: 1 }]]))
    const count = 2000
    const ids = Array.from({ length: count }, (_, index) => add("smtp=", `tenant=${index}`))
    assert.deepStrictEqual(takeAll(0), ids.slice(0, 3))
    for (let done = 0; done < 300; done += 3) {
      for (const id of ids.slice(done, done + 3)) end(id)
      const [taken, looks] = looksOf(() => takeAll(0))
      assert.deepStrictEqual(taken, ids.slice(done + 3, done + 6))
      assert.isAtMost(looks, 6)
    }
  })

  it("make room for the next ones where another limit stops those that came back", () => {
    const { add, end, lines, looksOf, takeAll } = laneWith(new Map([["smtp", { max: 1 }], ["tenant", { max: 1 }]]))
    const first = add("smtp=", "tenant=a")
    const others = Array.from({ length: 50 }, (_, index) => add("smtp=", "tenant=b", `other=${index}`))
    const last = add("smtp=", "tenant=c")
    const busy = add("tenant=b")
    assert.deepStrictEqual(takeAll(0), [first, busy])
    end(first)
    const [taken, looks] = looksOf(() => takeAll(0))
    assert.deepStrictEqual(taken, [last])
    assert.isAtMost(looks, 52)
    end(busy)
    assert.deepStrictEqual(takeAll(0), [])
    end(last)
    assert.deepStrictEqual(takeAll(0), [others[0]!])
    assert.strictEqual(lines.size, 49)
  })

  it("have one time at which they wake, however often they are looked at before", () => {
    const { add, keeper, takeAll } = laneWith(new Map([["host", { tokens: 1, perMs: 1000, burst: 1 }]]))
    add("host=x")
    const next = add("host=x")
    assert.strictEqual(takeAll(0).length, 1)
    for (let time = 0; time < 10_000; time++) {
      keeper.release("host=x")
      assert.deepStrictEqual(takeAll(0), [])
    }
    const heap = keeper["wakes"]["heap"] as Heap<unknown>
    assert.isAtMost(heap.size, 100)
    assert.strictEqual(keeper.nextOpenAt(), 1000)
    assert.deepStrictEqual(takeAll(1000), [next])
    assert.isNull(keeper.nextOpenAt())
  })

  it("are not looked at behind a task without a gate", () => {
    const { add, keeper, lines, looksOf } = laneWith(new Map([["tenant", { max: 0 }]]))
    for (let index = 0; index < 100; index++) add(`tenant=${index}`)
    keeper.begin(0)
    const [open, looks] = looksOf(() => lines.open({ rank: 0, seq: 0 }))
    assert.isUndefined(open)
    assert.strictEqual(looks, 0)
  })

  it("come back for a changed limit if they have it, and no others", () => {
    const { add, keeper, looksOf, takeAll } = laneWith(new Map([["tenant", { max: 0 }], ["host", { max: 0 }]]))
    for (let index = 0; index < 100; index++) {
      add(`tenant=${index}`)
      add(`host=${index}`)
    }
    takeAll(0)
    const looksAfter = (id: string) =>
      looksOf(() => {
        keeper.reopenWith(id)
        takeAll(0)
      })[1]
    assert.strictEqual(looksAfter("host"), 100)
    assert.strictEqual(looksAfter("tenant=7"), 1)
    assert.strictEqual(looksAfter("elsewhere"), 0)
  })
})
