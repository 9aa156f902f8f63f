/**
 * What may be secret in texts that people read: the user, the password and the query of a URL. Settings, logs, errors,
 * events and the command line all leave them out by these functions.
 */

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
export const text = (text: string): string =>
  text.includes("://") ? text.replace(/[a-z][a-z\d+.-]{0,31}:\/\/[^\s"'<>`|\\]+/gi, redactWord) : text

/** The punctuation after a URL belongs to the sentence. Found without a pattern, whose work could grow with the square. */
const redactWord = (word: string): string => {
  let end = word.length
  while (end > 0 && ".,;:!)]}".includes(word[end - 1]!)) end--
  return url(word.slice(0, end)) + word.slice(end)
}

/** Whether an @ behind the host may have been meant as the end of a password. */
const isAmbiguous = ({ password, pathname, port, protocol, username }: URL): boolean =>
  pathname.includes("@") && username === "" && password === "" && (port !== "" || !/^(?:https?|wss?):$/.test(protocol))

const afterLastAt = (text: string): string => {
  const at = text.lastIndexOf("@")
  return at === -1 ? text : `${shown}@${text.slice(at + 1)}`
}

/** `password=…` as connection strings write it. */
const assignments = (text: string): string =>
  text.replace(/\b(\w*(?:password|passwd|pwd|secret|token))(\s*=\s*)[^\s;&]+/gi, `$1$2${shown}`)

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

const mayHaveSecretHeader = new RegExp(`"(?:${[...secretHeaders].join("|")})"\\s*:`, "i")

/** Reads JSON; the values of fields named like a header that carries a secret are left out. */
export const parse = (json: string): unknown =>
  mayHaveSecretHeader.test(json) || json.includes("\\u")
    ? JSON.parse(json, (name, value) => secretHeaders.has(name.toLowerCase()) ? shown : value)
    : JSON.parse(json)
