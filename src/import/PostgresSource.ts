/** What readers of queues in PostgreSQL share: the connection, and pages of a bounded size. */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import * as Redaction from "../domain/Redaction.ts"
import { SourceError } from "./ImportedJob.ts"

/** A statement on the PostgreSQL of another queue. */
export type Ask = <Row extends object>(
  statement: string,
  parameters?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, SourceError>

/** Jobs of a page, and characters of their data, at most: a page is a request to the server. */
const page = { jobs: 500, characters: 300_000 }

/** Connects until the scope closes. */
export const connect = Effect.fnUntraced(function*(url: string): Effect.fn.Return<Ask, SourceError, Scope.Scope> {
  const failed = (error: unknown) =>
    new SourceError({
      kind: "unreachable",
      problem: `${Redaction.url(url)} does not answer: ${reasonOf(error)}`,
      advice: "Give the URL of the database that the other queue uses: postgres://app@host:5432/app"
    })
  const client = PgClient.layer({
    url: Redacted.make(url),
    maxConnections: 1,
    connectTimeout: "10 seconds",
    applicationName: "taskforge import"
  })
  const sql = Context.get(yield* Effect.mapError(Layer.build(client), failed), PgClient.PgClient)
  return <Row extends object>(statement: string, parameters: ReadonlyArray<unknown> = []) =>
    Effect.mapError(sql.unsafe<Row>(statement, parameters), failed)
})

/** The innermost reason says most. */
const reasonOf = (error: unknown): string => {
  let innermost = error
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause
  return innermost instanceof Error ? innermost.message || innermost.name : String(innermost)
}

/** A name as an identifier. */
export const quoted = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** Whether a table is there. */
export const hasTable = (ask: Ask, schema: string, table: string): Effect.Effect<boolean, SourceError> =>
  Effect.map(
    ask("SELECT 1 AS found FROM information_schema.tables WHERE table_schema = $1 AND table_name = $2", [
      schema,
      table
    ]),
    (rows) => rows.length > 0
  )

/** Rows of `jobs` in an order, as many as fit into a page. `data` is the expression of their data as text. */
export const pageOf = (jobs: string, data: string, order: string): string => `
  SELECT * FROM (
    SELECT j.*, ${data} AS data_text,
      row_number() OVER w AS n, sum(octet_length(${data}) + 200) OVER w AS characters
    FROM (${jobs} ORDER BY ${order} LIMIT ${page.jobs}) j WINDOW w AS (ORDER BY ${order})
  ) p WHERE n = 1 OR characters <= ${page.characters} ORDER BY n`
