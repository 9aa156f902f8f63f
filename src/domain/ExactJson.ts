/**
 * Numbers that a JSON text has and JavaScript has not. `JSON.parse` makes 9007199254740992 of 9007199254740993, and
 * `Infinity` of 1e400, and says nothing: an account number would become another one.
 */
import { endOfString } from "./JsonText.ts"

/** A number that would be changed by being read. */
export interface Inexact {
  /** As it is written. */
  readonly number: string
  /** Where it is: keys and positions, the outermost first. */
  readonly path: ReadonlyArray<string | number>
}

/**
 * The first number of a JSON text that would not be kept as it is: an integer that is written back with other digits, or
 * one that is too large for a double. A fraction is rounded to the nearest double, as everywhere.
 */
export const inexactIn = (json: string): Inexact | undefined => {
  const isSuspicious = hasManyDigits({ length: json.length, at: (at) => json.charCodeAt(at) })
  const number = isSuspicious ? firstInexact(json) : undefined
  return number === undefined ? undefined : { number, path: pathToInexact(json) }
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57

/** Digits in a row that an integer needs to be inexact. */
const manyDigits = 16

/** Digits in a row before or after the point that an integer with an exponent needs to be inexact. */
const halfOfMany = manyDigits / 2

/** Digits in a row that an exponent needs to be too large. */
const largeExponent = 3

/** A JSON text as UTF-16 or as UTF-8: digits, signs and the letters of exponents are the same in both. */
interface Codes {
  readonly length: number
  readonly at: (index: number) => number
}

/** Whether {@link inexactIn} has to look at the text that these bytes of UTF-8 are. */
export const mayBeInexact = (json: Uint8Array): boolean => {
  for (let at = largeExponent - 1; at < json.length; at += largeExponent) {
    if (isDigit(json[at]!)) return hasManyDigits({ length: json.length, at: (at) => json[at] ?? 0 })
  }
  return false
}

/**
 * Whether a text has so many digits in a row, be it in a string. Of so many in a row a look at every third character meets
 * one, which costs a fraction of what a pattern does.
 */
const hasManyDigits = (json: Codes): boolean => {
  for (let at = largeExponent - 1; at < json.length; at += largeExponent) {
    if (!isDigit(json.at(at))) continue
    let start = at
    while (isDigit(json.at(start - 1))) start--
    while (isDigit(json.at(at + 1))) at++
    const digits = at - start + 1
    if (
      digits >= manyDigits ||
      (digits >= largeExponent && isExponent(json, start)) ||
      (digits >= halfOfMany && hasExponent(json, at + 1))
    ) return true
  }
  return false
}

const isExponent = (json: Codes, start: number): boolean => {
  const sign = json.at(start - 1)
  const before = sign === 43 || sign === 45 ? json.at(start - 2) : sign
  return before === 101 || before === 69
}

/** Whether an exponent follows the digits of a number that end before a place, perhaps after a fraction. */
const hasExponent = (json: Codes, end: number): boolean => {
  if (json.at(end) === 46) {
    do end++
    while (isDigit(json.at(end)))
  }
  return json.at(end) === 101 || json.at(end) === 69
}

const number = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y

const isInexact = (source: string): boolean => {
  const value = Number(source)
  if (!Number.isFinite(value)) return true
  if (Number.isSafeInteger(value)) return false
  const [digits, exponent] = normal(source)
  const [kept, keptExponent] = normal(JSON.stringify(value))
  return exponent >= 0 && (digits !== kept || exponent !== keptExponent)
}

/** A number as digits without zeros at either end, and the power of ten that they are multiplied by. */
const normal = (source: string): readonly [digits: string, exponent: number] => {
  const [, whole = "", fraction = "", exponent = "0"] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? []
  const digits = whole + fraction
  let start = 0
  let end = digits.length
  while (digits[start] === "0") start++
  while (end > start && digits[end - 1] === "0") end--
  return [digits.slice(start, end), Number(exponent) - fraction.length + digits.length - end]
}

/** Looks at each number outside of strings. */
const firstInexact = (json: string): string | undefined => {
  let at = 0
  while (at < json.length) {
    const character = json[at]!
    if (character === "\"") {
      at = endOfString(json, at)
    } else if (character === "-" || (character >= "0" && character <= "9")) {
      number.lastIndex = at
      const [source = character] = number.exec(json) ?? []
      if (isInexact(source)) return source
      at += source.length
    } else {
      at++
    }
  }
  return undefined
}

/** Finds the way to the number, from the inside out: the reviver is called for what is in a value before it. */
const pathToInexact = (json: string): ReadonlyArray<string | number> => {
  let found: { readonly path: Array<string | number>; holder: unknown } | undefined
  // The third argument is newer than its type
  const reviver = function(this: unknown, key: string, value: unknown, context?: { readonly source?: string }) {
    if (found === undefined) {
      const source = context?.source
      if (typeof value === "number" && source !== undefined && isInexact(source)) {
        found = { path: [keyIn(this, key)], holder: this }
      }
    } else if (value === found.holder) {
      found.path.unshift(keyIn(this, key))
      found.holder = this
    }
    return value
  }
  JSON.parse(json, reviver)
  // The outermost holder is one that the parser makes, under the key ""
  return found === undefined ? [] : found.path.slice(1)
}

const keyIn = (holder: unknown, key: string): string | number => Array.isArray(holder) ? Number(key) : key
