/** What the attempts at a task have logged, on the wire. Levels are written in lower case. */
import { Schema } from "effect"
import type { LoggedAttempt, LoggedLine } from "../../logs/TaskLogs.ts"
import { instant, Timestamp, timestamp } from "./TaskJson.ts"

/** The levels of lines, the most important last. */
export const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const

const Level = Schema.Literals(levels)

/** Which lines are asked for. */
export const LogsQuery = {
  attempt: Schema.optionalKey(
    Schema.FiniteFromString.check(
      Schema.isInt(),
      Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
    )
  ),
  level: Schema.optionalKey(Level)
}

const LogLineJson = Schema.Struct({
  line: Schema.Int.annotate({ description: "Its number among the lines of its attempt, from 1" }),
  at: Timestamp.annotate({ description: "By the clock of the instance that ran the attempt" }),
  level: Level,
  text: Schema.String,
  annotations: Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Boolean])),
  spans: Schema.Record(Schema.String, Schema.Finite).annotate({ description: "Open log spans, in milliseconds" }),
  cause: Schema.NullOr(Schema.String),
  cut: Schema.Boolean.annotate({ description: "Some of it was too long to be kept" })
}).annotate({ identifier: "LogLine" })

/** What the attempts at a task have logged. */
export const TaskLogsJson = Schema.Struct({
  id: Schema.String,
  attempts: Schema.Array(Schema.Struct({
    attempt: Schema.Int,
    claim: Schema.Int,
    instance: Schema.String,
    logged: Schema.Int.annotate({ description: "How many lines it has logged" }),
    left_out: Schema.Int.annotate({ description: "How many of them are not kept: the first and the latest are" }),
    lines: Schema.Array(LogLineJson)
  })).annotate({ description: "Those that have logged something, the oldest first" })
}).annotate({ identifier: "TaskLogs" })

/** What attempts have logged, as far as it is asked for. */
export const logsJson = (
  id: string,
  attempts: ReadonlyArray<LoggedAttempt>,
  { attempt, level = "trace" }: { readonly attempt?: number; readonly level?: typeof Level.Type } = {}
): typeof TaskLogsJson.Type => ({
  id,
  attempts: attempts.filter((one) => attempt === undefined || one.attempt === attempt).map(
    ({ leftOut, lines, ...one }) => ({
      ...one,
      left_out: leftOut,
      lines: lines.map(lineJson).filter((line) => levels.indexOf(line.level) >= levels.indexOf(level))
    })
  )
})

const lineJson = ({ at, isCut, level, number, ...line }: LoggedLine): typeof LogLineJson.Type => ({
  line: number,
  at: timestamp(at),
  level: level.toLowerCase() as typeof Level.Type,
  ...line,
  cut: isCut
})

/** What was on the wire. */
export const logsFromJson = ({ attempts }: typeof TaskLogsJson.Type): ReadonlyArray<LoggedAttempt> =>
  attempts.map(({ left_out: leftOut, lines, ...one }) => ({
    ...one,
    leftOut,
    lines: lines.map(({ at, cut, level, line, ...rest }) => ({
      number: line,
      at: instant(at),
      level: `${level[0]!.toUpperCase()}${level.slice(1)}` as LoggedLine["level"],
      ...rest,
      isCut: cut
    }))
  }))
