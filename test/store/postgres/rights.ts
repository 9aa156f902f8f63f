/**
 * The statements that grant the rights which the store needs, read from the page that documents them: what is tested is
 * what people copy.
 */
import { readFileSync } from "node:fs"

/** The names that the page uses, and those of a test. */
export interface Names {
  readonly owner: string
  readonly app: string
  readonly database: string
  readonly schema: string
}

const page = readFileSync(new URL("../../../docs/postgres.md", import.meta.url), "utf8")
const section = page.split("\n## ").find((text) => text.startsWith("Rights\n")) ?? ""
const blocks = [...section.matchAll(/^```sql\n([\s\S]*?)^```/gm)].map((match) => match[1]!)

const statementsOf = (block: string | undefined, { app, database, owner, schema }: Names): ReadonlyArray<string> => {
  if (block === undefined) throw new Error("docs/postgres.md has no such block in the section Rights")
  const named = block
    .replaceAll(/\btaskforge_owner\b/g, `"${owner}"`)
    .replaceAll(/\btaskforge_app\b/g, `"${app}"`)
    .replaceAll(/\bSCHEMA taskforge\b/g, `SCHEMA "${schema.replaceAll("\"", "\"\"")}"`)
    .replaceAll(/\bDATABASE app\b/g, `DATABASE "${database}"`)
  return named.split(";").map((statement) => statement.trim()).filter((statement) => statement !== "")
}

/** What an administrator says before the schema has its layout. */
export const beforehand = (names: Names): ReadonlyArray<string> => statementsOf(blocks[0], names)

/** What the owner of a schema with its layout says. */
export const afterwards = (names: Names): ReadonlyArray<string> => statementsOf(blocks[1], names)
