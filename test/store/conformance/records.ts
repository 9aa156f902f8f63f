/** What every driver's `RecordStore` has to keep. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import {
  absent,
  type InvalidOption,
  type RecordChange,
  type RecordConflict,
  RecordDriver,
  RecordStore,
  type StoredRecord,
  type StoreError
} from "taskforge/store"
import { type Driver, maxMs } from "./driver.ts"
import { nearly, second } from "./fixtures.ts"

type Records = RecordStore["Service"]

/** A change of the kind `thing` that makes a new record. */
const change = (fields: Partial<RecordChange> = {}): RecordChange => ({
  kind: "thing",
  id: "a",
  expects: absent,
  document: "{}",
  ...fields
})

const created = (...ids: ReadonlyArray<string>) => ids.map((id) => change({ id }))

const getOne = (records: Records, id = "a", kind = "thing") =>
  Effect.map(records.get(kind, [id]), ([record]) => record ?? assert.fail(`There is no record ${JSON.stringify(id)}`))

const versionsOf = (records: ReadonlyArray<StoredRecord | undefined>) => records.map((record) => record?.version)

const idsOf = (records: ReadonlyArray<StoredRecord>) => records.map(({ id }) => id)

/** The conflict that a put must meet. */
const conflict = (put: Effect.Effect<number, RecordConflict | InvalidOption | StoreError>) =>
  Effect.map(Effect.flip(put), (error) => error._tag === "RecordConflict" ? error : assert.fail(error.message))

/** The option that a call must refuse. */
const refused = (call: Effect.Effect<unknown, RecordConflict | InvalidOption | StoreError>) =>
  Effect.map(
    Effect.flip(call),
    (error) => error._tag === "InvalidOption" ? error.option : assert.fail(`Not refused: ${error._tag}`)
  )

/** All ids of a kind, page by page. */
const pages = Effect.fnUntraced(function*(records: Records, kind: string, prefix: string | undefined, limit: number) {
  const ids: Array<string> = []
  for (let after: string | undefined;;) {
    const page = yield* records.list(kind, { prefix, after, limit })
    ids.push(...idsOf(page.records))
    if (!page.more) return ids
    assert.lengthOf(page.records, limit)
    after = ids.at(-1)
  }
})

/** In the order of their bytes. */
const sorted = (ids: ReadonlyArray<string>) => ids.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

/** Names that some layer between here and the disk may take for something else. */
const hostile = [
  "'",
  "\"",
  "\\",
  "`",
  "%",
  "_",
  "*",
  "?",
  "[a]",
  "{a}",
  "(",
  "$1",
  ":",
  "::",
  ";",
  "--",
  "/",
  "..",
  ".",
  ",",
  "a,b",
  "a:b",
  " ",
  " a",
  "a ",
  "\n",
  "\t",
  "\u0001",
  "\u007f",
  "NULL",
  "null",
  "0",
  "00",
  "-1",
  "1e3",
  "true",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "A",
  "a",
  "Z",
  "é",
  "e\u0301",
  "ß",
  "İ",
  "ﬀ",
  "日本",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "😀",
  "😀a",
  "\u{10ffff}",
  "\u{10ffff}\u{10ffff}",
  "\u{10fffe}\u{10ffff}",
  "a\u{10ffff}",
  "a\u{10ffff}b"
]

