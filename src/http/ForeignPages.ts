/**
 * Keeps web pages away from a server that asks for no key. A browser on the machine sends whatever a page asks it to
 * send, to loopback as well, so a request that needs no key has to come from the server's own pages, from a listed
 * origin, or from a program that is no browser.
 */
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import { isIP } from "node:net"
import * as ErrorAnswer from "./ErrorAnswer.ts"

/** What is not foreign. */
export interface Options {
  /** Names that the server goes by, besides `localhost` and addresses. */
  readonly hosts: Iterable<string>
  /** Origins whose pages may send requests. */
  readonly origins: Iterable<string>
}

/** The answer to a request that a foreign page may have caused; `undefined` for any other. */
export const make = ({ hosts, origins }: Options) => {
  const names = new Set(Array.from(hosts, (host) => host.toLowerCase()))
  const listed = new Set(origins)
  /** Most requests name the same host as the one before. */
  let lastOwn: string | undefined

  const isOwnHost = (host: string): boolean => {
    if (host === lastOwn) return true
    if (!isOwn(nameOf(host.toLowerCase()), names)) return false
    lastOwn = host
    return true
  }

  return (request: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse | undefined => {
    const { headers, method } = request
    const host = headers["host"]
    // A page can make its own name resolve to this address, and then counts as same-origin: the name tells
    if (host !== undefined && !isOwnHost(host)) return foreignHost
    const origin = headers["origin"]
    if (origin !== undefined) {
      return listed.has(origin) || hostOf(origin) === host?.toLowerCase() || isHarmless(method, headers)
        ? undefined
        : foreignOrigin
    }
    const site = headers["sec-fetch-site"]
    return site === undefined || site === "same-origin" || site === "none" || isHarmless(method, headers)
      ? undefined
      : foreignOrigin
  }
}

/** Changes nothing and opens no socket; browsers do not show the answer to a foreign page. */
const isHarmless = (method: string, headers: HttpServerRequest.HttpServerRequest["headers"]): boolean =>
  (method === "GET" || method === "HEAD" || method === "OPTIONS") && headers["upgrade"] === undefined

const isOwn = (name: string, names: ReadonlySet<string>): boolean =>
  name === "localhost" || name.endsWith(".localhost") || isIP(name) !== 0 || names.has(name)

/** A host without its port, its brackets and the dot at its end. */
const nameOf = (host: string): string => {
  const bracketed = /^\[(.*)\](?::\d*)?$/.exec(host)
  return bracketed?.[1] ?? host.replace(/:\d*$/, "").replace(/\.$/, "")
}

/** The host and port of an origin; of `null`, which sandboxed pages and files send, there is none. */
const hostOf = (origin: string): string | undefined => /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase()

const foreignHost = ErrorAnswer.make(
  403,
  "foreign_host",
  "This server asks for no API key, so it answers only to localhost, to addresses and to the names in " +
    "TASKFORGE_ALLOWED_HOSTS: add this name there, or make a key"
)

const foreignOrigin = ErrorAnswer.make(
  403,
  "foreign_origin",
  "This server asks for no API key, so pages of other origins may not use it: list the origin in " +
    "TASKFORGE_ALLOWED_ORIGINS, or make a key"
)
