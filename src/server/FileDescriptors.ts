/**
 * Whether the process may open as many files as the connections that it is to accept need. Where it may not, a full server
 * could open neither its log nor its database, so fewer connections are accepted.
 */
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { Supervisor } from "../observability/Supervisor.ts"

/** Files that a server has open besides its clients' connections: the store, its connections, modules, task files. */
const reserved = 200

/** The connections to accept: as many as were asked for, or as there is room for, and then health is red. */
export const boundConnections = (wanted: number): Effect.Effect<number, never, Supervisor> =>
  Effect.suspend(() => {
    const limit = findLimit()
    if (limit === undefined || limit >= wanted + reserved) return Effect.succeed(wanted)
    const accepted = Math.max(limit - reserved, Math.ceil(limit / 2))
    return Effect.as(
      Supervisor.use(({ warn }) =>
        warn({
          part: "open files",
          reason:
            `This process may open ${limit} files, which is too few for TASKFORGE_MAX_CONNECTIONS=${wanted}: it accepts ` +
            `${accepted} connections at most`,
          advice: `raise the limit (ulimit -n) to ${wanted + reserved}, or set TASKFORGE_MAX_CONNECTIONS=${accepted}`
        })
      ),
      accepted
    )
  })

/** What the operating system allows this process, where it says so in a file as Linux does. */
const findLimit = (): number | undefined => {
  try {
    const [, limit] = /^Max open files\s+(\d+)\s/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? []
    return limit === undefined ? undefined : Number(limit)
  } catch {
    return undefined
  }
}
