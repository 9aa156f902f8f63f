/**
 * Runs random sequences of operations on a store of records and on another one, the model or the memory store, and compares
 * every answer and everything that can be seen. Versions are compared by their order: each store has numbers of its own.
 */
import { assert, describe } from "@effect/vitest"
import { Arbitrary, Clock, Context, Effect, Layer, Schema } from "effect"
import { isDeepStrictEqual } from "node:util"
import { MemoryStore } from "taskforge"
import {
  absent,
  type DueRecords,
  type InvalidOption,
  type RecordChange,
  type RecordConflict,
  RecordStore,
  type StoreError
} from "taskforge/store"
import type { Driver } from "../conformance/driver.ts"
import { check, type Step } from "./check.ts"
import { RecordModel } from "./RecordModel.ts"

const kinds = ["k", "l"] as const
const ids = ["a", "b", "ab", "\uffff", "😀"] as const
const kind = Schema.Literals(kinds)
const limit = Schema.Literals([1, 2, 100])

const Changed = Schema.Struct({
  kind,
  id: Schema.Literals(ids),
  /** The version that the record has, one that it had before, or none. */
  expects: Schema.Literals(["found", "found", "found", "old", "none"]),
  document: Schema.NullOr(Schema.Literals(["1", "2"])),
  dueIn: Schema.Union([Schema.Literals([-1000, 0, 2000]), Schema.Undefined]),
  /** Whether that is said as a time or as a wait, where it is not past. */
  asTime: Schema.Boolean
})

const Operation = Schema.Union([
  Schema.Struct({
    do: Schema.Literal("put"),
    changes: Schema.Array(Changed).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
    nonce: Schema.Union([Schema.Literals(["n0", "n1", "n2"]), Schema.Undefined])
  }),
  Schema.Struct({ do: Schema.Literal("take"), kind, limit, leaseForMs: Schema.Literals([1000, 5000]) }),
  Schema.Struct({ do: Schema.Literal("advance"), ms: Schema.Literals([1, 1000, 3000]) })
])
type Operation = typeof Operation.Type

const operations = {
  sequences: Arbitrary.array(Arbitrary.schema(Operation), { minLength: 1, maxLength: 60 }),
  onceFailed: []
}

/** Holds a driver to the model. Its clock must stand at the test's own, and move by `advance` alone. */
export const recordModel = (name: string, driver: Driver, options: { readonly runs: number }): void => {
  const begin = Effect.gen(function*() {
    const model = new RecordModel(yield* Clock.currentTimeMillis)
    return yield* side(driver, model.store, (ms) => {
      model.now += ms
    })
  })
  describe(`${name} keeps records like the model`, () => {
    check("whatever is done to it, in whatever order", begin, operations, options)
  })
}

/** Holds a driver to the memory store. */
export const recordDifferential = (name: string, driver: Driver, options: { readonly runs: number }): void => {
  const begin = Effect.gen(function*() {
    let now = yield* Clock.currentTimeMillis
    const clock: Clock.Clock = Object.assign(Object.create(yield* Clock.Clock) as Clock.Clock, {
      currentTimeMillisUnsafe: () => now
    })
    const layer = Layer.provide(Layer.fresh(MemoryStore.layer()), Layer.succeed(Clock.Clock, clock))
    const memory = Context.get(yield* Layer.build(layer), RecordStore)
    return yield* side(driver, memory, (ms) => {
      now += ms
    })
  })
  describe(`${name} keeps records like the memory store`, () => {
    check("whatever is done to both, in whatever order", begin, operations, options)
  })
}

type Store = Omit<RecordStore["Service"], "atomically">

/** A fresh store beside another one. */
const side = Effect.fnUntraced(function*(driver: Driver, other: Store, pass: (ms: number) => void) {
  const store = Context.get(yield* Layer.build(Layer.fresh(driver.layer({}))), RecordStore)
  const [actual, expected] = [new Seen(store), new Seen(other)]
  const step: Step<Operation> = Effect.fnUntraced(function*(operation) {
    if (operation.do === "advance") {
      pass(operation.ms)
      return yield* driver.advance(operation.ms)
    }
    agree("the answer", yield* actual.answer(operation), yield* expected.answer(operation))
    agree("what is stored", yield* actual.everything, yield* expected.everything)
  })
  return step
})

/** A store, and the versions of its records that were seen. */
class Seen {
  private readonly store: Store
  /** In the order in which they were seen first. */
  private readonly versions: Array<number> = [absent]
  private readonly ofRecord = new Map<string, Array<number>>()

  constructor(store: Store) {
    this.store = store
  }

  answer(operation: Exclude<Operation, { readonly do: "advance" }>): Effect.Effect<unknown> {
    const call: Effect.Effect<number | DueRecords, InvalidOption | RecordConflict | StoreError> =
      operation.do === "take"
        ? this.store.take(operation.kind, operation.limit, operation.leaseForMs)
        : Effect.flatMap(
          this.store.due("k", 1),
          ({ now }) => this.store.put(operation.changes.map((change) => this.change(change, now)), operation.nonce)
        )
    return Effect.map(Effect.result(call), (result) => {
      if (result._tag === "Success") {
        const { success } = result
        return typeof success === "number" ? this.orderOf(success) : this.plain(success)
      }
      const { failure } = result
      return failure._tag === "RecordConflict"
        ? { index: failure.index, found: this.orderOf(failure.found), expected: this.orderOf(failure.expected) }
        : failure._tag
    })
  }

  get everything(): Effect.Effect<unknown, unknown> {
    return Effect.gen({ self: this }, function*() {
      const all: Array<unknown> = []
      for (const kind of kinds) {
        const records = yield* this.store.get(kind, ids)
        for (const record of records) if (record !== undefined) this.note(kind, record.id, record.version)
        all.push(records.map((record) => record && { ...record, version: this.orderOf(record.version) }))
        for (const request of [{}, { prefix: "a", after: "a", limit: 1 }]) {
          const { more, records: listed } = yield* this.store.list(kind, request)
          all.push(more, listed.map(({ id }) => id))
        }
        all.push(this.plain(yield* this.store.due(kind, 2)))
      }
      return all
    })
  }

  private change({ asTime, dueIn, expects, ...change }: typeof Changed.Type, now: number): RecordChange {
    const versions = this.ofRecord.get(`${change.kind} ${change.id}`) ?? []
    const due = dueIn === undefined ? {} : asTime || dueIn < 0 ? { dueAt: now + dueIn } : { dueInMs: dueIn }
    return {
      ...change,
      ...due,
      expects: expects === "none" ? absent : (expects === "old" ? versions[0] : versions.at(-1)) ?? absent
    }
  }

  /** Versions of a record grow, whatever happens to it. */
  private note(kind: string, id: string, version: number): void {
    const name = `${kind} ${id}`
    const versions = this.ofRecord.get(name) ?? []
    this.ofRecord.set(name, versions)
    const last = versions.at(-1) ?? absent
    if (version === last) return
    assert.isAbove(version, last, `the version of ${name}`)
    versions.push(version)
  }

  private orderOf(version: number): number {
    const known = this.versions.indexOf(version)
    return known === -1 ? this.versions.push(version) - 1 : known
  }

  private plain({ records, ...due }: DueRecords): unknown {
    return { ...due, records: records.map((record) => ({ ...record, version: this.orderOf(record.version) })) }
  }
}

const agree = (what: string, actual: unknown, expected: unknown): void => {
  if (!isDeepStrictEqual(actual, expected)) {
    assert.fail(`${what}: one store has ${JSON.stringify(actual)}, the other ${JSON.stringify(expected)}`)
  }
}
