/**
 * What may be secret in texts that people read: the user, the password and the query of a URL. Settings, logs, errors,
 * events and the command line all leave them out by these functions.
 */
import type { Schema } from "effect"

const shown = "***"

/** A URL, or what was meant as one, without user, password, query and fragment. */
export const url = (text: string): string => {
  const [, scheme = "", rest = ""] = /^([a-z][a-z\d+.-]*:\/\/)?(.*)$/is.exec(text)!
  const parsed = scheme === "" ? null : URL.parse(text)
  // A password may hold any character, also those that end it for a parser: what comes before the last @ is left out
  if (parsed === null || isAmbiguous(parsed)) {
    return assignments(`${scheme}${afterLastAt(rest)}`.replace(/[?#].*$/s, `?${shown}`))
  }
  const user = parsed.username === "" && parsed.password === "" ? "" : `${shown}@`
  const query = parsed.search === "" && parsed.hash === "" ? "" : `?${shown}`
  const path = parsed.pathname === "/" && !rest.includes("/") ? "" : parsed.pathname
  return `${scheme}${user}${parsed.host}${path}${query}`
}

/** A text, with each URL in it as {@link url} shows it. */
export const text = (text: string): string => eachUrl(text, url)

/** URLs in a text. A password may hold what ends a URL elsewhere. */
const urls = /[a-z][a-z\d+.-]{0,31}:\/\/(?:[^\s"/?#]*@)?[^\s"'<>`|\\]*/gi

/** The punctuation after a URL belongs to the sentence. Found without a pattern, whose work could grow with the square. */
const eachUrl = (text: string, shown: (url: string) => string): string =>
  text.includes("://")
    ? text.replace(urls, (word) => {
      let end = word.length
      while (end > 0 && ".,;:!)]}".includes(word[end - 1]!)) end--
      return shown(word.slice(0, end)) + word.slice(end)
    })
    : text

/** A URL that is a user's own data: it stays as it is, but for user and password and for values that are named as secrets. */
export const ownUrl = (text: string): string => {
  const parsed = URL.parse(text)
  if (parsed === null ? text.includes("@") : parsed.port !== "" && isAmbiguous(parsed)) return url(text)
  const hasUser = parsed !== null && parsed.username + parsed.password !== ""
  return assignments(hasUser ? text.replace(/\/\/[^/?#]*@/, `//${shown}@`) : text)
}

/** Whether an @ behind the host may have been meant as the end of a password. */
const isAmbiguous = ({ password, pathname, port, protocol, username }: URL): boolean =>
  pathname.includes("@") && username === "" && password === "" && (port !== "" || !/^(?:https?|wss?):$/.test(protocol))

const afterLastAt = (text: string): string => {
  const at = text.lastIndexOf("@")
  return at === -1 ? text : `${shown}@${text.slice(at + 1)}`
}

/** `password=…` as connection strings and queries write it. */
const assignments = (text: string): string =>
  text.replace(
    /\b(\w*(?:password|passwd|pwd|secret|token|api[_-]?key|sig(?:nature)?))(\s*=\s*)[^\s;&#]+/gi,
    `$1$2${shown}`
  )

/** Headers that carry a secret. */
const secretHeaders = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "set-cookie",
  "webhook-signature",
  "x-amz-security-token",
  "x-api-key",
  "x-auth-token",
  "x-csrf-token",
  "x-goog-api-key"
])

/** How the names of headers end that carry a secret: `private-token`, `x-vault-token`, `dd-api-key`. */
const secretHeader =
  /(?:^|[-_])(?:authorization|cookie2?|credentials?|(?<!idempotency[-_])(?:api)?key|passw(?:or)?d|secret|signature|token)$/i

/** Headers of a request or an answer, without the values of those that carry a secret and what {@link ownUrl} leaves out. */
export const headers = <A>(headers: Readonly<Record<string, A>>): Record<string, A | string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      secretHeader.test(name) ? shown : typeof value === "string" ? eachUrl(value, ownUrl) : value
    ])
  )

/**
 * The JSON of a payload. The values of fields named like a header that carries a secret are left out, and so are those of
 * {@link headers}, and users, passwords and secrets in URLs. What has none of that is given back as it is.
 */
export const json = (value: Schema.Json): Schema.Json => {
  if (typeof value === "string") return mayHaveSecretUrl(value) ? eachUrl(value, ownUrl) : value
  if (typeof value !== "object" || value === null) return value
  return Array.isArray(value) ? eachOf(value) : fieldsOf(value as Schema.JsonObject)
}

// Neither lists what is in a value, nor copies what stays as it is: payloads may be large

const eachOf = (items: Schema.JsonArray): Schema.JsonArray => {
  let copy: Array<Schema.Json> | undefined
  for (let index = 0; index < items.length; index++) {
    const kept = json(items[index]!)
    if (kept !== items[index]) (copy ??= [...items])[index] = kept
  }
  return copy ?? items
}

const fieldsOf = (fields: Schema.JsonObject, areHeaders = false): Schema.JsonObject => {
  let copy: { [key: string]: Schema.Json } | undefined
  for (const key in fields) {
    const found = fields[key]!
    const kept = secretHeaders.has(key.toLowerCase()) || areHeaders && secretHeader.test(key)
      ? shown
      : key === "headers" && isRecord(found)
      ? fieldsOf(found, true)
      : json(found)
    if (kept !== found) (copy ??= { ...fields })[key] = kept
  }
  return copy ?? fields
}

const isRecord = (value: Schema.Json): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Whether some URL in it may have what {@link ownUrl} leaves out; most have not. */
const mayHaveSecretUrl = (text: string): boolean => text.includes("://") && /[@=]/.test(text)
