import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as Breaker from "../../src/Breaker.ts"
import { InvalidOption } from "../../src/domain/Errors.ts"
import * as Gate from "../../src/domain/Gate.ts"
import * as Limit from "../../src/Limit.ts"
import { fromJson, fromPayload, invalidOption } from "../../src/queue/Submission.ts"
import * as Task from "../../src/Task.ts"
import * as Unique from "../../src/Unique.ts"

const Sync = Task.make("sync", {
  payload: { tenant: Schema.String, url: Schema.String, size: Schema.Finite },
  orderBy: ({ tenant }) => tenant,
  limits: ({ concurrency, rate }) => [
    concurrency({ key: ({ tenant }) => tenant, max: 2 }),
    concurrency({ max: 10 }),
    rate({ key: ({ url }) => new URL(url).host, cost: ({ size }) => size, max: 100, per: "1 minute" })
  ],
  fairBy: { key: ({ tenant }) => tenant, weights: { gold: 3 } }
})

const refusedOption = (make: () => unknown): InvalidOption => {
  try {
    make()
  } catch (error) {
    assert.instanceOf(error, InvalidOption)
    return error
  }
  return assert.fail("not refused")
}

const anyKey = () => "a"

describe("the rules of a definition", () => {
  it("have names, the order first and fairness last", () => {
    assert.deepStrictEqual(
      Sync.limits.map(({ limit, name }) => [name, limit]),
      [
        ["!sync:order", { order: "block" }],
        ["sync:concurrency", { max: 2 }],
        ["sync:concurrency-2", { max: 10 }],
        ["sync:rate", { tokens: 100, perMs: 60_000, burst: 100 }],
        ["sync:fair", { fair: 1 }]
      ]
    )
    assert.deepStrictEqual([...Sync.limits.at(-1)!.ofKeys], [["gold", { fair: 3 }]])
    const named = Task.make("named", {
      limits: [Limit.concurrency({ name: "smtp", max: 1 }), Limit.rate({ max: 1, per: "1 second", burst: 5 })],
      orderBy: { key: anyKey, onFailure: "continue", name: "line" }
    })
    assert.deepStrictEqual(named.limits.map(({ limit, name }) => [name, limit]), [
      ["!line", { order: "continue" }],
      ["smtp", { max: 1 }],
      ["named:rate", { tokens: 1, perMs: 1000, burst: 5 }]
    ])
    assert.deepStrictEqual(Task.make("plain").limits, [])
  })

  it.each<[string, string, () => unknown]>([
    ["no max", "concurrency.max", () => Limit.concurrency({ max: 0 })],
    ["a max that is no number", "concurrency.max", () => Limit.concurrency({ max: Number.NaN })],
    ["half a task", "concurrency.max", () => Limit.concurrency({ max: 1.5 })],
    ["a max that is missing", "concurrency.max", () => Limit.concurrency({} as never)],
    ["a misspelt option", "concurrency.most", () => Limit.concurrency({ max: 1, most: 2 } as never)],
    ["a key that is no function", "concurrency.key", () => Limit.concurrency({ key: "tenant", max: 1 } as never)],
    ["a rate without a time", "rate.per", () => Limit.rate({ max: 1 } as never)],
    ["a rate in no time", "rate.per", () => Limit.rate({ max: 1, per: 0 })],
    ["a rate of nothing", "rate.max", () => Limit.rate({ max: 0, per: "1 second" })],
    ["a burst below nothing", "rate.burst", () => Limit.rate({ max: 1, per: "1 second", burst: -1 })],
    ["an infinite rate", "rate.max", () => Limit.rate({ max: Infinity, per: "1 second" })],
    ["a name with an equals sign", "rate.name", () => Limit.rate({ max: 1, per: 1, name: "a=b" })],
    ["a name that looks like an order", "concurrency.name", () => Limit.concurrency({ max: 1, name: "!a" })],
    ["an empty name", "concurrency.name", () => Limit.concurrency({ max: 1, name: "" })],
    ["a type that gives no name", "limits.name", () => Task.make("a=b", { limits: [Limit.concurrency({ max: 1 })] })],
    ["a long type", "limits.name", () => Task.make("t".repeat(101), { limits: [Limit.concurrency({ max: 1 })] })],
    [
      "a name twice",
      "limits.name",
      () =>
        Task.make("t", { limits: [Limit.concurrency({ max: 1, name: "a" }), Limit.concurrency({ max: 2, name: "a" })] })
    ],
    [
      "nine rules",
      "limits",
      () => Task.make("t", { limits: Array.from({ length: 8 }, () => Limit.concurrency({ max: 1 })), fairBy: anyKey })
    ],
    ["an order without a key", "orderBy.key", () => Task.make("t", { orderBy: {} as never })],
    [
      "an order that stops",
      "orderBy.onFailure",
      () => Task.make("t", { orderBy: { key: anyKey, onFailure: "stop" as never } })
    ],
    ["a limit that no path can name", "concurrency.name", () => Limit.concurrency({ max: 1, name: ".." })],
    ["a rate that no path can name", "rate.name", () => Limit.rate({ max: 1, per: "1 second", name: "." })],
    ["a breaker that no path can name", "breaker.name", () => Breaker.make(".", { failures: 1 })],
    ["a breaker without options", "breaker", () => Breaker.make("n", undefined as never)],
    ["a breaker of null", "breaker", () => Breaker.make("n", null as never)],
    ["a limit without options", "concurrency", () => Limit.concurrency(undefined as never)],
    ["a rate that is a text", "rate", () => Limit.rate("10/s" as never)],
    ["options that are a text", "options", () => Task.make("t", "payload" as never)],
    ["breakers that are none", "breakers", () => Task.make("t", { breakers: null as never })],
    ["breakers by their names", "breakers", () => Task.make("t", { breakers: ["smtp"] as never })],
    ["retries of null", "retry", () => Task.make("t", { retry: null as never })],
    ["a way to be unique of null", "unique", () => Task.make("t", { unique: null as never })],
    ["a debounce without options", "debounce", () => Unique.debounce(undefined as never)],
    [
      "a throttle without its time",
      "unique.window",
      () => Task.make("t", { unique: Unique.throttle({ key: anyKey } as never) })
    ],
    ["limits that are none", "limits", () => Task.make("t", { limits: null as never })],
    ["a limit without its array", "limits", () => Task.make("t", { limits: Limit.concurrency({ max: 1 }) as never })],
    ["a limit that was not made", "limits", () => Task.make("t", { limits: [{ max: 2 }] as never })],
    ["limits that forget their return", "limits", () => Task.make("t", { limits: (() => undefined) as never })],
    ["limits that come later", "limits", () => Task.make("t", { limits: (() => Promise.resolve([])) as never })],
    ["an order by the name of a field", "orderBy", () => Task.make("t", { orderBy: "tenant" as never })],
    ["an order by nothing", "orderBy", () => Task.make("t", { orderBy: null as never })],
    ["turns by the name of a field", "fairBy", () => Task.make("t", { fairBy: "tenant" as never })],
    [
      "weights without keys",
      "fairBy.weights",
      () => Task.make("t", { fairBy: { key: anyKey, weights: [3] as never } })
    ],
    ["no weights", "fairBy.weights", () => Task.make("t", { fairBy: { key: anyKey, weights: null as never } })],
    ["a rate that never gives anything", "rate.max", () => Limit.rate({ max: 1e-7, per: "1 second" })],
    ["a burst that never fills", "rate.burst", () => Limit.rate({ max: 1, per: "1 second", burst: 1e-7 })],
    ["a rate in less than a millisecond", "rate.per", () => Limit.rate({ max: 1, per: "999 micros" })],
    ["a weight of nothing", "fairBy.weights.a", () => Task.make("t", { fairBy: { key: anyKey, weights: { a: 0 } } })],
    [
      "too many weights",
      "fairBy.weights",
      () =>
        Task.make("t", {
          fairBy: {
            key: anyKey,
            weights: Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`k${index}`, 2]))
          }
        })
    ]
  ])("refuse %s", (_, option, make) => {
    assert.strictEqual(refusedOption(make).option, option)
  })

  it("make the gate of a task, from a program and from JSON", () => {
    const payload = { tenant: "acme", url: "https://example.org/feed", size: 2.5 }
    const expected = {
      gate: JSON.stringify([
        "!sync:order=acme",
        "sync:concurrency=acme",
        "sync:concurrency-2=",
        "sync:rate=example.org",
        "sync:fair=acme"
      ]),
      costs: "[1,1,1,2.5,1]"
    }
    assert.deepStrictEqual(gatedOf(fromPayload(Sync, payload, {}, 0)), expected)
    assert.deepStrictEqual(gatedOf(fromJson(Sync, payload, {}, 0)), expected)
    assert.isUndefined(gatedOf(fromPayload(Task.make("plain"), undefined, {}, 0)))
  })

  const gatedOf = (exit: ReturnType<typeof fromPayload>) => Exit.isSuccess(exit) ? exit.value.gated : assert.fail()

  const issueOf = (
    task: Task.Task<string, typeof Schema.Json, typeof Schema.Void, Schema.Never>,
    payload: Schema.Json
  ) => {
    const exit = fromPayload(task, payload, {}, 3)
    if (Exit.isSuccess(exit)) return assert.fail("accepted")
    const reason = exit.cause.reasons[0]
    if (reason?._tag !== "Fail" || reason.error._tag !== "InvalidPayload") return assert.fail("refused otherwise")
    assert.strictEqual(reason.error.index, 3)
    return reason.error.issue
  }

  const keyed = (key: (payload: any) => any, name?: string) =>
    Task.make("t", { payload: Schema.Json, limits: [Limit.concurrency<any>({ key, max: 1, name })] }) as never
  const costing = (cost: (payload: any) => any) =>
    Task.make("t", { payload: Schema.Json, limits: [Limit.rate<any>({ cost, max: 1, per: 1 })] }) as never

  it("refuse a payload of which no key or cost can be made, and say which", () => {
    assert.include(issueOf(keyed((payload) => payload.a.b), {}), "the key of \"t:concurrency\": Cannot read")
    assert.include(issueOf(keyed(() => undefined), {}), "the key of \"t:concurrency\" is undefined; expected a string")
    assert.include(issueOf(keyed(() => null), {}), "is null; expected a string")
    assert.include(issueOf(keyed(() => 1), {}), "is 1; expected a string")
    assert.include(issueOf(keyed(() => "k".repeat(256)), {}), "expected a string of at most 255")
    assert.include(issueOf(keyed(() => "\u0000"), {}), "U+0000")
    assert.include(issueOf(keyed(() => "\ud800"), {}), "lone surrogates")
    for (const cost of [-1, Number.NaN, Infinity, 1e10, "1", undefined, null]) {
      assert.include(issueOf(costing(() => cost), {}), "the cost of \"t:rate\" is ", String(cost))
    }
    assert.include(
      issueOf(
        keyed(() => {
          throw { toString: () => "odd" }
        }),
        {}
      ),
      "the key of \"t:concurrency\""
    )
  })

  it("take empty keys, whatever else is text, and costs of nothing", () => {
    for (const key of ["", " ", "=", "\"", "日本", "k".repeat(255)]) {
      assert.deepStrictEqual(gatedOf(fromPayload(keyed(() => key), null, {}, 0)), {
        gate: JSON.stringify([`t:concurrency=${key}`]),
        costs: null
      })
    }
    assert.deepInclude(gatedOf(fromPayload(costing(() => 0), null, {}, 0)), { costs: "[0]" })
  })

  it("refuse keys that are too long together, and name the longest", () => {
    const long = Task.make("t", {
      payload: Schema.Json,
      limits: Array.from(
        { length: 4 },
        (_, index) => Limit.concurrency({ name: `n${index}`, key: () => "é".repeat(index === 2 ? 250 : 100), max: 1 })
      )
    })
    assert.match(
      issueOf(long as never, null),
      new RegExp(`have \\d+ bytes together; expected at most ${Gate.maxGateBytes}: the key of "n2" is "é`)
    )
  })

  it("refuse a priority for a task of a type with an order, unless it is that of the type", () => {
    const given = (definition: typeof Sync | typeof Plain, priority: number | undefined) => [
      { definition, payload: "null", options: { priority } }
    ]
    const Plain = Task.make("plain")
    const invalid = invalidOption(given(Sync, 9))
    assert.deepInclude(invalid, { option: "priority", found: "9", index: 0 })
    assert.include(invalid!.message, "orderBy")
    assert.isUndefined(invalidOption(given(Sync, Sync.priority)))
    assert.isUndefined(invalidOption(given(Sync, undefined)))
    assert.isUndefined(invalidOption(given(Plain, 9)))
  })
})
