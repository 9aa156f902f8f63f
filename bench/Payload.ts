import { Schema } from "effect"

/** What every queue contender carries: 108 to 113 bytes of JSON. */
export const Payload = Schema.Struct({
  index: Schema.Int,
  to: Schema.String,
  subject: Schema.String,
  body: Schema.String
})

export type Payload = typeof Payload.Type

export const makePayload = (index: number): Payload => ({
  index,
  to: "someone@example.com",
  subject: "Your order is on its way",
  body: "It arrives in two days."
})

export const makePayloads = (from: number, count: number): ReadonlyArray<Payload> =>
  Array.from({ length: count }, (_, offset) => makePayload(from + offset))
