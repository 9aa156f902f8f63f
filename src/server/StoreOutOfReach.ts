/**
 * The store's file must not lie where tasks write and remove files: a `cleanup` would take the tasks themselves, and a
 * `file_read` would show those of all clients.
 */
import { Effect } from "effect"
import { readlinkSync, realpathSync } from "node:fs"
import { basename, dirname, join, resolve, sep } from "node:path"
import { InvalidSettings } from "../config/InvalidSettings.ts"
import type { Settings } from "../config/Settings.ts"

/** Fails where a folder for tasks holds the store's file, by their paths or by what symbolic links make of these. */
export const check = ({ folders, store }: Pick<Settings, "folders" | "store">): Effect.Effect<void, InvalidSettings> =>
  Effect.suspend(() => {
    if (store._tag !== "Sqlite") return Effect.void
    // A link to the file counts too: who replaces it replaces the store
    const files = placesOf(store.path)
    const folder = folders.find((folder) =>
      placesOf(folder).some((root) => files.some((file) => file.startsWith(root.endsWith(sep) ? root : root + sep)))
    )
    return folder === undefined ? Effect.void : new InvalidSettings({
      problems: [
        `TASKFORGE_FOLDERS=${
          folders.join(",")
        }: tasks could destroy the store, ${store.path}, which lies in ${folder}; ` +
        "name folders without it, or another file in STORE_URL"
      ]
    })
  })

/** A path as it is written, and where it leads. */
const placesOf = (path: string): ReadonlyArray<string> => {
  const absolute = resolve(path)
  return [...new Set([absolute, join(realAncestor(dirname(absolute)), basename(absolute)), realAncestor(absolute)])]
}

/** Links that lead nowhere yet, followed at most: they may lead to one another. */
const maxLinks = 40

/** The real path of what exists, with what does not exist yet behind it. SQLite makes the file that a link leads to. */
const realAncestor = (path: string, links = 0): string => {
  try {
    return realpathSync(path)
  } catch {
    const target = links === maxLinks ? undefined : targetOf(path)
    return target !== undefined
      ? realAncestor(target, links + 1)
      : dirname(path) === path
      ? path
      : join(realAncestor(dirname(path), links), basename(path))
  }
}

const targetOf = (path: string): string | undefined => {
  try {
    return resolve(dirname(path), readlinkSync(path))
  } catch {
    return undefined
  }
}
