/** What every endpoint answers to a request that it cannot read. */
import { HttpApiMiddleware } from "effect/http-api"
import * as ApiErrors from "./ApiErrors.ts"

/** Turns malformed, giant and foreign bodies into errors of the API. */
export class RequestCheck extends HttpApiMiddleware.Service<RequestCheck>()("taskforge/http/api/RequestCheck", {
  error: [ApiErrors.InvalidRequest, ApiErrors.BodyTooLarge, ApiErrors.UnsupportedMediaType]
}) {}
