/**
 * The type of a task as stores keep it: its name, and behind a mark the version of its payload where that is not the first. Stores look
 * at it as a whole when they hand out work, so an instance that asks for the versions that it knows is given no other. The name alone
 * counts for keys and for pauses: a key is unique over all versions of a type.
 */

/** What stands between a name and a version: no name of a type has it. */
export const mark = "\u001f"

/** The highest version. An instance asks for each version that it knows. */
export const maxVersion = 100

/** What is stored for a type and a version of its payload. A task of the first version is stored by its name alone. */
export const storedTypeOf = (type: string, version: number | undefined): string =>
  version === undefined || version === 1 ? type : `${type}${mark}${version}`

/** The name in a stored type. */
export const typeOf = (stored: string): string => {
  const end = stored.indexOf(mark)
  return end < 0 ? stored : stored.slice(0, end)
}

/** The version in a stored type. */
export const versionOf = (stored: string): number => {
  const end = stored.indexOf(mark)
  return end < 0 ? 1 : Number(stored.slice(end + 1))
}

/** Stored types of all versions of a type up to one. */
export const upTo = (type: string, version: number): ReadonlyArray<string> =>
  Array.from({ length: version }, (_, index) => storedTypeOf(type, index + 1))

/** The names of stored types, each once. */
export const namesOf = (stored: ReadonlyArray<string>): ReadonlyArray<string> =>
  stored.some((one) => one.includes(mark)) ? [...new Set(stored.map(typeOf))] : stored

/** The versions of a type among stored types, the lowest first. */
export const versionsIn = (stored: ReadonlyArray<string>, type: string): ReadonlyArray<number> =>
  stored.filter((one) => typeOf(one) === type).map(versionOf).sort((a, b) => a - b)

/** The type of the tasks that batches have besides their members and callbacks: see `flow/BatchRecords`. */
export const ownBatch = "taskforge.batch"

/** Whether a task is the engine's own. Others would wait for ever if one of these were given up. */
export const isOwn = (type: string): boolean => type === ownBatch
