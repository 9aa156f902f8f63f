/**
 * Words in commands that people are told to type. Names of queues and ids come from clients: pasted as they are, one such as
 * `a; rm -rf ~` would be run.
 */

/** The text as one word of a shell: in quotes, unless it needs none. */
export const quoted = (text: string): string =>
  /^[\w:/.@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
