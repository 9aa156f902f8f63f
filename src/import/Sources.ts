/** Opens another queue by its name. Its driver is loaded when it is asked for, and not before. */
import { Effect, type Scope } from "effect"
import * as Redaction from "../domain/Redaction.ts"
import { type Peer, peers, type Source, SourceError } from "./ImportedJob.ts"

/** Where it is, and which of it is read. */
export interface Options {
  readonly url: string
  /** The prefix of its keys, or its schema. */
  readonly namespace?: string | undefined
  /** Names of queues; all of them where there are none. */
  readonly queues: ReadonlyArray<string>
}

const schemes = { redis: /^rediss?:\/\//i }

const readers = {
  "bullmq": { scheme: "redis", load: () => import("./BullMq.ts") }
} as const

/** Opens it until the scope closes. A driver that is missing is the defect of its import. */
export const open = Effect.fnUntraced(function*(
  peer: Peer,
  { namespace, queues, url }: Options,
  load: <Module>(module: () => Promise<Module>) => Effect.Effect<Module, SourceError>
): Effect.fn.Return<Source, SourceError, Scope.Scope> {
  const reader = readers[peer]
  if (!URL.canParse(url) || !schemes[reader.scheme].test(url)) {
    return yield* new SourceError({
      kind: "usage",
      problem: `${Redaction.url(url)} is not the URL of a ${peers[peer].name}`,
      advice: "It looks like redis://localhost:6379/0."
    })
  }
  const { open } = yield* load(reader.load)
  return yield* open(url, namespace ?? peers[peer].namespace, queues)
})
