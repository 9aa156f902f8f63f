/** How mail is sent: see `Mailer`. */
import { Cause, Clock, Context, Duration, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { rootCertificates } from "node:tls"
import { createTransport } from "nodemailer"
import type { Options as MailOptions } from "nodemailer/lib/mailer"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import * as AtomicFile from "../files/AtomicFile.ts"
import * as FileName from "../files/FileName.ts"
import { type LeftAlone, MailFailed, MailRejected, type Message, type Options, type Send, type Sent } from "./Mail.ts"

/** How long a server may keep us waiting. */
const timeouts = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 60_000 }

/** Failures in a row before the server is left alone, and for how long. */
const breaking = { tripPolicy: CircuitBreaker.consecutive(5), openDuration: Duration.seconds(30) }

/** Attachments come as bytes: nothing in a message may name a file or a URL of this machine. */
const safety = { disableFileAccess: true, disableUrlAccess: true }

/** The transport, as long as the scope. */
export const make = Effect.fnUntraced(function*(
  { connections = 5, from = "taskforge@localhost", outbox = "data/outbox", requireTls = false, server, trust }: Options,
  scope: Scope.Scope
): Effect.fn.Return<Send> {
  const toOutbox = (message: Message) => writeTo(outbox, message, mailOf(message, from))
  if (server === undefined) return toOutbox
  const url = new URL(Redacted.value(server))
  const transport = yield* Scope.provide(
    Effect.acquireRelease(
      Effect.sync(() =>
        createTransport({
          pool: true,
          maxConnections: connections,
          host: url.hostname,
          port: Number(url.port) || (url.protocol === "smtps:" ? 465 : 587),
          secure: url.protocol === "smtps:",
          requireTLS: requireTls,
          ...(url.username === ""
            ? {}
            : { auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) } }),
          ...(trust === undefined ? {} : { tls: { ca: [...rootCertificates, ...trust] } }),
          ...timeouts,
          ...safety
        })
      ),
      (transport) => Effect.sync(() => transport.close())
    ),
    scope
  )
  const breakers = yield* Layer.buildWithScope(
    CircuitBreaker.layer(breaking).pipe(Layer.provide(CircuitBreaker.layerStoreMemory())),
    scope
  )
  const breaker = Context.get(breakers, CircuitBreaker.CircuitBreaker)
  const steady = MonotonicClock.steady(yield* Clock.Clock)
  const bySmtp = (message: Message) =>
    breaker.execute(
      Effect.map(
        Effect.tryPromise({ try: () => transport.sendMail(mailOf(message, from)), catch: errorOf }),
        ({ accepted, messageId, rejected }): Sent => ({
          delivery: "smtp",
          messageId,
          accepted: accepted.map(addressOf),
          rejected: rejected.map(addressOf),
          file: null
        })
      ),
      { key: url.host, classify: outcomeOf }
    ).pipe(
      Effect.provideService(Clock.Clock, steady),
      Effect.catchTag("CircuitBreakerError", ({ reason }): Effect.Effect<LeftAlone> =>
        Effect.succeed({
          _tag: "LeftAlone",
          retryAfter: reason._tag === "CircuitOpen" ? reason.retryAfter : Duration.seconds(1)
        }))
    )
  return (message, { keep = false } = {}) => keep ? toOutbox(message) : bySmtp(message)
})

const mailOf = (message: Message, from: string): MailOptions => ({
  from: message.from ?? from,
  to: [...message.to],
  cc: [...message.cc],
  bcc: [...message.bcc],
  replyTo: message.replyTo,
  subject: message.subject,
  text: message.text,
  html: message.html,
  messageId: `<${FileName.ofId(message.id)}@taskforge>`,
  attachments: message.attachments.map(({ content, filename, type }) => ({
    filename,
    content: Buffer.from(content),
    contentType: type
  }))
})

/** The message as a file, whole or not at all. */
const writeTo = (folder: string, message: Message, mail: MailOptions): Effect.Effect<Sent, MailFailed> =>
  Effect.tryPromise({
    try: () => createTransport({ streamTransport: true, buffer: true, ...safety }).sendMail(mail),
    catch: (cause) => new MailFailed({ reason: `The message cannot be written: ${String(cause)}` })
  }).pipe(Effect.flatMap((info) => {
    const file = join(folder, `${FileName.ofId(message.id)}.eml`)
    return Effect.as(
      Effect.tryPromise({
        try: () => mkdir(folder, { recursive: true }),
        catch: (cause) => new MailFailed({ reason: `The outbox cannot be made: ${String(cause)}` })
      }).pipe(
        Effect.andThen(
          AtomicFile.write(file, message, (part) => Effect.promise(() => writeFile(part, info.message as Buffer)))
        ),
        Effect.catchTag("PathRefused", ({ reason }) => Effect.fail(new MailFailed({ reason: `The outbox: ${reason}` })))
      ),
      { delivery: "outbox" as const, messageId: info.messageId, accepted: [], rejected: [], file }
    )
  }))

const addressOf = (address: string | { readonly address: string }): string =>
  typeof address === "string" ? address : address.address

/** 5xx is the server's last word, except about our own password; everything else may pass. */
const errorOf = (cause: unknown): MailRejected | MailFailed => {
  const { code, message, responseCode } = cause as Error & { readonly code?: string; readonly responseCode?: number }
  return responseCode !== undefined && responseCode >= 500 && code !== "EAUTH"
    ? new MailRejected({ code: responseCode, reason: message })
    : new MailFailed({ reason: message })
}

const outcomeOf = (exit: Exit.Exit<unknown, MailRejected | MailFailed>): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return { _tag: "Success" }
  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
  return error === undefined
    ? { _tag: "Ignored" }
    : error._tag === "MailFailed"
    ? { _tag: "Failure", retryAfter: undefined }
    : { _tag: "Success" }
}
