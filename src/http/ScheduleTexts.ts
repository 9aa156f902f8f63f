/** What the API's description says of schedules: examples, and what parameters mean. */
import type { ScheduleJson, SchedulePageJson, TickJson } from "./api/ScheduleJson.ts"

const tick: typeof TickJson.Type = {
  tick: "2026-01-31T01:30:00.000Z",
  outcome: "made",
  at: "2026-01-31T01:30:00.004Z",
  task: "nightly@2026-01-31T01:30:00.000Z",
  first: "2026-01-31T01:30:00.000Z",
  count: 1,
  by: null
}

const schedule: ScheduleJson = {
  name: "nightly",
  timetable: { cron: "30 2 * * *", time_zone: "Europe/Berlin" },
  description: "at 02:30 in Europe/Berlin",
  task: {
    type: "echo",
    queue: "default",
    payload: { hello: "world" },
    priority: 1,
    max_retries: 3,
    timeout_ms: null,
    expires_in_ms: null,
    start_within_ms: null
  },
  missed: "once",
  max_missed: 10,
  overlap: "skip",
  jitter_ms: 0,
  start_at: null,
  end_at: null,
  only_if: null,
  status: "active",
  pause: null,
  program: null,
  by: "ada",
  next: "2026-02-01T01:30:00.000Z",
  last: tick,
  made: 31,
  skipped: 0,
  changed_at: "2025-12-31T12:00:00.000Z"
}

const page: typeof SchedulePageJson.Type = {
  schedules: [schedule],
  next: null,
  timestamp: "2026-01-31T12:00:00.000Z"
}

const preview = {
  description: schedule.description,
  ticks: ["2026-02-01T01:30:00.000Z", "2026-02-02T01:30:00.000Z"]
}

/** Examples by the name of a schema. */
export const examples = {
  Schedule: schedule,
  SchedulePage: page,
  Tick: tick,
  Timetable: schedule.timetable,
  ScheduleHistory: { ticks: [tick] },
  ScheduleRun: { id: "01a20f46-60fe-779b-a926-cef2c43ec95c" },
  Preview: preview,
  TimetablePreview: { cron: "30 2 * * *", time_zone: "Europe/Berlin", count: 2 },
  NewScheduledTask: { type: "echo", payload: { hello: "world" } },
  NewSchedule: {
    cron: "30 2 * * *",
    time_zone: "Europe/Berlin",
    task: { type: "echo", payload: { hello: "world" } },
    overlap: "skip"
  },
  NewSchedulePause: { by: "ada", reason: "Their server moves" },
  ScheduleNotFound: {
    error: { code: "schedule_not_found", message: `No schedule has the name "nihgtly"`, name: "nihgtly" }
  },
  InvalidTimetable: {
    error: {
      code: "invalid_timetable",
      message: `The timetable is not valid at time_zone: found "Europe/Berln"; expected the name of an IANA zone`,
      at: "time_zone",
      found: `"Europe/Berln"`,
      expected: "the name of an IANA zone"
    }
  }
}

/** Examples by operation, where a schema has none. */
export const operations = { "schedules.run": { request: { by: "ada" } } }

const name = { description: "The name of the schedule", example: "nightly" }

/** Parameters by operation. */
export const parameters = {
  "schedules.get": { name },
  "schedules.set": { name },
  "schedules.remove": { name },
  "schedules.run": { name },
  "schedules.pause": { name },
  "schedules.resume": { name },
  "schedules.history": { name },
  "schedules.upcoming": { name, count: { description: "How many ticks; 10 by default, 100 at most" } }
}
