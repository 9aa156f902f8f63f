/**
 * Which rules of time zones this process knows. They change several times a year, with little notice, and come with the runtime.
 *
 * A tick that was worked out with other rules may be an hour off. So store this with it, and work it out again where it differs.
 */

/**
 * The version of the zone data, such as `2026c`. Where a runtime does not tell it, the version of what the data is part of.
 *
 * @example
 * ```ts
 * const isStale = stored.zoneData !== zoneDataVersion
 * ```
 */
export const zoneDataVersion: string = process.versions["tz"] ?? process.versions["icu"] ?? process.version
