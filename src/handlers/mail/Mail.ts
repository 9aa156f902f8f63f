/** What mail is: where it goes, a message, and what becomes of it. */
import { type Duration, type Effect, type Redacted, Schema } from "effect"
import type { Writer } from "../files/AtomicFile.ts"

/** Where mail goes. Every field has a default. */
export interface Options {
  /** `smtp://user:password@host:587`, or `smtps://…` for TLS from the start. Default: none, mail goes to the outbox. */
  readonly server?: Redacted.Redacted<string> | undefined
  /** Whether `smtp://` must turn to TLS; else it does where the server offers it. Default false. */
  readonly requireTls?: boolean | undefined
  /** Certificates (PEM) to trust besides the well-known ones. */
  readonly trust?: ReadonlyArray<string> | undefined
  /** The sender of messages that name none. */
  readonly from?: string | undefined
  /** The folder for messages that are not sent. Default `data/outbox`. */
  readonly outbox?: string | undefined
  /** Connections at the same time. Default 5. */
  readonly connections?: number | undefined
}

/** A message, and the attempt that sends it. Its `id` is part of the Message-ID, so that duplicates can be recognised. */
export interface Message extends Omit<Writer, "swept"> {
  readonly from?: string | undefined
  readonly to: ReadonlyArray<string>
  readonly cc: ReadonlyArray<string>
  readonly bcc: ReadonlyArray<string>
  readonly replyTo?: string | undefined
  readonly subject: string
  readonly text?: string | undefined
  readonly html?: string | undefined
  readonly attachments: ReadonlyArray<{
    readonly filename: string
    readonly content: Uint8Array
    readonly type?: string | undefined
  }>
}

/** What became of a message. */
export interface Sent {
  readonly delivery: "smtp" | "outbox"
  readonly messageId: string
  readonly accepted: ReadonlyArray<string>
  readonly rejected: ReadonlyArray<string>
  /** The file in the outbox. */
  readonly file: string | null
}

/** The server failed so often that it is left alone for a while: nothing was sent. */
export interface LeftAlone {
  readonly _tag: "LeftAlone"
  readonly retryAfter: Duration.Duration
}

/** Sends a message. */
export type Send = (
  message: Message,
  /** Write to the outbox in any case. */
  options?: { readonly keep?: boolean }
) => Effect.Effect<Sent | LeftAlone, MailRejected | MailFailed>

/** The server does not take the message: a bad address, a refused sender. Repeating it changes nothing. */
export class MailRejected extends Schema.TaggedError<MailRejected>()("MailRejected", {
  code: Schema.Int,
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** The server could not be reached or asks to come back later. */
export class MailFailed extends Schema.TaggedError<MailFailed>()("MailFailed", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}
