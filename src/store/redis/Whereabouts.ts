/**
 * Where a deployment's keys are. A single server has them; in a cluster they are in one slot, whose node changes when
 * the slot is moved or its node dies and a replica takes over.
 */

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
 * Whether a server says that it is the wrong one: the slot has moved, or it has become a replica, and whoever connects
 * anew may be led to the one that took its place. Redis 6 reports the latter from within a script.
 */
export const isElsewhere = (error: unknown): boolean =>
  error instanceof Error && (error.message.startsWith("MOVED ") || error.message.includes("READONLY "))

/** The nodes in an answer to `CLUSTER SLOTS`. */
export const nodesOf = (url: string, slots: unknown): ReadonlyArray<string> => {
  const nodes = new Set<string>()
  for (const [, , ...members] of slots as ReadonlyArray<ReadonlyArray<unknown>>) {
    for (const [host, port] of members as ReadonlyArray<readonly [string | null, number]>) {
      nodes.add(at(url, host ?? "", port))
    }
  }
  return [...nodes]
}
