/**
 * Whether the files that are open are still those that their names lead to. A database that was deleted or replaced goes
 * on working for those who have it open, and what they store then is gone with them.
 */
import { statSync } from "node:fs"

/** Answers the name of the first file that was deleted or replaced since. */
export type FileIdentity = () => Missing | undefined

/** What became of a file. */
export interface Missing {
  readonly path: string
  readonly how: "deleted" | "replaced"
}

/** For databases in memory. */
export const none: FileIdentity = () => undefined

/** Remembers which files an open database in WAL mode has: itself, its log and the log's index. */
export const of = (path: string): FileIdentity => {
  const files = [path, `${path}-wal`, `${path}-shm`].map((name) => ({ name, opened: identityOf(name) }))
  return () => {
    for (const { name, opened } of files) {
      if (opened === undefined) continue
      const found = identityOf(name)
      if (found !== opened) return { path: name, how: found === undefined ? "deleted" : "replaced" }
    }
    return undefined
  }
}

/** The file that a name leads to. Where it cannot be looked at, the name leads nowhere. */
const identityOf = (path: string): string | undefined => {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}
