/**
 * The `Retry-After` header of an answer (RFC 9110, section 10.2.3): a number of seconds, or a date in one of the three
 * forms of HTTP. `Date.parse` is no help: it takes `32.5` for a day in 2032 and `1.5` for one in 2001.
 */
import { DateTime } from "effect"

/** The longest wait that an answer can ask for, in milliseconds: one day. */
export const maxRetryAfterMillis = 86_400_000

/**
 * How long to wait, in milliseconds from 0 to {@link maxRetryAfterMillis}, or `null` when the header is missing or is
 * neither seconds nor a date. Fractions of a second are rounded up to whole ones: no early request is sent.
 */
export const read = (header: string | undefined, now: number): number | null => {
  const text = header?.trim() ?? ""
  const waitMillis = /^\d+(?:\.\d+)?$/.test(text) ? Math.ceil(Number(text)) * 1000 : fromDate(text, now)
  return waitMillis === null ? null : Math.min(Math.max(0, waitMillis), maxRetryAfterMillis)
}

const time = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`
const shortDay = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
const longDay = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"

/** The three forms of a date that HTTP knows, the current one first. Their case matters. */
const forms = [
  // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
  new RegExp(String.raw`^${shortDay}, (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) ${time} GMT$`),
  // RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
  new RegExp(String.raw`^${longDay}, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) ${time} GMT$`),
  // asctime: Sun Nov  6 08:49:37 1994
  new RegExp(String.raw`^${shortDay} (?<month>[A-Z][a-z]{2}) (?<day>\d\d| \d) ${time} (?<year>\d{4})$`)
]

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

const fromDate = (text: string, now: number): number | null => {
  const parts = forms.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined)
  const at = parts === undefined ? null : instantOf(parts, now)
  return at === null ? null : at - now
}

/** The instant of a date's parts, or `null` when there is no such day or time. */
const instantOf = (parts: Readonly<Record<string, string>>, now: number): number | null => {
  const [day, hour, minute, second] = [parts["day"], parts["hour"], parts["minute"], parts["second"]].map(Number)
  const month = months.indexOf(parts["month"]!)
  const year = fullYear(parts["year"]!, now)
  if (month < 0 || hour! > 23 || minute! > 59 || second! > 60) return null
  const date = DateTime.makeUnsafe(Date.UTC(year, month, day))
  // The 30th of February would be the 1st or 2nd of March
  return DateTime.getPartUtc(date, "month") === month + 1 && DateTime.getPartUtc(date, "day") === day
    ? DateTime.toEpochMillis(date) + ((hour! * 60 + minute!) * 60 + second!) * 1000
    : null
}

/** A year of two digits is the one that ends alike and is nearest to now, not more than 50 years ahead (RFC 9110). */
const fullYear = (text: string, now: number): number => {
  if (text.length === 4) return Number(text)
  const current = DateTime.getPartUtc(DateTime.makeUnsafe(now), "year")
  const year = current - (current % 100) + Number(text)
  return year > current + 50 ? year - 100 : year <= current - 50 ? year + 100 : year
}
