/** Schedules over HTTP, by remote `Schedules`, and on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpServer as Listener } from "effect/http"
import { HttpSchedules } from "../../src/http/index.ts"
import { Schedules } from "../../src/schedule/Schedules.ts"
import * as Task from "../../src/Task.ts"
import { failing, jsonOf, onServer, succeeding } from "../cli/CommandLine.ts"
import { until } from "../e2e/Server.ts"
import { expecting, get, layer, refused, send } from "./TestServer.ts"

const Count = Task.make("count", { payload: { n: Schema.Int }, queue: "numbers", priority: "high" })
const Nothing = Task.make("nothing")
const Text = Task.make("text", { payload: { text: Schema.String } })

const idle = layer({ definitions: [Count, Nothing, Text] })
const working = layer({
  definitions: [Count, Nothing],
  handlers: Layer.mergeAll(Count.toLayer(() => Effect.void), Nothing.toLayer(() => Effect.void))
})

const path = "/api/v1/schedules"
const nightly = {
  cron: "30 2 * * *",
  time_zone: "Europe/Berlin",
  task: { type: "count", payload: { n: 1 }, max_retries: 2, timeout: "5m" },
  overlap: "skip",
  jitter: "10m",
  only_if: "last_succeeded"
}

const put = (name: string, body: unknown) => send("PUT", `${path}/${encodeURIComponent(name)}`, body)

describe("schedules over HTTP", () => {
  it.live("are set, read, listed and removed", () =>
    Effect.gen(function*() {
      const { json: set } = yield* expecting(200, put("nightly", { ...nightly, by: "ada" }))
      assert.deepInclude(set as object, {
        name: "nightly",
        timetable: { cron: "30 2 * * *", time_zone: "Europe/Berlin" },
        task: {
          type: "count",
          queue: "numbers",
          payload: { n: 1 },
          priority: 2,
          max_retries: 2,
          timeout_ms: 300_000,
          expires_in_ms: null,
          start_within_ms: null
        },
        missed: "once",
        max_missed: 10,
        overlap: "skip",
        jitter_ms: 600_000,
        only_if: "last_succeeded",
        status: "active",
        pause: null,
        program: null,
        by: "ada",
        last: null,
        made: 0,
        skipped: 0
      })
      assert.deepStrictEqual((yield* expecting(200, get(`${path}/nightly`))).json, set)
      for (const every of ["1h", 3_600_000]) {
        const { json } = yield* expecting(200, put("hourly", { every, task: { type: "nothing" } }))
        assert.deepInclude(json as object, { timetable: { every_ms: 3_600_000 } })
      }
      yield* expecting(200, put("rule", { rrule: "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9", task: { type: "nothing" } }))
      yield* expecting(200, put("a/b ☕", { at: "2100-01-01T00:00:00Z", task: { type: "nothing" } }))
      const { json: first } = yield* expecting(200, get(`${path}?limit=3`))
      const { next, schedules } = first as { next: string; schedules: ReadonlyArray<{ name: string }> }
      assert.deepStrictEqual(schedules.map(({ name }) => name), ["a/b ☕", "hourly", "nightly"])
      const { json: second } = yield* expecting(200, get(`${path}?cursor=${next}`))
      assert.deepStrictEqual(
        (second as typeof first & { schedules: ReadonlyArray<{ name: string }> }).schedules.map(
          ({ name }) => name
        ),
        ["rule"]
      )
      yield* expecting(204, send("DELETE", `${path}/${encodeURIComponent("a/b ☕")}`))
      yield* refused(404, "schedule_not_found", send("DELETE", `${path}/${encodeURIComponent("a/b ☕")}`))
    }).pipe(Effect.provide(idle)))

  it.live("run tasks: at their ticks, and by hand", () =>
    Effect.gen(function*() {
      yield* expecting(200, put("often", { every: "1s", task: { type: "count", payload: { n: 1 } } }))
      yield* until(
        "two ticks have been made",
        Effect.map(get(`${path}/often`), ({ json }) => (json as { made: number }).made >= 2)
      )
      const { json } = yield* expecting(200, get(`${path}/often/history`))
      const [tick] = (json as { ticks: ReadonlyArray<{ tick: string; task: string; outcome: string }> }).ticks
      assert.strictEqual(tick?.task, `often@${tick?.tick}`)
      yield* until(
        "its task has completed",
        Effect.map(
          get(`/api/v1/tasks/${encodeURIComponent(tick!.task)}`),
          ({ json }) => (json as { status: string }).status === "completed"
        )
      )
      yield* expecting(200, put("yearly", { cron: "@yearly", task: { type: "nothing" } }))
      const { json: paused } = yield* expecting(
        200,
        send("POST", `${path}/yearly/pause`, { by: "ada", reason: "It moves" })
      )
      assert.deepInclude(paused as object, { status: "paused", next: null })
      const { json: run } = yield* expecting(201, send("POST", `${path}/yearly/run`, { by: "ada" }))
      yield* expecting(200, get(`/api/v1/tasks/${(run as { id: string }).id}`))
      const { json: resumed } = yield* expecting(200, send("POST", `${path}/yearly/resume`))
      assert.deepInclude(resumed as object, { status: "active", pause: null })
      const { text } = yield* get("/metrics")
      assert.match(text, /taskforge_schedule_ticks_total\{outcome="made"\} [1-9]/)
    }).pipe(Effect.provide(working)))

  it.live("show their next ticks, also those of a timetable that is not stored", () =>
    Effect.gen(function*() {
      yield* expecting(200, put("nightly", nightly))
      const { json } = yield* expecting(200, get(`${path}/nightly/preview?count=3`))
      const { description, ticks } = json as { description: string; ticks: ReadonlyArray<string> }
      assert.lengthOf(ticks, 3)
      const { json: same } = yield* expecting(
        200,
        send("POST", "/api/v1/timetables/preview", { cron: "30 2 * * *", time_zone: "Europe/Berlin", count: 3 })
      )
      assert.deepStrictEqual(same, { description, ticks })
      yield* refused(400, "invalid_request", get(`${path}/nightly/preview?count=101`))
      yield* refused(404, "schedule_not_found", get(`${path}/other/preview`))
    }).pipe(Effect.provide(idle)))

  const task = { type: "nothing" }
  it.live.each(
    [
      ["no timetable", { task }, "invalid_timetable"],
      ["two timetables", { cron: "* * * * *", every: "1h", task }, "invalid_timetable"],
      ["a cron of another world", { cron: "61 * * * *", task }, "invalid_timetable"],
      ["a day that never comes", { cron: "0 0 31 2 *", task }, "invalid_timetable"],
      ["an unknown zone", { cron: "* * * * *", time_zone: "Europe/Berln", task }, "invalid_timetable"],
      ["an interval of nothing", { every: 0, task }, "invalid_timetable"],
      ["a zone for an interval", { every: "1h", time_zone: "UTC", task }, "invalid_timetable"],
      ["a rule that is none", { rrule: "FREQ=NEVER", task }, "invalid_timetable"],
      ["a cron of a megabyte", { cron: "* ".repeat(100_000), task }, "invalid_request"],
      ["a date without a zone", { at: "2100-01-01T00:00:00", task }, "invalid_request"],
      ["a date that has passed", { at: "2020-01-01T00:00:00Z", task }, "invalid_request"],
      ["an end that has passed", { every: "1h", end_at: "2020-01-01T00:00:00Z", task }, "invalid_request"],
      ["no task", { every: "1h" }, "invalid_request"],
      ["an unknown type", { every: "1h", task: { type: "nohting" } }, "unknown_task_type"],
      ["a payload that does not fit", { every: "1h", task: { type: "count", payload: { n: "1" } } }, "invalid_payload"],
      [
        "a number that is not kept",
        "{\"every\":\"1h\",\"task\":{\"type\":\"count\",\"payload\":{\"n\":9007199254740993}}}",
        "invalid_request"
      ],
      ["a key", { every: "1h", task: { ...task, key: "k" } }, "invalid_request"],
      ["an unknown field", { every: "1h", task, overlpa: "skip" }, "invalid_request"],
      ["an unknown word", { every: "1h", task, missed: "never" }, "invalid_request"],
      ["max_missed without all", { every: "1h", task, max_missed: 3 }, "invalid_request"],
      ["a jitter of days", { every: "1h", task, jitter: "2d" }, "invalid_request"],
      ["null", null, "invalid_request"]
    ] as const
  )("are refused with %s, and nothing is stored", ([, body, code]) =>
    Effect.gen(function*() {
      yield* refused(400, code, put("a", body))
      yield* refused(404, "schedule_not_found", get(`${path}/a`))
    }).pipe(Effect.provide(idle)))

  it.live("have names that the ids of their tasks have room for", () =>
    Effect.gen(function*() {
      yield* expecting(200, put("x".repeat(230), { every: "1h", task }))
      yield* refused(400, "invalid_request", put("x".repeat(231), { every: "1h", task }))
      yield* refused(400, "invalid_request", put("x".repeat(300), { every: "1h", task }))
      yield* refused(400, "invalid_request", put("a\u0000", { every: "1h", task }))
    }).pipe(Effect.provide(idle)))

  it.live("mask secrets in payloads", () =>
    Effect.gen(function*() {
      const Call = Task.make("call", { payload: { headers: Schema.Record(Schema.String, Schema.String) } })
      yield* Effect.gen(function*() {
        const { text } = yield* expecting(
          200,
          put("a", { every: "1h", task: { type: "call", payload: { headers: { authorization: "Bearer secret-1" } } } })
        )
        assert.notInclude(text, "secret-1")
      }).pipe(Effect.provide(layer({ definitions: [Call] })))
    }))
})

describe("remote schedules", () => {
  const remote = <A, E>(effect: Effect.Effect<A, E, Schedules>) =>
    Effect.gen(function*() {
      const url = Listener.formatAddress((yield* Listener.HttpServer).address)
      return yield* Effect.provide(
        effect,
        Layer.provide(HttpSchedules.layerHttpClient({ url }), FetchHttpClient.layer)
      )
    }).pipe(Effect.provide(idle))

  it.live("are those of the server", () =>
    remote(Effect.gen(function*() {
      const scheduled = Count.schedule({ cron: "30 2 * * *", timeZone: "Europe/Berlin" }, { n: 7 }, {
        missed: "all",
        maxMissed: 3,
        overlap: "cancel",
        jitter: "90 seconds",
        onlyIf: "lastSucceeded",
        startAt: DateTime.makeUnsafe("2030-01-01T00:00:00Z"),
        endAt: DateTime.makeUnsafe("2031-01-01T00:00:00Z"),
        expiresIn: "1 hour",
        priority: "low"
      })
      const set = yield* Schedules.set("nightly", scheduled, { by: "ada" })
      assert.deepStrictEqual(yield* Schedules.get("nightly"), set)
      assert.deepInclude(set, { missed: "all", maxMissed: 3, overlap: "cancel", by: "ada", state: "active" })
      assert.strictEqual(Duration.toSeconds(set.jitter), 90)
      assert.strictEqual(set.task.queue, "numbers")
      assert.deepStrictEqual(set.timetable, { cron: "30 2 * * *", timeZone: "Europe/Berlin" })
      const { ticks } = yield* Schedules.preview("nightly", 2)
      assert.deepStrictEqual(ticks.map(DateTime.formatIso), ["2030-01-01T01:30:00.000Z", "2030-01-02T01:30:00.000Z"])
      for (const input of [{ every: "5 minutes" }, { at: "2100-01-01T00:00:00Z" }, { rrule: "FREQ=DAILY" }] as const) {
        assert.isAtLeast((yield* Schedules.preview(input, 1)).ticks.length, 1)
        yield* Schedules.set("other", Nothing.schedule(input, undefined))
        assert.deepStrictEqual(Object.keys((yield* Schedules.get("other")).timetable)[0], Object.keys(input)[0])
      }
      assert.strictEqual((yield* Schedules.pause("other", { reason: "It moves" })).pause?.reason, "It moves")
      assert.isNull((yield* Schedules.resume("other")).pause)
      const id = yield* Schedules.runNow("other", { by: "ada" })
      const [run] = yield* Schedules.history("other")
      assert.deepStrictEqual([run?.task, run?.by, run?.outcome], [id, "ada", "run"])
      const page = yield* Schedules.list({ limit: 1 })
      assert.strictEqual(page.schedules[0]?.name, "nightly")
      yield* Schedules.remove("other")
      assert.strictEqual((yield* Effect.flip(Schedules.get("other")))._tag, "ScheduleNotFound")
    })))

  it.live("refuse what schedules refuse", () =>
    remote(Effect.gen(function*() {
      const tagOf = (scheduled: ReturnType<typeof Count.schedule>) =>
        Effect.map(Effect.flip(Schedules.set("a", scheduled)), ({ _tag }) => _tag)
      assert.strictEqual(yield* tagOf(Count.schedule({ cron: "* * 31 2 *" }, { n: 1 })), "InvalidTimetable")
      assert.strictEqual(yield* tagOf(Count.schedule({ every: "1 hour" }, { n: 0.5 })), "InvalidPayload")
      assert.strictEqual(yield* tagOf(Count.schedule({ every: "1 hour" }, { n: 1 }, { maxMissed: 1 })), "InvalidOption")
      assert.strictEqual(yield* tagOf(Count.schedule({ at: "2020-01-01T00:00:00Z" }, { n: 1 })), "InvalidOption")
      const past = DateTime.makeUnsafe("2020-01-01T00:00:00Z")
      assert.deepInclude(
        yield* Effect.flip(Schedules.set("a", Count.schedule({ every: "1 hour" }, { n: 1 }, { endAt: past }))),
        { _tag: "InvalidOption", option: "timetable" }
      )
      assert.deepInclude(
        yield* Effect.flip(Schedules.set("a", Count.schedule({ cron: "@daily", timeZone: "Berlin" }, { n: 1 }))),
        { _tag: "InvalidTimetable", at: "timeZone" }
      )
      assert.deepInclude(
        yield* Effect.flip(
          Schedules.set("a", Text.schedule({ every: "1 hour" }, { text: "x".repeat(65_536) }) as never)
        ),
        { option: "payload", found: "65547 bytes" }
      )
      const Other = Task.make("other", { payload: { n: Schema.Int } })
      assert.strictEqual(
        yield* tagOf(Other.schedule({ every: "1 hour" }, { n: 1 }) as ReturnType<typeof Count.schedule>),
        "UnknownTaskType"
      )
    })))
})

describe("what is refused", () => {
  const task = { type: "count", payload: { n: 1 } }
  const past = "2020-01-01T00:00:00Z"
  const later = "2030-01-01T00:00:00Z"

  it.live("has the names of the request", () =>
    Effect.gen(function*() {
      const issueOf = Effect.fnUntraced(function*(body: object) {
        const { error } = (yield* expecting(400, put("a", { task, ...body }))).json as any
        const { message, path } = error.issues[0]
        assert.include(error.message, `The option ${path.at(-1)} is `)
        assert.notMatch(message, /[a-z][A-Z]/)
        return path.join(".")
      })
      for (
        const [expected, body] of [
          ["body.max_missed", { every: "5m", missed: "all", max_missed: 0 }],
          ["body.max_missed", { every: "5m", max_missed: 5 }],
          ["body.end_at", { every: "5m", start_at: later, end_at: past }],
          ["body.every", { every: "5m", end_at: past }],
          ["body.at", { at: past }],
          ["body.rrule", { rrule: "FREQ=DAILY;COUNT=2", start: "2020-01-01T00:00" }],
          ["body.cron", { cron: "@daily", end_at: past }],
          ["body.task.payload", { every: "5m", task: { type: "text", payload: { text: "x".repeat(65_536) } } }]
        ] as const
      ) assert.strictEqual(yield* issueOf(body), expected)
      const atOf = Effect.fnUntraced(function*(body: object) {
        const { error } = (yield* expecting(400, put("a", { task, ...body }))).json as any
        assert.include(error.message, `not valid at ${error.at}: found ${error.found}`)
        return error.at
      })
      assert.strictEqual(yield* atOf({ cron: "@daily", time_zone: "Europe/Berln" }), "time_zone")
      assert.strictEqual(yield* atOf({ every: "5m", time_zone: "UTC" }), "time_zone")
      assert.strictEqual(yield* atOf({ at: later, time_zone: "UTC" }), "time_zone")
      assert.strictEqual(yield* atOf({ at: later, start: later }), "start")
      assert.strictEqual(yield* atOf({ cron: "@daily", start: later }), "start")
      assert.strictEqual(yield* atOf({ rrule: "FREQ=DAILY;BYHOUR=25" }), "rrule, BYHOUR")
    }).pipe(Effect.provide(idle)))

  it.live("has the sizes that were found", () =>
    Effect.gen(function*() {
      const body = { every: "5m", task: { type: "text", payload: { text: "x".repeat(65_536) } } }
      const { error } = (yield* expecting(400, put("a", body))).json as any
      assert.include(error.message, "is 65547 bytes; expected at most 65536 bytes")
    }).pipe(Effect.provide(idle)))

  it.live("has the names of flags on the command line", () =>
    Effect.gen(function*() {
      const refusing = (...flags: ReadonlyArray<string>) =>
        failing(65, onServer(["schedules", "set", "a", "count", "{\"n\":1}", ...flags]))
      for (
        const [named, flags] of [
          ["at --time-zone: found", ["--cron", "@daily", "--time-zone", "Europe/Berln"]],
          ["at --time-zone: found", ["--every", "5m", "--time-zone", "UTC"]],
          ["at --cron, hour: found", ["--cron", "0 24 * * *"]],
          ["at --start: found", ["--cron", "@daily", "--start", later]],
          [", got 5 at --max-missed", ["--every", "5m", "--max-missed", "5"]],
          ["at --jitter", ["--every", "5m", "--jitter", "2d"]],
          ["at --until", ["--every", "5m", "--from", later, "--until", past]],
          ["at --at", ["--at", past]],
          ["at --every", ["--every", "5m", "--until", past]]
        ] as const
      ) {
        const problem = yield* refusing(...flags)
        assert.include(problem, named)
        assert.notMatch(problem, /body\.|[a-z]_[a-z]|timeZone|startAt|endAt/)
      }
      assert.include(
        yield* failing(65, onServer(["schedules", "preview", "--cron", "@daily", "--time-zone", "Berlin"])),
        "at --time-zone: found"
      )
    }).pipe(Effect.provide(Layer.merge(idle, FetchHttpClient.layer))))
})

describe("taskforge schedules", () => {
  it.live("sets, lists, shows, runs, pauses, resumes and removes", () =>
    Effect.gen(function*() {
      const none = yield* succeeding(onServer(["schedules", "list"]))
      assert.match(none.stdout, /^There are no schedules yet\./)
      const set = yield* succeeding(
        onServer([
          "schedules",
          "set",
          "nightly",
          "count",
          "{\"n\": 1}",
          "--cron",
          "30 2 * * *",
          "--time-zone",
          "Europe/Berlin",
          "--overlap",
          "skip",
          "--jitter",
          "5m",
          "--if-succeeded",
          "--priority",
          "9",
          "--retries",
          "2",
          "--start-within",
          "30s",
          "--by",
          "ada"
        ])
      )
      assert.match(set.stdout, /^nightly: active, .*Europe\/Berlin/)
      assert.match(set.stdout, /tasks +queue numbers, priority 9, retries 2, starts within 30\.0s\n/)
      assert.match(set.stdout, /rules +missed once, overlap skip, only if the last one succeeded, jitter 5m\n/)
      const list = yield* succeeding(onServer(["schedules", "list"]))
      assert.match(list.stdout, /^SCHEDULE +STATUS +NEXT +LAST +TYPE +WHEN\nnightly +active +in \d+[hm] +count/)
      const run = yield* succeeding(onServer(["schedules", "run", "nightly"]))
      assert.match(run.stdout, /^✓ nightly runs as [\w-]+\n$/)
      const pause = yield* succeeding(
        onServer(["schedules", "pause", "nightly", "--reason", "It moves", "--by", "ada"])
      )
      assert.match(pause.stdout, /paused +since \S+Z by ada: It moves\n/)
      const show = yield* succeeding(onServer(["schedules", "show", "nightly"]))
      assert.match(show.stdout, /\nTICK +OUTCOME +TASK\n\S+Z +run +[\w-]+\n$/)
      assert.strictEqual(
        (yield* succeeding(onServer(["schedules", "resume", "nightly"]))).stdout,
        "✓ nightly goes on\n"
      )
      const [json] = jsonOf(yield* succeeding(onServer(["schedules", "show", "nightly", "--json"])))
      assert.deepInclude(json, { name: "nightly", status: "active", by: "ada" })
      const preview = yield* succeeding(onServer(["schedules", "preview", "nightly", "-n", "2"]))
      assert.lengthOf(preview.stdout.trimEnd().split("\n"), 3)
      assert.strictEqual(
        (yield* succeeding(onServer(["schedules", "delete", "nightly"]))).stdout,
        "✓ nightly is removed\n"
      )
      assert.deepInclude(yield* onServer(["schedules", "show", "nightly"]), { code: 66 })
    }).pipe(Effect.provide(Layer.merge(idle, FetchHttpClient.layer))))

  it.live("previews a timetable, and refuses what makes no sense", () =>
    Effect.gen(function*() {
      const rule = ["--rrule", "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9", "--time-zone", "Asia/Tokyo"]
      const [json] = jsonOf(yield* succeeding(onServer(["schedules", "preview", ...rule, "--json"])))
      assert.lengthOf((json as { ticks: ReadonlyArray<string> }).ticks, 10)
      assert.include(
        yield* failing(65, onServer(["schedules", "set", "a", "count", "{\"n\":1}", "--cron", "61 * * * *"])),
        "61"
      )
      yield* failing(64, onServer(["schedules", "set", "a", "count"]))
      yield* failing(64, onServer(["schedules", "preview"]))
      yield* failing(64, onServer(["schedules", "preview", "a", "--every", "5m"]))
      assert.include(
        yield* failing(65, onServer(["schedules", "set", "a", "cuont", "--every", "5m"])),
        "Did you mean count?"
      )
      assert.include(
        yield* failing(
          65,
          onServer(["schedules", "set", "a", "count", "{\"n\":1}", "--every", "5m", "--timeout", "soon"])
        ),
        "--timeout"
      )
    }).pipe(Effect.provide(Layer.merge(idle, FetchHttpClient.layer))))
})
