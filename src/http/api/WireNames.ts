/** Names of options as requests and answers have them: `max_missed` is the `maxMissed` of programs. */

/**
 * The name in a request of an option of a program. What is in capitals alone, such as the parts of a calendar rule, stays.
 *
 * @example
 * ```ts
 * WireNames.ofOption("maxMissed") // "max_missed"
 * ```
 */
export const ofOption = (option: string): string =>
  option.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The option of a program that has this name in a request. */
export const toOption = (name: string): string =>
  name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
