/** Errors that no endpoint declares, in the shape of those that do. */
import { HttpServerResponse } from "effect/http"

/** An error answer. */
export const make = (
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  facts: Readonly<Record<string, string | number>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe({ error: { code, message, ...facts } }, { status, headers })

/** Something broke; what it was is in the log. */
export const internal = make(500, "internal", "Something went wrong on the server")
