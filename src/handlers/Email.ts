/**
 * `email` sends a message. Without an SMTP server it is written to the outbox folder, and the result says so; so is a
 * message without recipients, which has no one to be sent to.
 */
import { Effect, Schema } from "effect"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { MailFailed, MailRejected } from "./mail/Mail.ts"
import { Mailer } from "./mail/Mailer.ts"

/** `ada@example.org`, or `Ada Lovelace <ada@example.org>`. */
const Address = Schema.String.check(
  Schema.isMaxLength(320),
  Schema.isPattern(/^(?:[^<>\r\n]*<[^\s<>@,]+@[^\s<>@,]+>|[^\s<>@,]+@[^\s<>@,]+)$/, {
    expected: "a mail address"
  })
)

const Addresses = Schema.Union([Address, Schema.Array(Address).check(Schema.isMaxLength(100))])

/** Base64 of some 10 MiB. */
const maxAttachmentBytes = 14_000_000

const Attachment = Schema.Struct({
  filename: Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(255)),
  /** Base64. */
  content: Schema.Uint8ArrayFromBase64.check(
    Schema.makeFilter((bytes: Uint8Array) => bytes.length < maxAttachmentBytes)
  ),
  type: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[\w.+-]+\/[\w.+-]+$/)))
})

/** The task type `email`. */
export const Email = Task.make("email", {
  description: "Sends a message by SMTP, or writes it to the outbox where there is no server",
  payload: {
    to: Schema.optionalKey(Addresses),
    /** Another name for `to`. */
    recipient: Schema.optionalKey(Addresses),
    cc: Schema.optionalKey(Addresses),
    bcc: Schema.optionalKey(Addresses),
    from: Schema.optionalKey(Address),
    reply_to: Schema.optionalKey(Address),
    subject: withDefault(Schema.String.check(Schema.isMaxLength(998)), "A message from TaskForge"),
    /** Plain text; `body` is another name for it. */
    text: Schema.optionalKey(Schema.String),
    body: Schema.optionalKey(Schema.String),
    html: Schema.optionalKey(Schema.String),
    attachments: withDefault(Schema.Array(Attachment).check(Schema.isMaxLength(20)), [])
  },
  success: Schema.Struct({
    /** `outbox` where nothing was sent: the message is in the file. */
    delivery: Schema.Literals(["smtp", "outbox"]),
    message_id: Schema.String,
    accepted: Schema.Array(Schema.String),
    rejected: Schema.Array(Schema.String),
    file: Schema.NullOr(Schema.String)
  }),
  error: Schema.Union([MailRejected, MailFailed]),
  retry: { byTag: { MailRejected: false } }
})

/** Runs `email`. */
export const EmailLive = Email.toLayer(Effect.fnUntraced(function*(payload) {
  const mailer = yield* Mailer
  const { attempt, claim, id, snooze } = yield* TaskContext
  const { attachments, from, html, reply_to: replyTo, subject } = payload
  const to = [...listOf(payload.to), ...listOf(payload.recipient)]
  const [cc, bcc] = [listOf(payload.cc), listOf(payload.bcc)]
  const text = payload.text ?? payload.body ?? (html === undefined ? "" : undefined)
  const sent = yield* mailer.send(
    { id, claim, attempt, from, to, cc, bcc, replyTo, subject, text, html, attachments },
    { keep: to.length + cc.length + bcc.length === 0 }
  )
  if ("_tag" in sent) return yield* snooze(sent.retryAfter)
  const { accepted, delivery, file, messageId, rejected } = sent
  return { delivery, message_id: messageId, accepted, rejected, file }
}))

const listOf = (addresses: string | ReadonlyArray<string> | undefined): ReadonlyArray<string> =>
  addresses === undefined ? [] : typeof addresses === "string" ? [addresses] : addresses
