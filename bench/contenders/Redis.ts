import { Effect } from "effect"
import * as Path from "node:path"
import { createClient } from "redis"

/** The server and the database number that rounds use; what a round has written is removed after it. */
const url = new URL(process.env["BENCH_REDIS_URL"] ?? "redis://127.0.0.1:6379/9")

/** Where a round keeps its tasks: under a name of its own. */
export const place = (directory: string) =>
  Effect.acquireRelease(
    Effect.sync(() => ({
      url: url.href,
      host: url.hostname,
      port: Number(url.port || 6379),
      db: Number(url.pathname.slice(1) || 0),
      name: Path.basename(directory)
    })),
    ({ name, url }) => Effect.promise(() => removeKeys(url, name))
  )

const removeKeys = async (url: string, name: string): Promise<void> => {
  const client = await createClient({ url }).connect()
  for await (const keys of client.scanIterator({ MATCH: `*${name}*`, COUNT: 10_000 })) {
    if (keys.length > 0) await client.unlink(keys)
  }
  await client.close()
}
