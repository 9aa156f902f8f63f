/** Refuses bodies that lose something when they are read: their tasks would have other data than the client sent. */
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import { isUtf8 } from "node:buffer"
import { inexactIn, mayBeInexact } from "../domain/ExactJson.ts"
import { InvalidRequest, type RequestIssue } from "./api/RequestErrors.ts"

/**
 * Goes on unless the body has bytes that are not UTF-8, or a number that JavaScript does not have. The body was read before;
 * it is looked at in bytes, because making a text of it again costs most.
 */
export const checked = <A, E, R>(
  request: HttpServerRequest.HttpServerRequest,
  next: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidRequest, R> =>
  Effect.flatMap(Effect.orDie(request.arrayBuffer), (body): Effect.Effect<A, E | InvalidRequest, R> => {
    const bytes = new Uint8Array(body)
    // What cannot be decoded would be replaced by U+FFFD
    if (!isUtf8(bytes)) return invalid({ path: ["body"], message: "Expected UTF-8" })
    const inexact = mayBeInexact(bytes) ? inexactIn(new TextDecoder().decode(bytes)) : undefined
    return inexact === undefined ? next() : invalid({
      path: ["body", ...inexact.path],
      message: `Expected a number that is kept exactly, got ${inexact.number.slice(0, 80)}: send it as a text`
    })
  })

const invalid = (issue: RequestIssue) => Effect.fail(new InvalidRequest({ issues: [issue] }))
