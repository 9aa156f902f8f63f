/**
 * What claims read of records besides the paused queues: paused types, paused keys and limits. The ids of the first are types, of the
 * second passes, and of limits their names, or the passes that have a limit of their own.
 */
import { Option, Schema } from "effect"
import { type Bucket, type Holder, Limit, limitOf, type Pass } from "../domain/Gate.ts"
import { typeOf } from "../domain/StoredType.ts"

/** The kind of records of paused queues, whose ids are their names: see `PausedQueues`. */
export const pausedQueueKind = "paused-queue"

/** The kind of records of paused types. */
export const pausedTypeKind = "paused-type"

/** The kind of records of paused keys, whose ids are passes. */
export const pausedKeyKind = "paused-key"

/** The kind of records of limits. The document of one is a `Limit`. */
export const limitKind = "limit"

/** The kinds of records that decide what a claim takes. A driver that remembers them forgets them when one is put. */
export const kinds: ReadonlySet<string> = new Set([pausedQueueKind, pausedTypeKind, pausedKeyKind, limitKind])

const decode = Schema.decodeOption(Schema.fromJsonString(Limit))

/** The limit of a stored document; what cannot be read limits nothing. */
export const limitOfDocument = (document: string): Limit | undefined => Option.getOrUndefined(decode(document))

/** The limit that holds for a pass: its own, or that of its name. */
export const limitFor = (pass: Pass, documentOf: (id: string) => Limit | undefined): Limit | undefined =>
  documentOf(pass) ?? documentOf(limitOf(pass))

/** Records of a kind, by their ids: of limits what they say, of others that they are there. */
type OfKind = Map<string, Limit | undefined>

/** What records say about claims, as a driver reads it that has them near: all of a kind at once, when it is first asked for. */
export class Rules {
  private readonly recordsOf: (kind: string) => Iterable<readonly [id: string, document: string]>
  private readonly known = new Map<string, OfKind>()
  /** Limits of single passes among those that are known: nearly always none. */
  private limitedPasses = 0
  private changes = 0

  constructor(recordsOf: (kind: string) => Iterable<readonly [id: string, document: string]>) {
    this.recordsOf = recordsOf
  }

  /** To be called when a record of {@link kinds} was put; `null` where it was deleted. */
  changed(kind: string, id: string, document: string | null): void {
    this.changes++
    const known = this.known.get(kind)
    if (known === undefined) return
    const before = known.size
    if (document === null) known.delete(id)
    else known.set(id, kind === limitKind ? limitOfDocument(document) : undefined)
    if (kind === limitKind && id.includes("=")) this.limitedPasses += known.size - before
  }

  /** To be called when records may be others than were told. */
  forget(): void {
    this.known.clear()
    this.limitedPasses = 0
    this.changes++
  }

  /** Another number after each change. */
  readonly version = (): number => this.changes

  readonly isPaused = (queue: string): boolean => this.of(pausedQueueKind).has(queue)

  readonly isTypePaused = (type: string): boolean => this.of(pausedTypeKind).has(typeOf(type))

  readonly isKeyPaused = (pass: Pass): boolean => this.of(pausedKeyKind).has(pass)

  readonly limitOf = (pass: Pass): Limit | undefined => {
    const limits = this.of(limitKind)
    if (limits.size === 0) return undefined
    return (this.limitedPasses === 0 ? undefined : limits.get(pass)) ?? limits.get(limitOf(pass))
  }

  private of(kind: string): OfKind {
    let known = this.known.get(kind)
    if (known === undefined) {
      this.known.set(kind, known = new Map())
      for (const [id, document] of this.recordsOf(kind)) this.changed(kind, id, document)
    }
    return known
  }
}

/** Buckets and holders that a store looks at when it prunes, of all that it has: it goes on from there the next time. */
export const maxSwept = 1000

/** How a pass stands. */
export interface PassState {
  readonly pass: Pass
  /** Tasks that run with it. */
  readonly running: number
  /** Some of them, at most {@link maxHolders}, the longest first. */
  readonly holders: ReadonlyArray<string>
  /** What its bucket had when it was last written; `null` before the first task. */
  readonly bucket: Bucket | null
  /** The task that was started last with the pass of an order, if it is still stored. */
  readonly holder: Holder | null
}

/** Tasks that are named of those that run with a pass. */
export const maxHolders = 10

/** What a bucket is charged, besides what the claim took; less than nothing gives tokens back. */
export interface Charge {
  readonly pass: Pass
  readonly amount: number
}
