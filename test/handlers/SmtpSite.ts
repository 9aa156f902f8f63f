/** A real SMTP server that takes mail as a test says and remembers it. It closes with the scope. */
import { Deferred, Effect, type Scope } from "effect"
import type { AddressInfo } from "node:net"
import { SMTPServer, type SMTPServerAddress, type SMTPServerOptions } from "smtp-server"

/** A message that was taken. */
export interface Taken {
  readonly from: string
  readonly to: ReadonlyArray<string>
  readonly text: string
  readonly secure: boolean
  readonly user: string | undefined
}

/** A running server. */
export interface SmtpSite {
  readonly port: number
  readonly taken: ReadonlyArray<Taken>
  readonly connections: () => number
}

/** Starts a server on a free port. */
export const start = (
  options: SMTPServerOptions & { readonly refuse?: (recipient: string) => number | undefined } = {}
): Effect.Effect<SmtpSite, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.suspend(() => {
        const taken: Array<Taken> = []
        let connections = 0
        const server = new SMTPServer({
          authOptional: true,
          disableReverseLookup: true,
          hideSTARTTLS: true,
          logger: false,
          onConnect: (_session, callback) => {
            connections++
            callback()
          },
          onRcptTo: (recipient, _session, callback) => {
            const code = options.refuse?.(recipient.address)
            callback(code === undefined ? null : Object.assign(new Error("not here"), { responseCode: code }))
          },
          onData: (stream, session, callback) => {
            const chunks: Array<Buffer> = []
            stream.on("data", (chunk: Buffer) => chunks.push(chunk))
            stream.on("end", () => {
              const { mailFrom, rcptTo } = session.envelope
              taken.push({
                from: (mailFrom as SMTPServerAddress).address,
                to: rcptTo.map(({ address }) => address),
                text: Buffer.concat(chunks).toString(),
                secure: session.secure,
                user: session.user
              })
              callback()
            })
          },
          ...options
        })
        server.on("error", () => {})
        const listening = Deferred.makeUnsafe<void>()
        server.listen(0, "127.0.0.1", () => Deferred.doneUnsafe(listening, Effect.void))
        return Effect.as(Deferred.await(listening), { server, taken, connections: () => connections })
      }),
      ({ server }) => Effect.promise(() => new Promise<void>((resolve) => void server.close(() => resolve())))
    ),
    ({ connections, server, taken }) => ({ port: (server.server.address() as AddressInfo).port, taken, connections })
  )