/** Holds a driver to the contract of `RecordStore`. */
export const records = (name: string, driver: Driver): void => {
  describe(`${name} keeps records`, () => {
    const test = driver.live === true ? it.live : it.effect
    const claim = (title: string, body: (records: Records) => Effect.Effect<void, unknown>) =>
      test(title, () => Effect.provide(RecordStore.use(body), driver.layer({})), maxMs)

    claim("and there are none at first", (records) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* records.get("thing", ["a"]), [undefined])
        assert.deepStrictEqual(yield* records.list("thing"), { records: [], more: false })
        const { nextDueAt, records: due } = yield* records.due("thing", 10)
        assert.deepStrictEqual([due, nextDueAt], [[], null])
      }))

    claim("with their text as it is, their times, and the version of their put", (records) =>
      Effect.gen(function*() {
        const document = "{ \"a\" : 1.0, \"a\": \"\\u0000 \\ud800 ' \\\\ \",\n\"ü\":\"😀\"}"
        const { now } = yield* records.due("thing", 1)
        const version = yield* records.put([change({ document, dueAt: 4_000_000_000_000 }), change({ id: "b" })])
        assert.isAtLeast(version, 1)
        const [a, b] = yield* records.get("thing", ["a", "b"])
        assert.deepStrictEqual({ ...a, writtenAt: 0 }, {
          id: "a",
          version,
          document,
          dueAt: 4_000_000_000_000,
          writtenAt: 0
        })
        assert.deepStrictEqual({ ...b, writtenAt: 0 }, { id: "b", version, document: "{}", dueAt: null, writtenAt: 0 })
        nearly(a!.writtenAt, now)
      }))

    claim("and gives those asked for, in the order asked for", (records) =>
      Effect.gen(function*() {
        yield* records.put(created("a", "b", "c"))
        const found = yield* records.get("thing", ["c", "x", "a", "c"])
        assert.deepStrictEqual(found.map((record) => record?.id), ["c", undefined, "a", "c"])
        assert.deepStrictEqual(yield* records.get("thing", []), [])
      }))

    claim("and replaces the version that a put expects, with a greater one", (records) =>
      Effect.gen(function*() {
        const first = yield* records.put([change()])
        const second = yield* records.put([change({ expects: first, document: "2" })])
        assert.isAbove(second, first)
        assert.deepInclude(yield* getOne(records), { version: second, document: "2" })
      }))

    claim(
      "and refuses a put that expects another version, telling which one there is",
      (records) =>
        Effect.gen(function*() {
          const first = yield* records.put([change()])
          const second = yield* records.put([change({ expects: first, document: "2" })])
          for (
            const [expects, id, found] of [[first, "a", second], [absent, "a", second], [first, "x", absent]] as const
          ) {
            const error = yield* conflict(records.put([change({ id, expects, document: "3" })]))
            assert.deepInclude(error, { kind: "thing", id, index: 0, expected: expects, found })
          }
          assert.deepInclude(yield* getOne(records), { version: second, document: "2" })
          assert.deepStrictEqual(yield* records.get("thing", ["x"]), [undefined])
        })
    )

    claim("and puts all changes or none, naming the first that does not fit", (records) =>
      Effect.gen(function*() {
        const version = yield* records.put(created("a", "b", "c"))
        const changes = [
          change({ id: "b", expects: version, document: "2" }),
          change({ id: "new", document: "2" }),
          change({ id: "c", expects: version, document: null }),
          change({ id: "a", document: "2" }),
          change({ id: "gone", expects: version, document: "2" })
        ]
        for (const [given, index] of [[changes, 3], [changes.slice(0, 4).toReversed(), 0]] as const) {
          const error = yield* conflict(records.put(given))
          assert.deepInclude(error, { id: "a", index, expected: absent, found: version })
          const found = yield* records.get("thing", ["a", "b", "c", "new", "gone"])
          assert.deepStrictEqual(found.map((record) => record?.document), ["{}", "{}", "{}", undefined, undefined])
          assert.deepStrictEqual(versionsOf(found), [version, version, version, undefined, undefined])
        }
        yield* records.put([...changes.slice(0, 3), change({ id: "a", expects: version, document: "2" })])
        const found = yield* records.get("thing", ["a", "b", "c", "new"])
        assert.deepStrictEqual(found.map((record) => record?.document), ["2", "2", undefined, "2"])
      }))

    claim("and tells kinds apart, also in one put", (records) =>
      Effect.gen(function*() {
        const version = yield* records.put([change({ kind: "one" }), change({ kind: "two", document: "2" })])
        yield* records.put([change({ kind: "one", expects: version, document: null })])
        assert.deepStrictEqual(yield* records.get("one", ["a"]), [undefined])
        assert.deepInclude(yield* getOne(records, "a", "two"), { version, document: "2" })
        assert.deepStrictEqual((yield* records.list("one")).records, [])
        assert.lengthOf((yield* records.list("two")).records, 1)
      }))

    claim("and deletes the version that a put expects", (records) =>
      Effect.gen(function*() {
        const first = yield* records.put([change({ dueInMs: 0 })])
        yield* conflict(records.put([change({ expects: first + 1, document: null })]))
        yield* records.put([change({ expects: first, document: null })])
        assert.deepStrictEqual(yield* records.get("thing", ["a"]), [undefined])
        assert.deepStrictEqual((yield* records.list("thing")).records, [])
        assert.deepStrictEqual((yield* records.due("thing", 10)).records, [])
        const error = yield* conflict(records.put([change({ expects: first, document: null })]))
        assert.strictEqual(error.found, absent)
      }))

    claim(
      "and never gives a version twice, however often a record is deleted and stored again",
      (records) =>
        Effect.gen(function*() {
          const versions: Array<number> = []
          for (let round = 0; round < 20; round++) {
            const version = yield* records.put([change({ document: "\"the same\"" })])
            for (const old of versions) yield* conflict(records.put([change({ expects: old, document: "3" })]))
            versions.push(version)
            yield* records.put([change({ expects: version, document: null })])
          }
          assert.deepStrictEqual(versions, [...new Set(versions)].toSorted((a, b) => a - b))
        })
    )

    claim("and takes a put that is repeated with its nonce for done", (records) =>
      Effect.gen(function*() {
        const changes = [change(), change({ id: "b" })]
        const first = yield* records.put(changes, "n1")
        assert.strictEqual(yield* records.put(changes, "n1"), first)
        // Also once others have gone on from there
        const second = yield* records.put([
          change({ expects: first, document: "2" }),
          change({ id: "b", expects: first, document: null })
        ], "n2")
        assert.strictEqual(yield* records.put(changes, "n1"), first)
        assert.deepInclude(yield* getOne(records), { version: second, document: "2" })
        const third = yield* records.put([change({ expects: second, document: null })], "n3")
        assert.strictEqual(yield* records.put([change({ expects: second, document: null })], "n3"), third)
        assert.deepStrictEqual(yield* records.get("thing", ["a", "b"]), [undefined, undefined])
      }))

    claim("and takes a put for done that is repeated while it is made", (records) =>
      Effect.gen(function*() {
        for (let round = 0; round < 30; round++) {
          const changes = created(`${round} a`, `${round} b`)
          const versions = yield* Effect.all(
            Array.from({ length: 5 }, () => records.put(changes, `round ${round}`)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(versions, versions.map(() => versions[0]!))
        }
      }))

    claim(
      "and a put with a nonce of its own meets the same conflicts, and leaves no trace of them",
      (records) =>
        Effect.gen(function*() {
          const version = yield* records.put([change()], "n1")
          const error = yield* conflict(records.put([change({ id: "b" }), change()], "n2"))
          assert.deepInclude(error, { id: "a", index: 1, found: version })
          yield* records.put([change({ id: "b" }), change({ expects: version, document: "2" })], "n2")
          assert.strictEqual((yield* getOne(records)).document, "2")
        })
    )

    claim("in the order of their bytes, whatever their names are", (records) =>
      Effect.gen(function*() {
        yield* records.put(created(...hostile))
        assert.deepStrictEqual(yield* pages(records, "thing", undefined, 100), sorted(hostile))
        assert.deepStrictEqual(yield* pages(records, "thing", "", 3), sorted(hostile))
        assert.deepStrictEqual(idsOf((yield* records.get("thing", hostile)) as ReadonlyArray<StoredRecord>), hostile)
      }))

    claim("and lists those that begin with a text", (records) =>
      Effect.gen(function*() {
        const ids = [...new Set(hostile.flatMap((text) => [text, `${text}x`, `x${text}`]))]
        yield* records.put(ids.slice(0, 100).map((id) => change({ id })))
        yield* records.put(ids.slice(100).map((id) => change({ id })))
        for (const prefix of [...hostile, "x", "nothing begins so"]) {
          const expected = sorted(ids.filter((id) => id.startsWith(prefix)))
          assert.deepStrictEqual(yield* pages(records, "thing", prefix, 2), expected, JSON.stringify(prefix))
        }
        const { records: page } = yield* records.list("thing", { prefix: "x", after: "a" })
        assert.isTrue(page.every(({ id }) => id.startsWith("x")) && page.length > 1)
        assert.deepStrictEqual((yield* records.list("thing", { prefix: "a", after: "x" })).records, [])
      }))

    claim("of kinds with any name", (records) =>
      Effect.gen(function*() {
        yield* records.put(hostile.map((kind, index) => change({ kind, document: String(index), dueInMs: 0 })))
        for (const [index, kind] of hostile.entries()) {
          const { records: listed } = yield* records.list(kind)
          assert.deepStrictEqual(listed.map(({ document }) => document), [String(index)], JSON.stringify(kind))
          assert.lengthOf((yield* records.due(kind, 10)).records, 1)
        }
      }))

    claim("that are due from their time on, the longest first", (records) =>
      Effect.gen(function*() {
        const { now } = yield* records.due("thing", 1)
        yield* records.put([
          change({ id: "later", dueAt: now + 60_000 }),
          change({ id: "b", dueAt: now - 2 }),
          change({ id: "c", dueAt: now - 3 }),
          change({ id: "a", dueAt: now - 2 }),
          change({ id: "never" }),
          change({ kind: "other", dueAt: now - 9 })
        ])
        const all = yield* records.due("thing", 10)
        assert.deepStrictEqual(idsOf(all.records), ["c", "a", "b"])
        assert.deepStrictEqual(all.records.map(({ dueAt }) => dueAt! - now), [-3, -2, -2])
        assert.strictEqual(all.nextDueAt, now + 60_000)
        const some = yield* records.due("thing", 2)
        assert.deepStrictEqual(idsOf(some.records), ["c", "a"])
        assert.isAtMost(some.nextDueAt!, some.now)
        yield* driver.advance("2 minutes")
        const later = yield* records.due("thing", 10)
        assert.deepStrictEqual(idsOf(later.records), ["c", "a", "b", "later"])
        assert.isNull(later.nextDueAt)
      }))

    claim("that are due a while from now, by the store's clock", (records) =>
      Effect.gen(function*() {
        yield* records.put([change({ dueInMs: 60_000 }), change({ id: "b", dueInMs: 0 })])
        const { now, nextDueAt, records: due } = yield* records.due("thing", 10)
        assert.deepStrictEqual(idsOf(due), ["b"])
        nearly(nextDueAt!, now + 60_000)
        yield* driver.advance("2 minutes")
        assert.deepStrictEqual(idsOf((yield* records.due("thing", 10)).records), ["b", "a"])
        const { version } = yield* getOne(records)
        yield* records.put([change({ expects: version })])
        assert.deepStrictEqual(idsOf((yield* records.due("thing", 10)).records), ["b"])
        assert.isNull((yield* getOne(records)).dueAt)
      }))

    claim("that one taker has until its lease runs out", (records) =>
      Effect.gen(function*() {
        const { now } = yield* records.due("thing", 1)
        const put = yield* records.put([
          change({ dueAt: now, document: "7" }),
          change({ id: "b", dueAt: now + 600_000 })
        ])
        yield* driver.advance("1 second")
        const taken = yield* records.take("thing", 10, 60 * second)
        assert.lengthOf(taken.records, 1)
        const [record] = taken.records
        assert.isAbove(record!.version, put)
        assert.deepInclude(record!, { id: "a", document: "7", dueAt: now })
        assert.deepStrictEqual(yield* getOne(records), record)
        nearly(taken.nextDueAt!, taken.now + 60 * second)
        assert.deepStrictEqual((yield* records.take("thing", 10, second)).records, [])
        assert.deepStrictEqual((yield* records.due("thing", 10)).records, [])
        yield* driver.advance("2 minutes")
        const again = yield* records.take("thing", 10, second)
        assert.deepStrictEqual(idsOf(again.records), ["a"])
        assert.isAbove(again.records[0]!.version, record!.version)
        assert.strictEqual(again.records[0]!.dueAt, now)
      }))

    claim("that only the last taker can change", (records) =>
      Effect.gen(function*() {
        const put = yield* records.put([change({ dueInMs: 0 })])
        yield* driver.advance("1 second")
        const [first] = (yield* records.take("thing", 1, second)).records
        yield* conflict(records.put([change({ expects: put, document: "0" })]))
        yield* driver.advance("2 seconds")
        const [second_] = (yield* records.take("thing", 1, second)).records
        const error = yield* conflict(records.put([change({ expects: first!.version, document: "1" })]))
        assert.strictEqual(error.found, second_!.version)
        yield* records.put([change({ expects: second_!.version, document: "2", dueInMs: 600_000 })])
        yield* driver.advance("2 seconds")
        assert.deepStrictEqual((yield* records.take("thing", 1, second)).records, [])
        assert.strictEqual((yield* getOne(records)).document, "2")
      }))

    claim("that no two takers share", (records) =>
      Effect.gen(function*() {
        const ids = Array.from({ length: 40 }, (_, index) => `r${index}`)
        yield* records.put(ids.map((id) => change({ id, dueInMs: 0 })))
        yield* driver.advance("1 second")
        const taking = Effect.gen(function*() {
          const mine: Array<string> = []
          while (true) {
            const { records: taken } = yield* records.take("thing", 3, 600 * second)
            mine.push(...idsOf(taken))
            if (taken.length === 0) return mine
          }
        })
        const taken = yield* Effect.all([taking, taking, taking, taking], { concurrency: "unbounded" })
        // What one of them had locked the others have stepped over
        assert.deepStrictEqual(sorted([...taken.flat(), ...yield* taking]), sorted(ids))
      }))

    claim("whose puts at the same time are one after the other", (records) =>
      Effect.gen(function*() {
        yield* records.put([change({ document: "0" })])
        const increment = Effect.gen(function*() {
          while (true) {
            const { document, version } = yield* getOne(records)
            const next = change({ expects: version, document: String(Number(document) + 1) })
            const done = yield* Effect.catchTag(records.put([next]), "RecordConflict", () => Effect.void)
            if (typeof done === "number") return done
            yield* Effect.yieldNow
          }
        })
        const versions = yield* Effect.all(Array.from({ length: 12 }, () => increment), { concurrency: "unbounded" })
        assert.strictEqual((yield* getOne(records)).document, "12")
        assert.strictEqual(new Set(versions).size, 12)
      }))

    claim("of which only one is made, whoever makes it at the same time", (records) =>
      Effect.gen(function*() {
        const makers = Array.from({ length: 12 }, (_, maker) =>
          // Some begin from the other end, so that they meet in the middle
          Effect.result(
            records.put(
              (maker % 2 === 0 ? ["a", "b", "c", "d"] : ["d", "c", "b", "a"]).map((id) =>
                change({ id, document: String(maker) })
              )
            )
          ))
        const results = yield* Effect.all(makers, { concurrency: "unbounded" })
        const made = results.flatMap((result, maker) => result._tag === "Success" ? [String(maker)] : [])
        assert.lengthOf(made, 1)
        for (const result of results) {
          if (result._tag === "Failure") assert.strictEqual(result.failure._tag, "RecordConflict")
        }
        const found = yield* records.get("thing", ["a", "b", "c", "d"])
        assert.deepStrictEqual(found.map((record) => record?.document), [made[0], made[0], made[0], made[0]])
      }))

    claim("between which something can be moved from any to any at the same time", (records) =>
      Effect.gen(function*() {
        const names = ["a", "b", "c"]
        yield* records.put(names.map((id) => change({ id, document: "100" })))
        const move = Effect.fnUntraced(function*(from: string, to: string) {
          while (true) {
            const [source, target] = yield* records.get("thing", [from, to])
            const done = yield* Effect.isSuccess(records.put([
              change({ id: from, expects: source!.version, document: String(Number(source!.document) - 1) }),
              change({ id: to, expects: target!.version, document: String(Number(target!.document) + 1) })
            ]))
            if (done) return
            yield* Effect.yieldNow
          }
        })
        const moves = Array.from({ length: 18 }, (_, index) =>
          move(names[index % 3]!, names[(index + 1 + index % 2) % 3]!))
        yield* Effect.all(moves, { concurrency: "unbounded", discard: true })
        const found = yield* records.get("thing", names)
        assert.strictEqual(
          found.reduce((sum, record) =>
            sum + Number(record!.document), 0),
          300
        )
      }))

    claim("as large and as many as they may be", (records) =>
      Effect.gen(function*() {
        // No text of these can be written shorter
        const noise = (length: number) => randomBytes(length).toString("base64").slice(0, length)
        const kind = noise(RecordDriver.maxKindBytes)
        const ids = [
          noise(RecordDriver.maxIdBytes),
          noise(RecordDriver.maxIdBytes),
          "é".repeat(RecordDriver.maxIdBytes / 2)
        ]
        const document = JSON.stringify(noise(RecordDriver.maxDocumentBytes - 2))
        yield* records.put(ids.map((id) => change({ kind, id, document, dueInMs: 0 })))
        assert.deepStrictEqual(
          (yield* records.get(kind, ids)).map((record) => record?.document),
          ids.map(() => document)
        )
        assert.deepStrictEqual(yield* pages(records, kind, ids[0], 1), [ids[0]!])
        assert.lengthOf((yield* records.take(kind, 10, second)).records, 3)
        const many = Array.from({ length: RecordDriver.maxChanges }, (_, index) => `r${index}`)
        const large = "x".repeat(RecordDriver.maxPutBytes / RecordDriver.maxChanges)
        yield* records.put(many.map((id) => change({ id, document: large })), "n")
        assert.deepStrictEqual(yield* pages(records, "thing", undefined, 100), sorted(many))
        yield* records.put(
          many.slice(0, 32).map((id) =>
            change({ kind: "large", id, document: document.slice(0, RecordDriver.maxDocumentBytes) })
          )
        )
        const { more, records: page } = yield* records.list("large")
        assert.deepStrictEqual([page.length, more], [32, false])
      }))

    claim(
      "and refuses what one of the stores could not keep, with what is accepted",
      (records) =>
        Effect.gen(function*() {
          const texts = ["", "\u0000", "a\u0000", "\ud800", "a\udc00b"]
          for (const text of texts) {
            assert.strictEqual(yield* refused(records.put([change({ kind: text })])), "kind")
            assert.strictEqual(yield* refused(records.put([change({ id: text })])), "id")
            assert.strictEqual(yield* refused(records.put([change({ document: text })])), "document")
            assert.strictEqual(yield* refused(records.put([change()], text)), "nonce")
            assert.strictEqual(yield* refused(records.get(text, ["a"])), "kind")
            assert.strictEqual(yield* refused(records.get("thing", [text])), "id")
            assert.strictEqual(yield* refused(records.list(text)), "kind")
            assert.strictEqual(yield* refused(records.list("thing", { after: text })), "after")
            if (text !== "") assert.strictEqual(yield* refused(records.list("thing", { prefix: text })), "prefix")
            assert.strictEqual(yield* refused(records.due(text, 1)), "kind")
            assert.strictEqual(yield* refused(records.take(text, 1, 1)), "kind")
          }
          const tooLong = (bytes: number) => `${"é".repeat(bytes / 2)}x`
          assert.strictEqual(
            yield* refused(records.put([change({ kind: tooLong(RecordDriver.maxKindBytes) })])),
            "kind"
          )
          assert.strictEqual(yield* refused(records.put([change({ id: tooLong(RecordDriver.maxIdBytes) })])), "id")
          assert.strictEqual(
            yield* refused(records.put([change({ document: tooLong(RecordDriver.maxDocumentBytes) })])),
            "document"
          )
          assert.strictEqual(yield* refused(records.put([])), "changes")
          const many = Array.from({ length: RecordDriver.maxChanges + 1 }, (_, index) => `r${index}`)
          assert.strictEqual(yield* refused(records.put(created(...many))), "changes")
          const document = "x".repeat(RecordDriver.maxDocumentBytes)
          assert.strictEqual(
            yield* refused(records.put(many.slice(0, 33).map((id) => change({ id, document })))),
            "document"
          )
          assert.strictEqual(yield* refused(records.put([change(), change({ id: "b" }), change()])), "id")
          for (const expects of [-1, 0.5, NaN, 2 ** 53]) {
            assert.strictEqual(yield* refused(records.put([change({ expects })])), "expects")
          }
          assert.strictEqual(yield* refused(records.put([change({ document: null })])), "expects")
          for (const dueAt of [0.5, NaN, Infinity]) {
            assert.strictEqual(yield* refused(records.put([change({ dueAt })])), "dueAt")
          }
          for (const dueInMs of [-1, 0.5, NaN, Infinity]) {
            assert.strictEqual(yield* refused(records.put([change({ dueInMs })])), "dueInMs")
          }
          assert.strictEqual(yield* refused(records.put([change({ dueAt: 1, dueInMs: 1 })])), "dueInMs")
          for (const limit of [0, -1, 0.5, NaN, RecordDriver.maxRecords + 1]) {
            assert.strictEqual(yield* refused(records.list("thing", { limit })), "limit")
            assert.strictEqual(yield* refused(records.due("thing", limit)), "limit")
            assert.strictEqual(yield* refused(records.take("thing", limit, 1)), "limit")
          }
          for (const leaseForMs of [0, -1, 0.5, NaN, Infinity]) {
            assert.strictEqual(yield* refused(records.take("thing", 1, leaseForMs)), "leaseForMs")
          }
          assert.strictEqual(yield* refused(records.get("thing", many.slice(0, RecordDriver.maxRecords + 1))), "ids")
          assert.deepStrictEqual((yield* records.list("thing")).records, [])
        })
    )
  })
}
