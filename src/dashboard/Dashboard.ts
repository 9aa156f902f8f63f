/**
 * Serves the dashboard: a page and what it loads, under names that change with their content. The page asks the API for
 * all that it shows, as any other client, so a person who may not use the API sees only a form for a key.
 */
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { gunzipSync } from "node:zlib"
import { type GuardedRoute, publicPage } from "../http/api/NeededRole.ts"
import { files, type PageFile } from "./PageFiles.ts"

/** Whether this build has the page: the sources alone have not. */
export const isBuilt: boolean = files.length > 0

/** Where the files are. They are open to every client, because a browser cannot send a key with them. */
export const routes: ReadonlyArray<GuardedRoute> = files.map(({ path }) => publicPage(`/${path}`))

/** Adds the page and its files. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use(
  Effect.fnUntraced(function*(router) {
    for (const file of files) yield* router.add("GET", `/${file.path}`, answering(file))
  })
)

/** Scripts and styles come from this server alone, and nothing but the API is asked. No text becomes markup. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join("; ")

/** The answers to requests for a file: the best form that the client takes, or none where it has the file already. */
const answering = ({ br, contentType, gzip, path }: PageFile) => {
  const forms = { br: Buffer.from(br, "base64"), gzip: Buffer.from(gzip, "base64") }
  const etag = `"${createHash("sha256").update(forms.br).digest("base64url").slice(0, 22)}"`
  const headers = {
    etag,
    "vary": "accept-encoding",
    // What the page loads has another name once it changes; the page itself is asked for each time
    "cache-control": path === "" ? "no-cache" : "public, max-age=31536000, immutable",
    "content-security-policy": contentSecurityPolicy,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff"
  }
  return Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    if (request.headers["if-none-match"] === etag) return HttpServerResponse.empty({ status: 304, headers })
    const form = (["br", "gzip"] as const).find((name) => takes(request.headers["accept-encoding"], name))
    return form === undefined
      ? HttpServerResponse.uint8Array(gunzipSync(forms.gzip), { contentType, headers })
      : HttpServerResponse.uint8Array(forms[form], { contentType, headers: { ...headers, "content-encoding": form } })
  })
}

/** Whether a client takes a form, as it says in `Accept-Encoding`: `br;q=0` is no. */
const takes = (accepted: string = "", name: string): boolean =>
  accepted.split(",").some((part) => {
    const [encoding, quality = ""] = part.split(";")
    return encoding!.trim() === name && !/^\s*q=0(\.0*)?\s*$/.test(quality)
  })
