/** How a program's requests are sent, and what their failures mean to it. */
import { Effect } from "effect"
import { InvalidOption, type StoreError } from "../../domain/Errors.ts"
import type { InvalidRequest } from "../api/RequestCheck.ts"
import * as WireNames from "../api/WireNames.ts"
import * as ApiClient from "./ApiClient.ts"

/** How requests are sent. */
export interface Sending {
  readonly again: <A, E extends { readonly _tag: string }>(
    operation: string,
    request: Effect.Effect<A, E>
  ) => Effect.Effect<A, Exclude<E, ApiClient.TransportError> | StoreError>
  readonly refusedOption: (error: InvalidRequest) => Effect.Effect<never, InvalidOption | InvalidRequest>
}

/** A request whose failures in transport are those of a store. */
export const unsent = <A, E extends { readonly _tag: string }>(
  operation: string,
  request: Effect.Effect<A, E>
): Effect.Effect<A, Exclude<E, ApiClient.TransportError> | StoreError> =>
  Effect.mapError(request, (error) =>
    ApiClient.isTransport(error)
      ? ApiClient.toStoreError(operation, error)
      : error as Exclude<E, ApiClient.TransportError>)

/** What only the server can check, such as a time against its clock, is refused as by a store. */
export const refusedAs =
  (optionOf: (name: string) => string) =>
  (error: InvalidRequest): Effect.Effect<never, InvalidOption | InvalidRequest> => {
    const [, name, found, expected] =
      /^The option (\w+) is (.*); expected (.*)$/s.exec(error.issues[0]?.message ?? "") ?? []
    return Effect.fail(
      name === undefined
        ? error
        : new InvalidOption({ option: optionOf(name), found: found!, expected: expected!, index: 0 })
    )
  }

/** The same, where each option has its own name in the request. */
export const refusedOption = refusedAs(WireNames.toOption)
