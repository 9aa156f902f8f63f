/** Requests to the API: addresses relative to the page, so that it works under any path. */
import { signal } from "@preact/signals"
import { introduce, isLockedOut, key, me } from "./Session.ts"
import type { Me } from "./Wire.ts"

/** The server has refused a request. */
export class Refused extends Error {
  override readonly name = "Refused"
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** No answer came. */
export class Unreachable extends Error {
  override readonly name = "Unreachable"
}

/** Since when the server does not answer, by the browser's clock. */
export const silentSince = signal<number | undefined>(undefined)

/** How long an answer may take, in milliseconds. */
const patienceMs = 20_000

/** Characters of an answer that is not of the API, such as a proxy's page, that are shown. */
const maxShown = 200

/** The headers that say who asks. */
export const credentials = (): Record<string, string> =>
  key.value === undefined ? {} : { authorization: `Bearer ${key.value}` }

/** An address with parameters; those that are undefined are left out. */
export const address = (
  path: string,
  query: Readonly<Record<string, string | number | undefined>> = {}
): string => {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, String(value)]]
  )
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`
}

/** Asks the API and gives what it answers. */
export const call = async <A>(
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body?: unknown,
  ended?: AbortSignal
): Promise<A> => {
  const timeout = AbortSignal.timeout(patienceMs)
  let response: Response
  let text: string
  try {
    response = await fetch(path, {
      method,
      cache: "no-store",
      headers: { ...credentials(), ...body === undefined ? {} : { "content-type": "application/json" } },
      ...body === undefined ? {} : { body: JSON.stringify(body) },
      signal: ended === undefined ? timeout : AbortSignal.any([ended, timeout])
    })
    text = await response.text()
  } catch (error) {
    if (ended?.aborted === true) throw error
    silentSince.value ??= Date.now()
    throw new Unreachable("The server does not answer")
  }
  if (response.ok) {
    silentSince.value = undefined
    return (text === "" ? undefined : JSON.parse(text)) as A
  }
  const refused = refusal(response, text)
  // A proxy answers for a server that does not
  if (refused.code === "") silentSince.value ??= Date.now()
  else silentSince.value = undefined
  if (response.status === 401) isLockedOut.value = true
  throw refused
}

/** Reads from the API. */
export const get = <A>(path: string, ended?: AbortSignal): Promise<A> => call<A>("GET", path, undefined, ended)

const refusal = ({ status, statusText }: Response, text: string): Refused => {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } }
    return new Refused(status, error.code, error.message)
  } catch {
    const shown = text.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim().slice(0, maxShown)
    return new Refused(status, "", `The answer was ${status} ${statusText}${shown === "" ? "" : `: ${shown}`}`)
  }
}

/** Finds out who the server takes the caller for. */
export const learnMe = async (): Promise<void> => {
  const asked = Date.now()
  try {
    introduce(await get<Me>("api/v1/me"), asked)
  } catch (error) {
    if (!isLockedOut.value && me.value === undefined && error instanceof Refused && error.status === 403) throw error
  }
}

/** What went wrong, for a person. */
export const wordsOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** What went wrong when something was to be done: without an answer nobody knows whether it was. */
export const wordsOfAct = (error: unknown): string =>
  error instanceof Unreachable
    ? "No answer came. It may have been done all the same: look first, or try again."
    : wordsOf(error)

/** A value of a list in an address, to the letter: one with commas stands in quotes. */
export const exact = (value: string): string =>
  /[,"]/.test(value) || value !== value.trim() ? `"${value.replaceAll(`"`, `""`)}"` : value
