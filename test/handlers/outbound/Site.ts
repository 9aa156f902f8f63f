/** Real HTTP servers that answer as a test says and remember what they were asked. They close with the scope. */
import { Deferred, Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** What a site was asked. */
export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** How a site answers. */
export type Answering = (asked: Asked, response: ServerResponse) => void

/** A running site. */
export interface Site {
  readonly url: string
  readonly port: number
  readonly asked: ReadonlyArray<Asked>
}

/** Starts a site on a free port. */
export const start = (answering: Answering, host = "127.0.0.1"): Effect.Effect<Site, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.suspend(() => {
        const asked: Array<Asked> = []
        const listening = Deferred.makeUnsafe<void>()
        const server = createServer((request, response) => void receive(request, response, asked, answering))
        server.listen(0, host, () => Deferred.doneUnsafe(listening, Effect.void))
        return Effect.as(Deferred.await(listening), { server, asked })
      }),
      ({ server }) =>
        Effect.promise(() => {
          server.closeAllConnections()
          return new Promise((resolve) => server.close(resolve))
        })
    ),
    ({ asked, server }) => {
      const { port } = server.address() as AddressInfo
      return { url: `http://${host}:${port}`, port, asked }
    }
  )

const receive = async (
  request: IncomingMessage,
  response: ServerResponse,
  asked: Array<Asked>,
  answering: Answering
) => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const { headers, method = "", url = "" } = request
  const one = { method, path: url, headers, body: Buffer.concat(chunks).toString() }
  asked.push(one)
  answering(one, response)
}
