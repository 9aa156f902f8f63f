/** What others wrote, as errors and advice repeat it: cut short, as a word of a shell, or as the known word that was meant. */

/** The text, or its beginning where it has more characters than that: the caller of an error chose how long its texts are. */
export const shortened = (text: string, maxLength: number): string =>
  text.length > maxLength ? `${text.slice(0, maxLength).toWellFormed()}…` : text

/**
 * The text as one word of a shell: in quotes, unless it needs none. People are told to type commands with names of queues and
 * ids, which come from clients: pasted as it is, one such as `a; rm -rf ~` would be run.
 */
export const quoted = (text: string): string =>
  /^[\w:/.@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** The candidate that is fewest edits away from a misspelt word, if any is close: two edits, or a third of the word. */
export const nearest = (word: string, candidates: ReadonlyArray<string>): string | undefined => {
  let closest: { readonly candidate: string; readonly edits: number } | undefined
  for (const candidate of candidates) {
    const edits = editsBetween(word, candidate)
    if (closest === undefined || edits < closest.edits) closest = { candidate, edits }
  }
  return closest !== undefined && closest.edits <= Math.max(2, word.length / 3) && closest.edits < word.length
    ? closest.candidate
    : undefined
}

/** Longer words are compared by their beginnings: the cost grows with the product of the lengths. */
const maxCompared = 100

/** Insertions, deletions and replacements of characters that turn one word into the other. */
const editsBetween = (one: string, other: string): number => {
  const [from, to] = [one.slice(0, maxCompared), other.slice(0, maxCompared)]
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
