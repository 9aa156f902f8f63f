/**
 * `data_process` filters, aggregates, renames and sorts a CSV file of any size in little memory, and writes CSV or JSON.
 * Rows that cannot be read are kept aside with their lines, not lost and not in the way.
 *
 * Paths are this process's to check, rows are a thread's to read: `DataProcess.thread.ts`.
 */
import { Effect, Schema } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { onThread } from "../threads/onThread.ts"
import { moduleBeside } from "../threads/ThreadModule.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { Unprocessable } from "./data/Columns.ts"
import { CsvOptions } from "./data/CsvFile.ts"
import { DataQuery } from "./data/DataQuery.ts"
import * as AtomicFile from "./files/AtomicFile.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"
import * as Scratch from "./files/Scratch.ts"
import { Outbound } from "./outbound/Outbound.ts"
import { RequestFailed, RequestRefused, RequestRejected, retry } from "./outbound/OutboundErrors.ts"
import { Url } from "./outbound/OutboundRequestFields.ts"

/** A CSV file: a path, or where to fetch it. */
const DataSource = Schema.Union([
  Url,
  PathText.check(
    Schema.makeFilter((path: string) => !isUrl(path), { expected: "a path, or an http:// or https:// URL" })
  )
])

const isUrl = (source: string): boolean => /^https?:\/\//i.test(source)

const Format = Schema.Literals(["json", "jsonl", "csv"])
const Formulas = Schema.Literals(["keep", "escape"])

const Success = Schema.Struct({
  rows_in: Schema.Int,
  /** Rows that could not be read, or had text where a figure needed a number. */
  bad_rows: Schema.Int,
  rows_out: Schema.Int,
  columns: Schema.Array(Schema.String),
  /** The file that was written. */
  output: Schema.NullOr(Schema.String),
  /** The rows, where no file was asked for: the first thousand. */
  rows: Schema.NullOr(Schema.Array(Schema.Record(Schema.String, Schema.Json))),
  /** The first bad rows. */
  rejects: Schema.Array(Schema.Struct({ line: Schema.Int, reason: Schema.String }))
})

const OwnError = Schema.Union([Unprocessable, PathRefused, RequestRefused, RequestRejected, RequestFailed])

/** The task type `data_process`. */
export const DataProcess = Task.make("data_process", {
  description: "Filters, aggregates, renames and sorts a CSV file of any size, and writes CSV or JSON",
  payload: Schema.Struct({
    /** A file; or `text` has the CSV itself. */
    input: Schema.optionalKey(PathText),
    text: Schema.optionalKey(Schema.String),
    /** Another name for `input`, which may also be a URL. */
    data_source: Schema.optionalKey(DataSource),
    csv: withDefault(CsvOptions, {}),
    ...DataQuery,
    /** The file to write. Without it the rows are the result. */
    output: Schema.optionalKey(PathText),
    format: withDefault(Format, "json"),
    /** `escape` puts a `'` before cells of a CSV output that a spreadsheet would take for a formula. */
    formulas: Schema.optionalKey(Formulas),
    /** A CSV file for the lines of bad rows and what is wrong with them. */
    rejects: Schema.optionalKey(PathText)
  }).check(
    Schema.makeFilter((payload) =>
      [payload.input, payload.text, payload.data_source].filter((source) => source !== undefined).length !== 1
        ? "Expected one of input, text and data_source"
        : payload.select !== undefined && (payload.aggregate ?? payload.operation) !== undefined
        ? "Expected select or aggregate, not both"
        : payload.formulas === "escape" && (payload.output === undefined || payload.format !== "csv")
        ? "Expected an output with format csv where formulas are escaped"
        : undefined
    )
  ),
  success: Success,
  error: OwnError,
  retry
})

/** What the thread does: the same with real paths. */
export const DataWork = Task.make("data_process", {
  payload: {
    input: Schema.String,
    csv: CsvOptions,
    query: Schema.Struct(DataQuery),
    format: Format,
    formulas: Formulas,
    output: Schema.NullOr(Schema.String),
    rejects: Schema.NullOr(Schema.String),
    scratch: Schema.String
  },
  success: Success,
  error: Unprocessable
})

const work = onThread(DataWork, moduleBeside(import.meta.url, "DataProcess.thread"))

/** Runs `data_process`. */
export const DataProcessLive = DataProcess.toLayer((payload) => Effect.scoped(run(payload)))

type Payload = (typeof DataProcess)["payload"]["Type"]

const run = Effect.fnUntraced(function*(
  { csv, data_source, format, formulas = "keep", input = data_source, output, rejects, text, ...query }: Payload
) {
  const folders = yield* Folders
  const context = yield* TaskContext
  // A thread that is stopped cannot clean up, so this process does
  const scratch = yield* Scratch.make(context)
  const given = join(scratch, "input.csv")
  const fetched = input !== undefined && isUrl(input) ? yield* fetch(input) : text
  if (fetched !== undefined) yield* Effect.promise(() => writeFile(given, fetched))
  const source = fetched !== undefined || input === undefined ? given : yield* folders.existing(input)
  const [rowsTo, rejectsTo] = yield* Effect.all([targetOf(folders, output), targetOf(folders, rejects)])
  if (rejects !== undefined && rejectsTo !== undefined) {
    for (const [taken, name] of [[rowsTo, "output"], [source, "input"]] as const) {
      if (taken === undefined || !mayBeOneFile(taken, rejectsTo)) continue
      return yield* new PathRefused({
        path: rejects,
        reason: `rejects would take the place of the ${name}; name another file`
      })
    }
  }
  const withPart = <A, E, R>(target: string | undefined, use: (part: string | null) => Effect.Effect<A, E, R>) =>
    target === undefined ? use(null) : AtomicFile.write(target, context, use)
  const done = yield* withPart(
    rowsTo,
    (output) =>
      withPart(rejectsTo, (rejects) => work({ input: source, csv, query, format, formulas, output, rejects, scratch }))
  )
  return { ...done, output: output ?? null }
})

const targetOf = (folders: Folders["Service"], path: string | undefined) =>
  path === undefined ? Effect.undefined : folders.target(path)

/** Some file systems take names for the same that differ in case, or in how an accent is written. */
const mayBeOneFile = (a: string, b: string): boolean => folded(a) === folded(b)

const folded = (path: string): string => path.normalize("NFC").toLowerCase()

/** The file behind a URL, as large as the server lets answers be. */
const fetch = Effect.fnUntraced(function*(url: string) {
  const outbound = yield* Outbound
  const { snooze } = yield* TaskContext
  const answer = yield* outbound.send({ method: "GET", url })
  return "_tag" in answer ? yield* snooze(answer.retryAfter) : answer.body
})
