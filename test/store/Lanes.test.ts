import { assert, describe, it } from "@effect/vitest"
import { LaneOrder, wantedOf } from "../../src/store/Lanes.ts"
import { byRank, type Place } from "../../src/store/Order.ts"
import { OrderedLane } from "../../src/store/OrderedLane.ts"
import { SeededRandom } from "../../src/testing/SeededRandom.ts"

interface Task extends Place {
  readonly queue: string
  readonly type: string
}

/** A lane that knows its tasks in order. */
class Lane extends OrderedLane<Task, Lane> {
  readonly tasks: Array<Task> = []

  protected firstPlain() {
    return this.tasks[0]
  }

  protected shiftPlain() {
    this.tasks.shift()
  }
}

const inOrder = (a: Task, b: Task) => byRank(a, b) ? -1 : 1

const names = (prefix: string) => Array.from({ length: 6 }, (_, index) => `${prefix}${index}`)
const [queues, types] = [names("q"), names("t")]

describe("the order of lanes", () => {
  it("gives what sorting all tasks would, whatever is wanted and paused", () => {
    for (let seed = 0; seed < 200; seed++) claimsAgree(new SeededRandom(seed, "lanes"), `seed ${seed}`)
  })
})

/** Adds tasks and takes some, in turns. */
const claimsAgree = (random: SeededRandom, message: string): void => {
  const some = (all: ReadonlyArray<string>) => all.filter(() => random.chance(0.5))
  const lanes = new LaneOrder<Task, Lane>((queue, ofType) => new Lane(queue, ofType))
  let waiting: Array<Task> = []
  for (let seq = 1; seq <= 100; seq++) {
    for (let added = 0; added < 3; added++) {
      const task = { queue: random.pick(queues), type: random.pick(types), rank: random.int(20), seq: seq * 10 + added }
      const { tasks } = lanes.file(task.queue, task.type, task)
      tasks.push(task)
      tasks.sort(inOrder)
      waiting.push(task)
    }
    const paused = some(queues)
    const pausedTypes = random.chance(0.5) ? [random.pick(types)] : []
    const wanted = { types: some(types), ...(random.chance(0.5) ? { queues: some(queues) } : {}) }
    const isWanted = ({ queue, type }: Task) =>
      wanted.types.includes(type) && wanted.queues?.includes(queue) !== false && !paused.includes(queue) &&
      !pausedTypes.includes(type)
    const limit = random.int(20)
    const taken = lanes.take(
      wantedOf(wanted, {
        isPaused: (queue) => paused.includes(queue),
        isTypePaused: (type) => pausedTypes.includes(type)
      }),
      limit
    )
    assert.deepStrictEqual(taken, waiting.filter(isWanted).sort(inOrder).slice(0, limit), message)
    waiting = waiting.filter((task) => !taken.includes(task))
    const left = new Set(waiting.map(({ queue, type }) => `${queue}/${type}`))
    assert.strictEqual(lanes.size, left.size, message)
    const stranded = lanes.stranded(new Map(), 100, (lane) => lane.first()?.rank)
    assert.deepStrictEqual(new Set(stranded.map(({ queue, type }) => `${queue}/${type}`)), left, message)
  }
}
