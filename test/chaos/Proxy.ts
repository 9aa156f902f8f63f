/**
 * A network between the instances and their database that misbehaves on demand: it is slow, it forgets connections
 * without telling anybody, it resets them, it lets nobody in.
 */
import { Effect, type Scope } from "effect"
import { connect, createServer, type Server, type Socket } from "node:net"

/** A TCP proxy and its switches. Each holds until {@link Proxy.heal}. */
export interface Proxy {
  readonly port: number
  /** Everything passes again. Connections that were forgotten stay so: nothing ever comes through them. */
  readonly heal: Effect.Effect<void>
  /** Each piece of data takes this much longer. */
  readonly delay: (ms: number) => Effect.Effect<void>
  /** Forgets the connections there are. Nothing passes, neither data nor their end; new ones work. */
  readonly forget: Effect.Effect<void>
  /** Forgets the connections there are, and any new one as well: packets go nowhere. */
  readonly blackHole: Effect.Effect<void>
  /** Accepts and keeps connections and passes nothing on. What was sent until then arrives once it heals. */
  readonly hold: Effect.Effect<void>
  /** Resets every connection; new ones work. */
  readonly reset: Effect.Effect<void>
  /** Resets every connection, and each new one at once. */
  readonly refuse: Effect.Effect<void>
  /** Forgets each connection on which a client sends this text, from then on. */
  readonly forgetAfter: (text: string) => Effect.Effect<void>
  /** Leads new connections to another port; those there are stay where they are, also when it heals. */
  readonly leadTo: (target: number) => Effect.Effect<void>
}

interface Link {
  readonly sockets: readonly [Socket, Socket]
  forgotten: boolean
}

/** A proxy in front of a port of this machine, until the scope closes. */
export const make = (target: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function*() {
    const links = new Set<Link>()
    const now = {
      target,
      delayMs: 0,
      mode: "pass" as "pass" | "blackHole" | "hold" | "refuse",
      lastWords: undefined as string | undefined
    }

    const pump = (link: Link, from: Socket, to: Socket) => {
      // In order: nothing overtakes what is on its way, also when the delay ends, and whichever of two timers goes off first
      const onTheWay: Array<Buffer> = []
      let lastArrival = 0
      from.on("data", (data) => {
        if (from === link.sockets[0] && now.lastWords !== undefined) link.forgotten ||= data.includes(now.lastWords)
        if (link.forgotten) return
        if (now.delayMs === 0 && onTheWay.length === 0) return void to.write(data)
        onTheWay.push(data)
        const arrivesAt = lastArrival = Math.max(lastArrival, performance.now() + now.delayMs)
        setTimeout(() => {
          const next = onTheWay.shift()!
          if (!link.forgotten && !to.destroyed) to.write(next)
        }, arrivesAt - performance.now())
      })
      from.on("close", () => {
        if (link.forgotten) return
        to.destroy()
        links.delete(link)
      })
      // What a reset connection reports is what it was meant to
      from.on("error", () => {})
    }

    const accept = (client: Socket) => {
      if (now.mode === "refuse") return void client.resetAndDestroy()
      const server = connect(now.target, "127.0.0.1")
      const link: Link = { sockets: [client, server], forgotten: now.mode === "blackHole" }
      client.setNoDelay(true)
      server.setNoDelay(true)
      links.add(link)
      pump(link, client, server)
      pump(link, server, client)
      if (now.mode === "hold") holdBack(link)
    }

    const holdBack = ({ sockets }: Link) => {
      for (const socket of sockets) socket.pause()
    }

    const forgetAll = () => {
      for (const link of links) link.forgotten = true
    }

    const resetAll = () => {
      for (const { sockets } of links) for (const socket of sockets) socket.resetAndDestroy()
      links.clear()
    }

    const port = yield* Effect.acquireRelease(listen(accept), ({ server }) =>
      Effect.callback<void>((resume) => {
        for (const { sockets } of links) for (const socket of sockets) socket.destroy()
        server.close(() => resume(Effect.void))
      }))

    const set = (change: () => void) => Effect.sync(change)
    return {
      port: port.port,
      heal: set(() => {
        now.delayMs = 0
        now.mode = "pass"
        now.lastWords = undefined
        for (const { sockets } of links) for (const socket of sockets) socket.resume()
      }),
      delay: (ms) =>
        set(() => {
          now.delayMs = ms
        }),
      forget: set(forgetAll),
      blackHole: set(() => {
        now.mode = "blackHole"
        forgetAll()
      }),
      hold: set(() => {
        now.mode = "hold"
        for (const link of links) holdBack(link)
      }),
      reset: set(resetAll),
      refuse: set(() => {
        now.mode = "refuse"
        resetAll()
      }),
      forgetAfter: (text) =>
        set(() => {
          now.lastWords = text
        }),
      leadTo: (other) =>
        set(() => {
          now.target = other
        })
    }
  })

const listen = (accept: (socket: Socket) => void) =>
  Effect.callback<{ readonly server: Server; readonly port: number }>((resume) => {
    const server = createServer(accept).listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ server, port }))
    })
  })
