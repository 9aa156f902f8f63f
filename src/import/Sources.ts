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

const schemes = { redis: /^rediss?:\/\//i, postgres: /^postgres(ql)?:\/\//i }
const examples = { redis: "redis://localhost:6379/0", postgres: "postgres://app@localhost:5432/app" }

const readers = {
  "bullmq": () => import("./BullMq.ts"),
  "pg-boss": () => import("./PgBoss.ts"),
  "graphile-worker": () => import("./GraphileWorker.ts")
} as const

/** Opens it until the scope closes. A driver that is missing is the defect of its import. */
export const open = Effect.fnUntraced(function*(
  peer: Peer,
  { namespace, queues, url }: Options,
  load: <Module>(module: () => Promise<Module>) => Effect.Effect<Module, SourceError>
): Effect.fn.Return<Source, SourceError, Scope.Scope> {
  const { name, scheme } = peers[peer]
  if (!URL.canParse(url) || !schemes[scheme].test(url)) {
    return yield* new SourceError({
      kind: "usage",
      problem: `${Redaction.url(url)} is not the URL of a ${name}`,
      advice: `It looks like ${examples[scheme]}.`
    })
  }
  const { open } = yield* load(readers[peer])
  return yield* open(url, namespace ?? peers[peer].namespace, queues)
})
