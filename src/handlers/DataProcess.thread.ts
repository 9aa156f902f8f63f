/** The work of `data_process`: one pass over the file, and a second one over what had to wait for the end. */
import { Effect } from "effect"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import type { Cell } from "./data/Aggregation.ts"
import { Unprocessable } from "./data/Columns.ts"
import { runQuery } from "./data/DataQuery.ts"
import { TextFile } from "./data/FileChunks.ts"
import * as RowWriter from "./data/RowWriter.ts"
import { DataWork } from "./DataProcess.ts"

/** What a result holds at most where no file was asked for. */
const maxRows = 1000
const maxCharacters = 262_144

/** Bad rows in a result. */
const maxRejects = 20

export const handler = ThreadHandler.make(
  DataWork,
  Effect.fnUntraced(function*(payload) {
    const { progress } = yield* TaskContext
    const output = payload.output === null ? undefined : new TextFile(payload.output)
    const rejects = payload.rejects === null ? undefined : new TextFile(payload.rejects)
    const kept: Array<Record<string, Cell>> = []
    const bad: Array<{ readonly line: number; readonly reason: string }> = []
    const rejectLine = RowWriter.make("csv", ["line", "reason"])
    let columns: ReadonlyArray<string> = []
    let writer = RowWriter.make(payload.format, columns)
    let written = 0
    let characters = 0
    rejects?.write(rejectLine.head)
    const query = runQuery({ path: payload.input, options: payload.csv, scratch: payload.scratch }, payload.query, {
      columns: (names) => {
        columns = names
        writer = RowWriter.make(payload.format, columns, payload.formulas)
        output?.write(writer.head)
      },
      row: (cells) => {
        if (output !== undefined) return output.write(writer.row(cells, written++))
        characters += JSON.stringify(cells).length
        if (kept.length === maxRows || characters > maxCharacters) {
          throw new Unprocessable({
            reason: "The result is too large to be stored with the task; name a file as output"
          })
        }
        kept.push(RowWriter.objectOf(columns, cells))
      },
      bad: (line, reason) => {
        if (bad.length < maxRejects) bad.push({ line, reason })
        rejects?.write(rejectLine.row([line, reason], 0))
      }
    })
    for (;;) {
      const step = yield* next(query)
      if (step.done !== true) {
        yield* progress(step.value)
        continue
      }
      output?.write(writer.end(written))
      output?.close()
      rejects?.close()
      const { badRows, rowsIn, rowsOut } = step.value
      return {
        rows_in: rowsIn,
        bad_rows: badRows,
        rows_out: rowsOut,
        columns,
        output: null,
        rows: output === undefined ? kept : null,
        rejects: bad
      }
    }
  })
)

/** The next step of a query; everything else that it throws is a defect. */
const next = <A, B>(query: Iterator<A, B>): Effect.Effect<IteratorResult<A, B>, Unprocessable> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(query.next())
    } catch (thrown) {
      if (thrown instanceof Unprocessable) return Effect.fail(thrown)
      throw thrown
    }
  })
