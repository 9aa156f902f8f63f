/**
 * Where a deployment's keys are. A single server has them; in a cluster they are in one slot, whose node changes when
 * the slot is moved or its node dies and a replica takes over.
 */
import { Option, Schema } from "effect"

/** The address of a node, with the credentials and the protocol of another one. */
const at = (url: string, host: string, port: number): string => {
  const address = new URL(url)
  // a cluster that doesn't know its own host leaves it to the client
  if (host !== "") address.hostname = host.includes(":") ? `[${host}]` : host
  address.port = String(port)
  return address.href
}

/** The node that has the keys, from the refusal of one that does not; `undefined` for any other error. */
export const movedTo = (url: string, error: unknown): string | undefined => {
  const moved = error instanceof Error ? /^MOVED \d+ (.*):(\d+)/.exec(error.message) : null
  return moved === null ? undefined : at(url, moved[1]!, Number(moved[2]))
}

/**
 * Whether a server says that it is the wrong one: the slot has moved, or it has become a replica, and a new
 * connection may be led to the one that took its place. Redis 6 reports the latter from within a script.
 */
export const isElsewhere = (error: unknown): boolean =>
  error instanceof Error && (error.message.startsWith("MOVED ") || error.message.includes("READONLY "))

/** What `CLUSTER SLOTS` answers: ranges of slots, each with its nodes. */
const Slots = Schema.Array(Schema.TupleWithRest(Schema.Tuple([Schema.Finite, Schema.Finite]), [
  Schema.TupleWithRest(Schema.Tuple([Schema.NullOr(Schema.String), Schema.Finite]), [Schema.Unknown])
]))

const decodeSlots = Schema.decodeUnknownOption(Slots)

/** The nodes in an answer to `CLUSTER SLOTS`; none in one that is something else. */
export const nodesOf = (url: string, answer: unknown): ReadonlyArray<string> => {
  const slots = Option.getOrElse(decodeSlots(answer), () => [])
  const nodes = slots.flatMap(([, , ...members]) => members.map(([host, port]) => at(url, host ?? "", port)))
  return [...new Set(nodes)]
}
