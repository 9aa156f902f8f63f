/** Whether lines are those of a whole backup. */
import { Effect, Exit, Schema } from "effect"
import * as Line from "./Line.ts"

/** A file is no backup, or not a whole one. */
export class BackupInvalid extends Schema.TaggedError<BackupInvalid>()("BackupInvalid", {
  /** The number of the line, from 1; `null` where it is not one line. */
  line: Schema.NullOr(Schema.Int),
  reason: Schema.String
}) {
  override get message(): string {
    return this.line === null ? this.reason : `Line ${this.line} ${this.reason}`
  }
}

const decode = Schema.decodeUnknownExit(Line.Line)

/** Reads one line after the other. */
export class Reader {
  private readonly count = new Line.Count()
  private number = 0
  private trailer: Line.Trailer | undefined
  private hasTasks = false

  /** How many records and tasks were read. */
  get size(): number {
    return this.count.size
  }

  /** What the next line is. A header comes first, a trailer that fits what came before it last, and records before tasks. */
  read(text: string): Effect.Effect<Line.Line, BackupInvalid> {
    return Effect.suspend(() => {
      const number = ++this.number
      const fail = (reason: string) => Effect.fail(new BackupInvalid({ line: number, reason }))
      if (this.trailer !== undefined) return fail("comes after the end of the backup")
      let json: unknown
      try {
        json = JSON.parse(text)
      } catch {
        return fail(number === 1 ? "is no JSON: this is no backup" : "is no JSON: the backup was cut or changed there")
      }
      const isHeader = typeof json === "object" && json !== null && "kind" in json && json.kind === "taskforge-backup"
      if (isHeader !== (number === 1)) {
        return fail(isHeader ? "is the beginning of another backup" : "is not the beginning of a backup")
      }
      if (isHeader && "format" in (json as object) && (json as { readonly format: unknown }).format !== Line.format) {
        const { format } = json as { readonly format: unknown }
        return fail(
          `says format ${
            String(format)
          }, and this version of taskforge reads format ${Line.format}: use the version that wrote it`
        )
      }
      const decoded = decode(json)
      if (Exit.isFailure(decoded)) return fail("has not what a line of a backup has")
      const line = decoded.value
      if (line.kind === "end") {
        const { trailer } = this.count
        if (line.records !== trailer.records || line.tasks !== trailer.tasks) {
          return fail(
            `says ${line.records} records and ${line.tasks} tasks, but there are ${trailer.records} and ${trailer.tasks} before it: lines are missing or added`
          )
        }
        if (line.sha256 !== trailer.sha256 || line.content !== trailer.content || line.claim !== trailer.claim) {
          return fail("has another digest than the lines before it: one of them was changed")
        }
        this.trailer = line
      } else {
        if (line.kind === "record" && this.hasTasks) return fail("is a record among tasks: lines were moved")
        this.hasTasks ||= line.kind === "task"
        this.count.add(line, text)
      }
      return Effect.succeed(line)
    })
  }

  /** The trailer, once all lines were read. */
  get end(): Effect.Effect<Line.Trailer, BackupInvalid> {
    return Effect.suspend(() =>
      this.trailer !== undefined ? Effect.succeed(this.trailer) : Effect.fail(
        new BackupInvalid({
          line: null,
          reason: this.number === 0
            ? "There is nothing in it"
            : `It ends after line ${this.number}, without the last line of a backup: it was cut`
        })
      )
    )
  }
}
