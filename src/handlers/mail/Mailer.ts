/**
 * Sends mail over SMTP, by pooled connections. Without a server it writes each message as a file (RFC 5322) to an
 * outbox, where another program or a person can look at it. A server that keeps failing is left alone for a while.
 */
import { Context, Effect, Layer } from "effect"
import type { Options, Send } from "./Mail.ts"

/** Sends mail. */
export class Mailer extends Context.Service<Mailer, {
  readonly send: Send
}>()("taskforge/handlers/mail/Mailer") {
  /** The library is loaded with the first message: a server that sends none need not hold it in memory. */
  static readonly layer = (options: Options = {}): Layer.Layer<Mailer> =>
    Layer.effect(
      Mailer,
      Effect.gen(function*() {
        const scope = yield* Effect.scope
        const send = yield* Effect.cached(
          Effect.flatMap(Effect.promise(() => import("./MailTransport.ts")), ({ make }) => make(options, scope))
        )
        return Mailer.of({ send: (message, how) => Effect.flatMap(send, (send) => send(message, how)) })
      })
    )
}
