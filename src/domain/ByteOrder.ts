/**
 * The order of texts by their bytes in UTF-8, in which every store sorts. JavaScript compares code units, and those of the
 * surrogates come before others that stand for smaller characters.
 */

/** Compares two texts for a sort. */
export const compare = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const difference = place(a.charCodeAt(index)) - place(b.charCodeAt(index))
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** The first text behind one, of those without U+0000. */
export const after = (text: string): string => `${text}\u0001`

/** Surrogates stand for characters behind all others, and yet some others have greater numbers in UTF-16. */
const place = (unit: number): number => unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit
