/**
 * What claims read of records besides the paused queues: paused types, paused keys and limits. The ids of the first are types, of the
 * second passes, and of limits their names, or the passes that have a limit of their own.
 */
import { Option, Schema } from "effect"
import { type Bucket, type Holder, Limit, limitOf, type Pass } from "../domain/Gate.ts"

/** The kind of records of paused queues, whose ids are their names: see `PausedQueues`. */
export const pausedQueueKind = "paused-queue"

/** The kind of records of paused types. */
export const pausedTypeKind = "paused-type"

/** The kind of records of paused keys, whose ids are passes. */
export const pausedKeyKind = "paused-key"

/** The kind of records of limits. The document of one is a `Limit`. */
export const limitKind = "limit"

/** The kinds of records whose ids are what is paused. */
export const pausedKinds: ReadonlySet<string> = new Set([pausedQueueKind, pausedTypeKind, pausedKeyKind])

/** The kinds of records that decide what a claim takes. A driver that remembers them forgets them when one is put. */
export const kinds: ReadonlySet<string> = new Set([...pausedKinds, limitKind])

const decode = Schema.decodeOption(Schema.fromJsonString(Limit))

/** The limit of a stored document; what cannot be read limits nothing. */
export const limitOfDocument = (document: string): Limit | undefined => Option.getOrUndefined(decode(document))

/** The limit that holds for a pass: its own, or that of its name. */
export const limitFor = (pass: Pass, documentOf: (id: string) => Limit | undefined): Limit | undefined =>
  documentOf(pass) ?? documentOf(limitOf(pass))

/** Passes whose limits are remembered: clients choose their keys. */
const maxRemembered = 10_000

/** What records say about claims, as a driver reads it that has them near, remembered until it is told to forget. */
export class Rules {
  private readonly documentOf: (kind: string, id: string) => string | undefined
  private readonly limits = new Map<string, Limit | undefined>()

  constructor(documentOf: (kind: string, id: string) => string | undefined) {
    this.documentOf = documentOf
  }

  /** To be called when a record of {@link kinds} was put. */
  forget(): void {
    this.limits.clear()
  }

  readonly isPaused = (queue: string): boolean => this.documentOf(pausedQueueKind, queue) !== undefined

  readonly isTypePaused = (type: string): boolean => this.documentOf(pausedTypeKind, type) !== undefined

  readonly isKeyPaused = (pass: Pass): boolean => this.documentOf(pausedKeyKind, pass) !== undefined

  readonly limitOf = (pass: Pass): Limit | undefined => {
    const { limits } = this
    if (limits.has(pass)) return limits.get(pass)
    if (limits.size >= maxRemembered) limits.clear()
    const limit = limitFor(pass, (id) => {
      const document = this.documentOf(limitKind, id)
      return document === undefined ? undefined : limitOfDocument(document)
    })
    limits.set(pass, limit)
    return limit
  }
}

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
