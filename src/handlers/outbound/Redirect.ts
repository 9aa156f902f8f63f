/** Where an answer sends its request on to, by the rules of `fetch`. */
import type { OutboundRequest } from "./OutboundRequest.ts"

const statuses = new Set([301, 302, 303, 307, 308])

/** Headers that another origin may see. Any other may be a secret, whatever it is called. */
const harmless = new Set([
  "accept",
  "accept-language",
  "content-type",
  "user-agent",
  "webhook-id",
  "webhook-timestamp"
])

/** The next request; `undefined` when the answer is no redirect. */
export const next = (
  request: OutboundRequest,
  url: URL,
  answer: { readonly status: number; readonly headers: Readonly<Record<string, string>> }
): OutboundRequest | undefined => {
  const location = answer.headers["location"]
  const target = statuses.has(answer.status) && location !== undefined ? URL.parse(location, url.href) : null
  if (target === null) return undefined
  const becomesGet = (answer.status === 303 && request.method !== "HEAD") ||
    (answer.status <= 302 && request.method === "POST")
  const headers = Object.entries(request.headers ?? {}).filter(([name]) =>
    (target.origin === url.origin || harmless.has(name.toLowerCase())) &&
    !(becomesGet && name.toLowerCase().startsWith("content-"))
  )
  return {
    ...request,
    url: target.href,
    headers: Object.fromEntries(headers),
    ...(becomesGet ? { method: "GET", body: undefined } : {})
  }
}
