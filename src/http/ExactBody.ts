/** What is lost when a body is read: nobody would notice that a task has other data than its client sent. */
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http"
import { isUtf8 } from "node:buffer"
import { inexactIn } from "../domain/ExactJson.ts"
import { InvalidRequest, type RequestIssue } from "./api/RequestErrors.ts"

/** Fails where the body has bytes that are not UTF-8, or a number that JavaScript does not have. It was read before. */
export const check = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<void, InvalidRequest> =>
  Effect.flatMap(Effect.orDie(request.text), (text) => {
    const inexact = inexactIn(text)
    if (inexact !== undefined) {
      const { number, path } = inexact
      return invalid({
        path: ["body", ...path],
        message: `Expected a number that is kept exactly, got ${number.slice(0, 80)}: send it as a text`
      })
    }
    // What cannot be decoded is replaced by U+FFFD, which may also have been meant
    return text.includes("\ufffd") ? checkEncoding(request) : Effect.void
  })

const checkEncoding = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.flatMap(
    Effect.orDie(request.arrayBuffer),
    (bytes) => isUtf8(bytes) ? Effect.void : invalid({ path: ["body"], message: "Expected UTF-8" })
  )

const invalid = (issue: RequestIssue) => Effect.fail(new InvalidRequest({ issues: [issue] }))
