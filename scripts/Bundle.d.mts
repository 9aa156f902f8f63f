/** What `Bundle.mjs` gives to TypeScript. It is no TypeScript itself, because it runs before there is anything to run it. */

/**
 * The file to run for a bundle: its entry, built first if these sources have no bundle yet. Where no bundle can be kept,
 * as in a checkout that is read only, it is the entry of the sources.
 */
export const file: (name: "server" | "taskforge") => string
